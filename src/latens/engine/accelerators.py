"""Plain EM and SQUAREM: objects that say where to evaluate the EM map next."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import numpy as np

from latens.errors import ParameterError


class AbstractAccelerator(eqx.Module):
    """A rule for the next point, given a point and its image under the EM map.

    To write your own: `init()`, `propose(memory, point, image)` and `rejected(memory)`. The engine
    compares the log-likelihood at a proposed point with the best so far, at no extra evaluation; one
    that lost ground is dropped and plain EM goes on, so every accelerator is as safe as EM.
    """

    @abstractmethod
    def init(self) -> Any:
        """The memory to begin with."""

    @abstractmethod
    def propose(self, memory: Any, point: np.ndarray, image: np.ndarray) -> tuple[Any, np.ndarray]:
        """(memory, next point); returning `image` itself is a plain step."""

    @abstractmethod
    def rejected(self, memory: Any) -> Any:
        """The memory after a proposed point was dropped."""


class Plain(AbstractAccelerator):
    """EM as it is: the next point is the image.

    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.Plain())
        >>> fit.converged
        True
    **Source:** Dempster, Laird & Rubin (1977), JRSS B 39, 1.
    """

    def init(self) -> None:
        return None

    def propose(self, memory: None, point: np.ndarray, image: np.ndarray) -> tuple[None, np.ndarray]:
        return None, image

    def rejected(self, memory: None) -> None:
        return None


@dataclass(frozen=True)
class _Cycle:
    first: np.ndarray | None = None  # the point the cycle began at
    image: np.ndarray | None = None  # where the map took it
    cap: float = 1.0  # the longest step length allowed now
    at_cap: bool = False


class Squarem(AbstractAccelerator):
    """Squared extrapolation, scheme S3: after two EM steps θ₀ → θ₁ → θ₂, go on from

        θ' = θ₀ + 2αr + α²v,   r = θ₁ − θ₀,   v = (θ₂ − θ₁) − r,   α = |r| / |v|

    α = 1 is plain EM. α is capped; the cap grows by `growth` when a capped step succeeds and shrinks
    when one fails.

    **Arguments:** `growth`: factor of the cap, above 1.
    **Raises:** `ParameterError` for a growth of at most 1.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.Squarem())
        >>> round(float(fit.params["rate"]), 8)
        0.2
    **Source:** Varadhan & Roland (2008), Scand. J. Stat. 35, 335, scheme SqS3 (eq. 9, 16).
    """

    growth: float = 4.0

    def __check_init__(self) -> None:
        if not self.growth > 1:
            raise ParameterError(f"Squarem: growth must be above 1, got {self.growth}")

    def init(self) -> _Cycle:
        return _Cycle()

    def propose(self, memory: _Cycle, point: np.ndarray, image: np.ndarray) -> tuple[_Cycle, np.ndarray]:
        if memory.image is None or memory.first is None or point is not memory.image:
            cap = memory.cap * self.growth if memory.at_cap else memory.cap
            return replace(memory, first=point, image=image, cap=cap, at_cap=False), image
        r = point - memory.first
        v = (image - point) - r
        size = float(np.linalg.norm(v))
        alpha = float(np.linalg.norm(r)) / size if size > 0 else 1.0
        ended = replace(memory, first=None, image=None, at_cap=alpha >= memory.cap)
        alpha = min(max(alpha, 1.0), memory.cap)
        if alpha == 1.0:
            return ended, image
        return ended, memory.first + 2 * alpha * r + alpha**2 * v

    def rejected(self, memory: _Cycle) -> _Cycle:
        return replace(memory, first=None, image=None, cap=max(memory.cap / self.growth, 1.0), at_cap=False)
