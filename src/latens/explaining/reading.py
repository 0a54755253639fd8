"""Formulas read off the code that computes them: the program of a function, run on symbols.

Nothing is written beside the code, so a formula is right where the code is, of a user's own model, too.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import sympy as sp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from latens.errors import LatensError
from latens.numerics.compiling import double

KNOWN = {1.0: sp.Integer(1), np.pi: sp.pi, np.log(2 * np.pi): sp.log(2 * sp.pi), np.log(2): sp.log(2)}
MOVES = {
    "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "dynamic_slice", "gather", "pad", "reshape",
    "rev", "scatter", "slice", "split", "squeeze", "stop_gradient", "transpose", "expand_dims",
}  # fmt: skip
LONGEST = 300  # operations in a formula that is followed further
MOST_SYMBOLS = 150  # parameters and entries of a datum: of more no formula could be taken in
CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
DECISIONS = {
    "gt": np.greater, "ge": np.greater_equal, "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip


class NoFormula(LatensError):
    """A computation that is a procedure, such as a search, and no formula."""


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of formulas, of arrays of them."""
    return np.vectorize(function, otypes=[object])


RULES: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "add_any": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "pow": lambda a, b: a**b,
    "square": lambda a: a * a,
    "log": _each(sp.log),
    "exp": _each(sp.exp),
    "sqrt": _each(sp.sqrt),
    "rsqrt": _each(lambda a: 1 / sp.sqrt(a)),
    "lgamma": _each(sp.loggamma),
    "digamma": _each(sp.digamma),
    "log1p": _each(lambda a: sp.log(1 + a)),
    "expm1": _each(lambda a: sp.exp(a) - 1),
    "logistic": _each(lambda a: 1 / (1 + sp.exp(-a))),
    "tanh": _each(sp.tanh),
    "sin": _each(sp.sin),
    "cos": _each(sp.cos),
    "erf": _each(sp.erf),
}


# functions of numerics/special.py that are computed by series
OURS: dict[str, Callable[..., Any]] = {
    "log": _each(sp.log),
    "log1pmx": _each(lambda x: sp.log(1 + x) - x),
    "expm1mx": _each(lambda x: sp.exp(x) - 1 - x),
    "log_mixed": _each(lambda share, x: sp.log(1 - share + share * sp.exp(x)) - share * x),
    "stirling": _each(lambda a: sp.loggamma(a) - a * sp.log(a) + a),
}


def number(value: Any) -> Any:
    """A number as people write it: a fraction, or a multiple of a known constant."""
    value = float(value)
    if not np.isfinite(value):
        return sp.nan if np.isnan(value) else sp.oo * int(np.sign(value))
    for constant, symbol in KNOWN.items():
        near = sp.Rational(value / constant).limit_denominator(64)
        if near and abs(float(near) * constant - value) <= 1e-15 * abs(value):
            return near * symbol
    return sp.Integer(0) if value == 0 else sp.Float(value)


def _constant(value: Any) -> np.ndarray:
    """Numbers as formulas; flags and whole numbers, by which is decided and indexed, as they are."""
    array = np.asarray(value)
    if array.dtype.kind != "f" or not array.size:
        return array
    return np.asarray(_each(number)(array))


def is_constant(array: np.ndarray) -> bool:
    """Whether no symbol is in it."""
    return array.dtype != object or not any(each.free_symbols for each in array.flat)


@double
def read(function: Callable[..., Any], *given: Any, at: Mapping[Any, float]) -> Any:
    """What a function gives of trees of arrays of symbols, as a tree of arrays of formulas.

    Where the code decides by a number, it is by the values of the symbols `at` a point.

    **Raises:** `NoFormula` where it searches, or does what has no formula in single numbers.
    """
    leaves, tree = jax.tree.flatten(given)
    shapes = jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(np.shape(leaf), np.float64) for leaf in leaves])
    program, shape = jax.make_jaxpr(function, return_shape=True)(*shapes)
    with np.errstate(all="ignore"):  # of branches that are not taken
        found = _Reader(at).run(program.jaxpr, program.consts, [np.asarray(leaf, dtype=object) for leaf in leaves])
    return jax.tree.unflatten(jax.tree.structure(shape), found)


