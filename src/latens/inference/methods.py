"""Methods by the names they are asked for."""

from latens.errors import ParameterError
from latens.inference.bootstrap import Bootstrap, ParametricBootstrap
from latens.inference.errors import AbstractMethod, Louis, Oakes, Observed
from latens.inference.profile import Profile
from latens.inference.sandwich import OPG, Sandwich
from latens.inference.sem import SEM, ExactSEM

METHODS: dict[str, AbstractMethod] = {
    method.name: method
    for method in (
        Observed(),
        Louis(),
        Oakes(),
        SEM(),
        ExactSEM(),
        OPG(),
        Sandwich(),
        Bootstrap(),
        ParametricBootstrap(),
        Profile(),
    )
}


def method_for(given: str | AbstractMethod) -> AbstractMethod:
    """The method itself, or the one of that name; `ParameterError` for an unknown one."""
    if isinstance(given, AbstractMethod):
        return given
    if given not in METHODS:
        raise ParameterError(f"unknown method {given!r}; there are {', '.join(METHODS)}")
    return METHODS[given]
