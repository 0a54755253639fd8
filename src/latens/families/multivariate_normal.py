"""The multivariate normal distribution, by its kind of covariance."""

from latens.errors import ModelError
from latens.families.full_normal import FullNormal
from latens.families.gaussian import AbstractGaussian
from latens.families.separable_normal import DiagonalNormal, SphericalNormal

_KINDS: dict[str, type[AbstractGaussian]] = {
    "full": FullNormal,
    "diagonal": DiagonalNormal,
    "spherical": SphericalNormal,
}


def MultivariateNormal(d: int, covariance: str = "full") -> AbstractGaussian:
    """Multivariate normal distribution: f(y) = |2πΣ|^(−1/2) exp(−½ (y − μ)ᵀ Σ⁻¹ (y − μ)).

    **Arguments:** `d`: the number of columns; `covariance`: "full", "diagonal" or "spherical".
    **Parameters:** `mean` (d,), and `covariance` (d, d) when full, `variance` (d,) when diagonal,
    `variance` () when spherical; in (squared) units of the columns.
    **Raises:** `ModelError` for another kind, or d below 1.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), [[0.0, 1.0], [2.0, 1.0], [1.0, 4.0]])
        >>> fit.params["mean"].round(6).tolist()
        [1.0, 2.0]

    **Source:** Anderson (2003), An Introduction to Multivariate Statistical Analysis, ch. 3.
    """
    if covariance not in _KINDS:
        raise ModelError(f"MultivariateNormal: covariance must be one of {', '.join(_KINDS)}; got {covariance!r}")
    return _KINDS[covariance](d)
