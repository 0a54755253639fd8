"""Plain EM and SQUAREM: objects that say where to evaluate the EM map next."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import numpy as np

# the point a cycle began at and where the map took it, or None between cycles
Memory = tuple[np.ndarray, np.ndarray] | None


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


class Squarem(AbstractAccelerator):
    """Squared extrapolation, scheme S3: after two EM steps θ₀ → θ₁ → θ₂, go on from

        θ' = θ₀ + 2αr + α²v,   r = θ₁ − θ₀,   v = (θ₂ − θ₁) − r,   α = |r| / |v|

    α = 1 is plain EM. The published cap on α is left out: on the models tried here it cost up to four
    times the evaluations, and a step too long is caught by its log-likelihood anyway.

    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")], start={"rate": 5.0},
        ...              accelerate=lt.Squarem())
        >>> round(float(fit.params["rate"]), 8)
        0.2

    **Source:** Varadhan & Roland (2008), Scand. J. Stat. 35, 335, scheme SqS3.
    """

    def init(self) -> Memory:
        return None

    def propose(self, memory: Memory, point: np.ndarray, image: np.ndarray) -> tuple[Memory, np.ndarray]:
        if memory is None or point is not memory[1]:
            return (point, image), image
        first, middle = memory
        r = middle - first
        v = (image - middle) - r
        size = float(np.linalg.norm(v))
        alpha = float(np.linalg.norm(r)) / size if size > 0 else 1.0
        if alpha <= 1.0:
            return None, image
        return None, first + 2 * alpha * r + alpha**2 * v

    def rejected(self, memory: Memory) -> Memory:
        return None
