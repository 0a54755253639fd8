"""Mixtures of any family, of mixed columns, and latent classes, with scikit-learn's interface."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from latens.engine.accelerators.base import AbstractAccelerator
from latens.engine.prior import Prior
from latens.engine.stop import Stop
from latens.families.base import AbstractFamily
from latens.families.categorical import Categorical
from latens.families.normal import Normal
from latens.families.product import Product
from latens.fitting import fit as fitted
from latens.models.mixture import Mixture
from latens.result import Fit
from latens.sklearn.base import AbstractMixture, own_words, told, weights_for
from latens.sklearn.table import Table, as_categories, is_text, like, table_of


class AbstractColumns(AbstractMixture):
    """A mixture of columns that may be of different kinds; to write another: `_family`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "prior": [Prior, Interval(Real, 0.0, None, closed="neither"), None],
        "accelerate": [AbstractAccelerator, None],
    }
    n_components: int
    tol: float
    max_iter: int
    n_init: int
    random_state: Any
    prior: Prior | float | None
    accelerate: AbstractAccelerator | None

    @abstractmethod
    def _family(self, table: Table) -> Any:
        """The family of the components, or a list of them."""

    def _shared(self) -> Sequence[str]:
        return ()

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit by EM.

        **Arguments:** `X`: a frame or an array, None or NaN where a cell was not seen; `sample_weight` (n,): frequency
        weights.
        """
        table = table_of(self, X, reset=True, least=2)
        weights = weights_for(sample_weight, np.zeros((len(next(iter(table.values()))), 1)))
        family = self._family(table)
        members = family.families if isinstance(family, Product) else {}
        self._named = {name for name, each in members.items() if isinstance(each, Categorical) and each.k is None}
        self._categories: dict[str, dict[str, Any]] = {}
        self._alone = not isinstance(family, Product)
        state = self._begin_draws(self.random_state)
        with own_words():
            self.fit_: Fit = fitted(
                Mixture(family, int(self.n_components), shared=tuple(self._shared())),
                self._given(table, reset=True),
                weights=weights,
                prior=self.prior,
                starts=int(self.n_init),
                seed=int(state.randint(2**31)),
                accelerate=self.accelerate,
                stop=Stop(float(self.tol), int(self.max_iter)),
            )
        self._fitted = self.fit_
        self.params_ = self.fit_.params
        self.weights_ = self.params_["weights"]
        self.converged_, self.n_iter_ = self.fit_.converged, min(len(self.fit_.trace), max(int(self.max_iter), 1))
        self.lower_bound_ = self.fit_.log_likelihood / (self.fit_.n + self.fit_.unseen)
        told(self.fit_, int(self.max_iter))
        return self

    def _given(self, table: Table, *, reset: bool = False) -> Any:
        """The table, or what a family of rows that are no tables takes."""
        if self._alone:
            columns = [np.asarray(column, dtype=np.float64) for column in table.values()]
            return columns[0] if len(columns) == 1 else np.column_stack(columns)
        given: dict[str, Any] = dict(table)
        for name in self._named:
            given[name], known = as_categories(table[name])
            if reset:
                self._categories[name] = known
        return given

    def _back(self, columns: dict[str, Any]) -> Table:
        """Columns as they were handed over: categories by their own values."""
        found = {name: np.asarray(column) for name, column in columns.items()}
        for name, known in self._categories.items():
            found[name] = np.array([known[str(cell)] for cell in found[name]], dtype=object)
        return found

    def _rows(self, X: Any) -> Any:
        return self._given(table_of(self, X, reset=False))

    def _seen(self, rows: Any) -> Any:
        return self._given(rows) if isinstance(rows, dict) else rows

    def _drawn(self, rows: Any, order: np.ndarray) -> Any:
        if not isinstance(rows, dict):
            return rows[order].reshape(len(order), -1)
        return np.column_stack([column[order] for column in self._back(rows).values()])

    def standard_errors_(self, method: str = "observed") -> dict[str, np.ndarray]:
        """Name → standard errors, shaped like `params_`, NaN where there is none; `method` as in `latens.Fit.errors`.

        **Raises:** `latens.InferenceError` with the reason where they cannot be trusted.
        """
        check_is_fitted(self)
        return self.fit_.standard_errors(method)

    def impute(self, X: Any) -> Any:
        """The rows in their own form, every missing cell filled with its conditional expectation or likeliest name."""
        check_is_fitted(self)
        found = self._fitted.impute(self._rows(X), 0).values
        if not isinstance(found, dict):
            found = dict(zip(self._names, np.asarray(found).reshape(len(found), -1).T, strict=True))
        return like(self._back(found), X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.string = True
        return tags


class MixtureModel(AbstractColumns):
    """A mixture of any family, or of the mixed columns of a frame.

    **Arguments:** `family`: a family of `latens`: of whole rows (`lt.MultivariateNormal(3)`), or of one number, which
    every column then has by itself; a dict, column → family; a list, one for each component; None: `lt.Normal()` for
    numbers, `lt.Categorical()` for names. `n_components`; `shared`: names of parameters that are one for all
    components; `prior`: a `latens.Prior` or its weight in observations; `n_init`: starts, tried side by side; `tol`:
    how far the estimates may be from the maximum, in standard errors; `max_iter`: steps of EM; `random_state`;
    `accelerate`: as in `latens.fit`.
    **Attributes:** `fit_`, the `latens.Fit`; `params_`: name → array; `weights_` (k,), `converged_`, `n_iter_`,
    `lower_bound_` (the mean log-likelihood), `n_features_in_`, `feature_names_in_`.
    **Example:**
        >>> import latens as lt
        >>> from latens.sklearn import MixtureModel
        >>> mixture = MixtureModel(lt.Poisson(), 2, random_state=0).fit([[0], [1], [2], [0], [9], [11], [8]])
        >>> sorted(mixture.params_["rate"].round(1).tolist())
        [0.7, 9.3]

    **Source:** McLachlan & Peel (2000), Finite Mixture Models, ch. 5.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **AbstractColumns._parameter_constraints,
        "family": [AbstractFamily, dict, list, None],
        "shared": [list, tuple],
    }

    def __init__(
        self,
        family: Any = None,
        n_components: int = 1,
        *,
        shared: Sequence[str] = (),
        prior: Prior | float | None = None,
        n_init: int = 10,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        random_state: Any = None,
        accelerate: AbstractAccelerator | None = None,
    ) -> None:
        self.family = family
        self.n_components = n_components
        self.shared = shared
        self.prior = prior
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.accelerate = accelerate

    def _family(self, table: Table) -> Any:
        if self.family is None:
            return Product({name: Categorical() if is_text(column) else Normal() for name, column in table.items()})
        if isinstance(self.family, Mapping):
            own = {str(name): each for name, each in self.family.items()}
            absent = [name for name in table if name not in own]
            if absent:
                raise ValueError(f"family: column '{absent[0]}' has none; give one for each column")
            return Product({name: own[name] for name in table})
        if isinstance(self.family, AbstractFamily) and getattr(self.family, "shape", None) == () and len(table) > 1:
            return Product(dict.fromkeys(table, self.family))
        return self.family

    def _shared(self) -> Sequence[str]:
        return self.shared


