"""Families by the names used in files and on the command line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from latens.data.schema import NUMBER, TABLE, TEXT, WHOLE, Kind, check, either, table_of
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

_FAMILY = either(TEXT, TABLE)
# name → (constructor, the options it takes)
_SIMPLE: dict[str, tuple[Callable[..., AbstractFamily], dict[str, Kind]]] = {
    "normal": (Normal, {"variance": NUMBER}),
    "exponential": (Exponential, {}),
    "gamma": (Gamma, {}),
    "weibull": (Weibull, {}),
    "poisson": (Poisson, {"exposure": NUMBER}),
    "bernoulli": (Bernoulli, {}),
    "binomial": (Binomial, {"trials": NUMBER}),
    "geometric": (Geometric, {}),
    "negative-binomial": (NegativeBinomial, {"size": NUMBER}),
    "categorical": (Categorical, {"k": WHOLE}),
    "multinomial": (Multinomial, {"k": WHOLE}),
    "log-normal": (LogNormal, {}),
    "beta": (Beta, {}),
}
_OTHERS: dict[str, dict[str, Kind]] = {
    "multivariate-normal": {"covariance": TEXT},
    "product": {"columns": table_of(_FAMILY)},
    "truncated": {"family": _FAMILY, "lower": NUMBER, "upper": NUMBER},
}
NAMES = (*_SIMPLE, *_OTHERS)


def family_called(spec: str | Mapping[str, Any], columns: Sequence[str]) -> AbstractFamily:
    """A family from its name, or from a table {name = ..., option = ...}; raises `ModelError`.

    `columns` are those of the data: they set the dimension of a multivariate normal or multinomial.
    """
    options: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = options.pop("name", None)
    if name not in NAMES:
        raise ModelError(f"unknown family {name!r}; there are {', '.join(NAMES)}")
    check(options, _OTHERS[name] if name in _OTHERS else _SIMPLE[name][1], f"family '{name}'", ModelError)
    if name == "multivariate-normal":
        return MultivariateNormal(len(columns), options.get("covariance", "full"))
    if name == "truncated":
        inner = family_called(options.pop("family", "normal"), columns)
        return Truncated(inner, **options)  # type: ignore[arg-type]
    if name == "product":
        return Product({c: family_called(s, [c]) for c, s in options.get("columns", {}).items()})
    if name == "multinomial":
        options.setdefault("k", len(columns))
    if name == "poisson" and len(columns) == 2:
        options.setdefault("exposure", None)
    return _SIMPLE[name][0](**options)