class _Reader:
    """A program run on formulas, and the point by which it decides."""

    def __init__(self, at: Mapping[Any, float]) -> None:
        self.at = {symbol: sp.Float(value, 17) for symbol, value in at.items()}
        self.flags: dict[str, Any] = {}

    def run(self, program: Jaxpr, constants: Any, given: list[np.ndarray]) -> list[np.ndarray]:
        known: dict[Any, np.ndarray] = dict(zip(program.constvars, map(_constant, constants), strict=True))
        known |= dict(zip(program.invars, given, strict=True))

        def of(variable: Any) -> np.ndarray:
            return _constant(variable.val) if isinstance(variable, Literal) else known[variable]

        for each in program.eqns:
            found = self._done(each, list(map(of, each.invars)))
            for variable, array in zip(each.outvars, found, strict=True):
                known[variable] = np.reshape(np.asarray(array), variable.aval.shape)  # type: ignore[attr-defined]
                _check_length(known[variable])
        return list(map(of, program.outvars))

    def values(self, array: np.ndarray) -> np.ndarray:
        """Formulas at the point."""
        if array.dtype != object:
            return array
        return np.vectorize(lambda each: float(each.subs(self.at)), otypes=[float])(array)

    def _done(self, each: JaxprEqn, given: list[np.ndarray]) -> list[Any]:
        name, params = each.primitive.name, each.params
        inner = next((params[key] for key in CALLS if key in params), None)
        if name == "custom_jvp_call" and (known := _known(inner)) is not None:
            return [known(*given)]
        if inner is not None and name not in ("while", "scan"):
            closed = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
            return self.run(closed.jaxpr, closed.consts, given)
        if name == "cond":
            branch = params["branches"][int(self.values(given[0]))]
            return self.run(branch.jaxpr, branch.consts, given[1:])
        if all(map(is_constant, given)):
            return list(map(_constant, _computed(each, list(map(self.values, given)))))
        if name in MOVES:
            return _moved(each, given)
        if name in RULES:
            return [RULES[name](*given)]
        if name == "scatter-add":
            return [_added(each, *given)]
        if name == "eq" and (flags := self._flags(*given)) is not None:
            return [flags]
        if name in DECISIONS or name == "is_finite":
            return [DECISIONS.get(name, np.isfinite)(*map(self.values, given))]
        if name in ("max", "min"):
            first, second = np.broadcast_arrays(*map(self.values, given))
            return [np.where(first >= second if name == "max" else first <= second, *given)]
        if name == "abs":
            return [np.where(self.values(given[0]) >= 0, given[0], -given[0])]
        if name == "sign":
            return [_constant(np.sign(self.values(given[0])))]
        if name == "integer_pow":
            return [given[0] ** params["y"]]
        if name == "reduce_sum":
            return [given[0].sum(axis=tuple(params["axes"]))]
        if name in ("reduce_max", "reduce_min"):
            return [self._extreme(given[0], tuple(params["axes"]), 1 if name == "reduce_max" else -1)]
        if name == "cumsum":
            return [np.cumsum(given[0], axis=params["axis"])]
        if name == "select_n":
            cases = [np.asarray(case, dtype=object) for case in np.broadcast_arrays(*given[1:])]
            return [np.choose(np.broadcast_to(self.values(given[0]).astype(int), cases[0].shape), cases)]
        if name == "dot_general":
            return [_product(each, *given)]
        if len(each.outvars) == 1 and each.outvars[0].aval.dtype == bool:  # type: ignore[attr-defined]
            return _computed(each, list(map(self.values, given)))
        raise NoFormula(f"'{name}' is a procedure, and no formula in single numbers")

    def _flags(self, one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
        """[y=3]: 1 where it is so and 0 elsewhere, for letters set beside numbers; None for anything else."""
        left, right = np.broadcast_arrays(one, other)
        if is_constant(left):
            left, right = right, left
        if not all(
            getattr(a, "is_Symbol", False) and not getattr(b, "free_symbols", ())
            for a, b in zip(left.flat, right.flat, strict=True)
        ):
            return None
        out = np.empty(left.shape, dtype=object)
        for place in np.ndindex(left.shape):
            value = float(right[place])
            letter: Any = left[place]
            flag = sp.Symbol(f"[{letter.name}={value:g}]")
            self.at[flag] = sp.Integer(int(float(letter.subs(self.at)) == value))
            out[place] = flag
        return out

    def _extreme(self, array: np.ndarray, axes: tuple[int, ...], side: int) -> np.ndarray:
        flat = np.moveaxis(array, axes, range(-len(axes), 0)).reshape(*np.delete(array.shape, axes), -1)
        best = np.argmax(side * self.values(flat), axis=-1)
        return np.take_along_axis(flat, best[..., None], -1)[..., 0]


def _known(inner: Any) -> Callable[..., Any] | None:
    """One of our own functions whose code is a series, by its name."""
    program = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
    told = str(program.debug_info.func_src_info)
    return OURS.get(program.debug_info.func_name) if "numerics/special.py" in told.replace("\\", "/") else None


def _check_length(array: np.ndarray) -> None:
    if array.dtype == object and any(formula.count_ops() > LONGEST for formula in array.flat):
        raise NoFormula("the formula is too long to be taken in")


def _computed(each: JaxprEqn, operands: list[np.ndarray]) -> list[np.ndarray]:
    """What an operation gives of numbers."""
    typed = [np.asarray(part, v.aval.dtype) for part, v in zip(operands, each.invars, strict=True)]  # type: ignore[attr-defined]
    found = each.primitive.bind(*typed, **each.params)
    return list(map(np.asarray, found if each.primitive.multiple_results else [found]))


def _moved(each: JaxprEqn, given: list[np.ndarray]) -> list[np.ndarray]:
    """An operation that only moves entries: it is done to their places in a list of all, and the list is looked up."""
    if each.primitive.name in ("convert_element_type", "copy", "stop_gradient"):
        return given
    entries: list[Any] = []
    places = []
    for part in given:
        if part.dtype == object:
            places.append(np.arange(part.size).reshape(part.shape) + len(entries))
            entries += list(part.flat)
        else:
            places.append(part)
    table = np.array([*entries, None], dtype=object)
    return [table[place.astype(int)] for place in _computed(each, places)]


def _added(each: JaxprEqn, into: np.ndarray, places: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """Updates added where the numbers of their places say: found out one after the other."""
    out = np.array(into, dtype=object)
    for place in np.ndindex(updates.shape):
        only = np.zeros(updates.shape)
        only[place] = 1.0
        out[_computed(each, [np.zeros(out.shape), places, only])[0] != 0] += updates[place]
    return out


def _product(each: JaxprEqn, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    (along_left, along_right), (batch_left, batch_right) = each.params["dimension_numbers"]
    if not batch_left:
        return np.asarray(np.tensordot(left, right, axes=(along_left, along_right)), dtype=object)
    if len(batch_left) > 1 or batch_left[0] or batch_right[0]:
        raise NoFormula("a product of stacks of matrices has no formula in single numbers")
    axes = [tuple(axis - 1 for axis in along) for along in (along_left, along_right)]
    found = [np.tensordot(a, b, axes) for a, b in zip(left, right, strict=True)]  # type: ignore[call-overload]
    return np.stack([np.asarray(each, dtype=object) for each in found])
