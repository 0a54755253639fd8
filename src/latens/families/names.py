"""Families by the names used in files and on the command line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from latens.errors import ModelError
from latens.families.base import AbstractFamily
from latens.families.beta import Beta
from latens.families.categorical import Categorical, Multinomial
from latens.families.counts import Geometric, NegativeBinomial, Poisson
from latens.families.lifetimes import Exponential, Gamma
from latens.families.multivariate_normal import MultivariateNormal
from latens.families.normal import LogNormal, Normal
from latens.families.product import Product
from latens.families.trials import Bernoulli, Binomial
from latens.families.truncated import Truncated
from latens.families.weibull import Weibull

# name → (constructor, the options it takes)
_SIMPLE: dict[str, tuple[Callable[..., AbstractFamily], frozenset[str]]] = {
    "normal": (Normal, frozenset({"variance"})),
    "exponential": (Exponential, frozenset()),
    "gamma": (Gamma, frozenset()),
    "weibull": (Weibull, frozenset()),
    "poisson": (Poisson, frozenset({"exposure"})),
    "bernoulli": (Bernoulli, frozenset()),
    "binomial": (Binomial, frozenset({"trials"})),
    "geometric": (Geometric, frozenset()),
    "negative-binomial": (NegativeBinomial, frozenset({"size"})),
    "categorical": (Categorical, frozenset({"k"})),
    "multinomial": (Multinomial, frozenset({"k"})),
    "log-normal": (LogNormal, frozenset()),
    "beta": (Beta, frozenset()),
}
NAMES = (*_SIMPLE, "multivariate-normal", "product", "truncated")


def family_called(spec: str | Mapping[str, Any], columns: Sequence[str]) -> AbstractFamily:
    """A family from its name, or from a table {name = ..., option = ...}; raises `ModelError`.

    `columns` are those of the data: they set the dimension of a multivariate normal or multinomial.
    """
    options: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = options.pop("name", None)
    if name not in NAMES:
        raise ModelError(f"unknown family {name!r}; there are {', '.join(NAMES)}")
    if name == "multivariate-normal":
        _only(options, {"covariance"}, name)
        return MultivariateNormal(len(columns), options.get("covariance", "full"))
    if name == "truncated":
        _only(options, {"family", "lower", "upper"}, name)
        inner = family_called(options.pop("family", "normal"), columns)
        return Truncated(inner, **options)  # type: ignore[arg-type]
    if name == "product":
        _only(options, {"columns"}, name)
        return Product({c: family_called(s, [c]) for c, s in options.get("columns", {}).items()})
    make, known = _SIMPLE[name]
    _only(options, known, name)
    if name == "multinomial":
        options.setdefault("k", len(columns))
    if name == "poisson" and len(columns) == 2:
        options.setdefault("exposure", None)
    try:
        return make(**options)
    except TypeError as error:
        raise ModelError(f"family '{name}': {error}") from None


def _only(options: Mapping[str, Any], known: set[str] | frozenset[str], name: str) -> None:
    for key in options:
        if key not in known:
            raise ModelError(f"family '{name}': unknown option '{key}'; known: {', '.join(sorted(known)) or 'none'}")