class LatentClassAnalysis(AbstractColumns):
    """Latent classes: items that are independent within each class, some of which may not have been answered.

        f(x) = Σ_j w_j Π_c f_jc(x_c)

    **Arguments:** `n_components`: classes; `items`: a dict, column → family of `latens`, for those that are not to be
    taken as they look: names and whole numbers as categories, other numbers as normal; the others as in
    `MixtureModel`.
    **Attributes:** as `MixtureModel`; `params_["item.probabilities"]` (k, categories) of each item, in the order of the
    sorted categories.
    **Example:**
        >>> from latens.sklearn import LatentClassAnalysis
        >>> answers = [["yes", "yes"], ["yes", "yes"], ["no", "no"], ["no", "no"], ["no", None]]
        >>> classes = LatentClassAnalysis(2, random_state=0, prior=1.0).fit(answers)
        >>> classes.predict(answers)[0] != classes.predict(answers)[4]
        np.True_

    **Source:** Goodman (1974), Biometrika 61, 215.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **AbstractColumns._parameter_constraints,
        "items": [dict, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        items: Mapping[str, AbstractFamily] | None = None,
        prior: Prior | float | None = None,
        n_init: int = 10,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        random_state: Any = None,
        accelerate: AbstractAccelerator | None = None,
    ) -> None:
        self.n_components = n_components
        self.items = items
        self.prior = prior
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.accelerate = accelerate

    def _family(self, table: Table) -> Product:
        items = {str(name): family for name, family in (self.items or {}).items()}
        unknown = [name for name in items if name not in table]
        if unknown:
            raise ValueError(f"items: there is no column '{unknown[0]}'; there are {', '.join(table)}")
        return Product({name: items.get(name) or _item(column) for name, column in table.items()})


def _item(column: np.ndarray) -> AbstractFamily:
    if is_text(column):
        return Categorical()
    numbers = column[~np.isnan(column)]
    return Categorical() if (numbers == np.round(numbers)).all() else Normal()
