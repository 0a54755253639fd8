"""Missing cells filled in by what a normal, or a mixture of normals, expects of them given the rest of the row."""

from typing import Any, ClassVar

import numpy as np
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from latens.engine.accelerators.base import AbstractAccelerator
from latens.sklearn.base import Versioned, weights_for
from latens.sklearn.gaussian import CONSTRAINTS, GaussianMixture, mixture_for


class MixtureImputer(TransformerMixin, Versioned):
    """Imputation by a mixture of normals: E[x_missing | x_seen] under the maximum of the likelihood of what was seen.

    Nearly collinear columns tell much of one another, so `reg_covar` is small here.

    **Arguments:** `n_components`, `covariance_type`, `tol`, `reg_covar`, `max_iter`, `n_init`, `accelerate`: as in
    `GaussianMixture`; `sample_posterior`: draw missing cells, and the params, in the place of expectations, by
    `random_state`; `add_indicator`: columns beside that say where cells were missing; `keep_empty_features`: keep
    columns of which no cell was seen, as zeros.
    **Attributes:** `mixture_`, the `GaussianMixture`; `indicator_`; `n_features_in_`, `feature_names_in_`.
    **Example:**
        >>> import numpy as np
        >>> from latens.sklearn import MixtureImputer
        >>> X = [[1.0, 2.1], [2.0, 3.9], [3.0, 6.2], [4.0, np.nan]]
        >>> MixtureImputer(tol=1e-6, reg_covar=0).fit_transform(X)[3].round(2)
        array([4.  , 8.17])

    **Source:** Little & Rubin (2019), Statistical Analysis with Missing Data, §11.2.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CONSTRAINTS,
        "sample_posterior": ["boolean"],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-10,
        max_iter: int = 10_000,
        n_init: int = 1,
        sample_posterior: bool = False,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: Any = None,
        accelerate: AbstractAccelerator | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.sample_posterior = sample_posterior
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.accelerate = accelerate

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "MixtureImputer":
        """Fit the mixture to the rows (n, d), NaN where a cell was not seen, with frequency weights (n,)."""
        X = self._checked(X, reset=True)
        weights = weights_for(sample_weight, X)
        self._some = ~np.isnan(X if weights is None else X[weights > 0]).all(0)
        if self.add_indicator:
            from sklearn.impute import MissingIndicator

            self.indicator_ = MissingIndicator(error_on_new=False).fit(X)
        self.mixture_: GaussianMixture | None = None
        if self._some.any():
            self.mixture_ = mixture_for(self).fit(X[:, self._some], sample_weight=weights)
        self.n_iter_ = 1 if self.mixture_ is None else max(self.mixture_.n_iter_, 1)
        self._draws = np.random.default_rng(check_random_state(self.random_state).randint(2**31, size=4))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """(n, d) the rows with every missing cell filled in; indicators beside, if asked for."""
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        found = X.copy() if self.keep_empty_features else X[:, self._some]
        own = self._some if self.keep_empty_features else np.ones(found.shape[1], dtype=bool)
        holes = np.isnan(X[:, self._some]).any()
        if self.mixture_ is not None and holes:
            found[:, own] = self._filled(self.mixture_, X[:, self._some])
        found[:, ~own] = np.where(np.isnan(found[:, ~own]), 0.0, found[:, ~own])
        return np.hstack([found, self.indicator_.transform(X)]).astype(X.dtype) if self.add_indicator else found

    def _filled(self, mixture: GaussianMixture, X: np.ndarray) -> np.ndarray:
        if not self.sample_posterior:
            return mixture.impute(X)
        drawn = mixture.fit_.impute(X.astype(np.float64), draws=1, seed=int(self._draws.integers(2**31)))
        return np.asarray(drawn.draws[0]).astype(X.dtype)

    def _checked(self, X: Any, *, reset: bool) -> np.ndarray:
        kinds, least = [np.float64, np.float32], 2 if reset else 1
        return np.asarray(
            validate_data(self, X, reset=reset, dtype=kinds, ensure_all_finite="allow-nan", ensure_min_samples=least)
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that `transform` gives."""
        from sklearn.utils.validation import _check_feature_names_in

        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        own = names if self.keep_empty_features else names[self._some]
        return np.concatenate([own, self.indicator_.get_feature_names_out(names)]) if self.add_indicator else own

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class GaussianImputer(MixtureImputer):
    """Imputation by one normal: the regression of each missing cell on what was seen, at the maximum of the likelihood.

    What `IterativeImputer` seeks by going round the columns, as the exact conditional expectation.

    **Arguments:** `tol`, `reg_covar`, `max_iter`, `sample_posterior`, `add_indicator`, `keep_empty_features`,
    `random_state`, `accelerate`: as in `MixtureImputer`.
    **Attributes:** as `MixtureImputer`.
    **Example:**
        >>> import numpy as np
        >>> from latens.sklearn import GaussianImputer
        >>> X = [[1.0, 2.1], [2.0, 3.9], [3.0, 6.2], [4.0, np.nan]]
        >>> GaussianImputer(add_indicator=True).fit(X).get_feature_names_out()
        array(['x0', 'x1', 'missingindicator_x1'], dtype=object)

    **Source:** Little & Rubin (2019), Statistical Analysis with Missing Data, §11.2.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        name: kinds
        for name, kinds in MixtureImputer._parameter_constraints.items()
        if name not in ("n_components", "covariance_type", "n_init")
    }

    def __init__(
        self,
        *,
        tol: float = 1e-3,
        reg_covar: float = 1e-10,
        max_iter: int = 10_000,
        sample_posterior: bool = False,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: Any = None,
        accelerate: AbstractAccelerator | None = None,
    ) -> None:
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.sample_posterior = sample_posterior
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.accelerate = accelerate
