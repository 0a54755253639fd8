"""Densities by mixtures put to use: a mixture for each class, and rows where the density is low."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, OutlierMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from latens.engine.accelerators.base import AbstractAccelerator
from latens.sklearn.base import Versioned, weights_for
from latens.sklearn.gaussian import CONSTRAINTS, GaussianMixture, mixture_for


class AbstractGaussian(Versioned):
    """What is made of mixtures of normals."""

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 1_000,
        n_init: int = 1,
        random_state: Any = None,
        accelerate: AbstractAccelerator | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.random_state = random_state
        self.accelerate = accelerate

    def _checked(self, X: Any) -> np.ndarray:
        kinds = [np.float64, np.float32]
        return np.asarray(validate_data(self, X, reset=False, dtype=kinds, ensure_all_finite="allow-nan"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class MixtureClassifier(ClassifierMixin, AbstractGaussian):
    """A mixture of normals for each class, and Bayes' rule: what mclust calls MclustDA.

        P(y | x) ∝ P(y) Σ_j w_yj N(x; μ_yj, Σ_yj)

    **Arguments:** as in `GaussianMixture`; `n_components` for each class. Cells of `X` may be missing.
    **Attributes:** `classes_`, `class_prior_` (c,), `mixtures_`: the `GaussianMixture` of each class.
    **Example:**
        >>> from latens.sklearn import MixtureClassifier
        >>> X, y = [[0.0], [0.5], [1.0], [5.0], [5.5], [6.5]], ["low"] * 3 + ["high"] * 3
        >>> MixtureClassifier().fit(X, y).predict([[0.7], [6.0]])
        array(['low', 'high'], dtype='<U4')

    **Source:** Fraley & Raftery (2002), JASA 97, 611, §4.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MixtureClassifier":
        """Fit a mixture to the rows (n, d) of each class y (n,), with frequency weights (n,)."""
        kinds = [np.float64, np.float32]
        X, y = validate_data(self, X, y, dtype=kinds, ensure_all_finite="allow-nan", ensure_min_samples=2)
        check_classification_targets(y)
        weights = weights_for(sample_weight, X)
        weights = np.ones(len(X)) if weights is None else weights
        self.classes_, which = np.unique(y, return_inverse=True)
        sizes = np.bincount(which, weights=weights)
        self.class_prior_ = sizes / sizes.sum()
        self.mixtures_: list[GaussianMixture | None] = []
        for c in range(len(self.classes_)):
            rows = (which == c) & (weights > 0)
            self.mixtures_.append(mixture_for(self)._fit(X[rows], weights[rows]) if rows.any() else None)
        self.n_iter_ = max(mixture.n_iter_ for mixture in self.mixtures_ if mixture is not None)
        return self

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """(n, c) log-probabilities of the classes."""
        check_is_fitted(self)
        X = np.ascontiguousarray(self._checked(X), dtype=np.float64)
        each = [np.full(len(X), -np.inf) if m is None else m.fit_.log_density(X) for m in self.mixtures_]
        with np.errstate(divide="ignore"):
            prior = np.log(self.class_prior_)
            joint = np.column_stack(each) + prior
        joint = np.where(np.isfinite(joint).any(1, keepdims=True), joint, prior)  # so far away no class has a density
        joint -= joint.max(1, keepdims=True)
        return np.asarray(joint - np.log(np.exp(joint).sum(1, keepdims=True)))

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, c) probabilities of the classes."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """(n,) the most probable class of each row."""
        found = self.predict_log_proba(X).argmax(1)
        return np.asarray(self.classes_[found])


class MixtureDensity(OutlierMixin, AbstractGaussian):
    """Rows where the density of a mixture of normals is low are outliers.

    All cells must have been seen: densities of more and of fewer cells cannot be compared.

    **Arguments:** as in `GaussianMixture`; `contamination`: the share of the rows of `fit` that are to be outliers.
    **Attributes:** `mixture_`, the `GaussianMixture`; `offset_`: the log-density below which a row is an outlier.
    **Example:**
        >>> import numpy as np
        >>> from latens.sklearn import MixtureDensity
        >>> X = np.append(np.linspace(-1, 1, 19), 30.0)[:, None]
        >>> MixtureDensity(contamination=0.05).fit_predict(X)[-2:]
        array([ 1, -1])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CONSTRAINTS,
        "contamination": [Interval(Real, 0.0, 0.5, closed="right")],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        contamination: float = 0.1,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 1_000,
        n_init: int = 1,
        random_state: Any = None,
        accelerate: AbstractAccelerator | None = None,
    ) -> None:
        super().__init__(
            n_components,
            covariance_type=covariance_type,
            tol=tol,
            reg_covar=reg_covar,
            max_iter=max_iter,
            n_init=n_init,
            random_state=random_state,
            accelerate=accelerate,
        )
        self.contamination = contamination

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "MixtureDensity":
        """Fit the mixture to the rows (n, d), with frequency weights (n,)."""
        kinds = [np.float64, np.float32]
        X = validate_data(self, X, dtype=kinds, ensure_min_samples=2)
        weights = weights_for(sample_weight, X)
        self.mixture_ = mixture_for(self).fit(X, sample_weight=weights)
        scores = self.mixture_.score_samples(X).astype(np.float64)
        self.n_iter_ = self.mixture_.n_iter_
        self.offset_ = _quantile(scores, np.ones(len(X)) if weights is None else weights, self.contamination)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """(n,) log-density of each row."""
        check_is_fitted(self)
        return self.mixture_.score_samples(validate_data(self, X, reset=False, dtype=[np.float64, np.float32]))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        return tags

    def decision_function(self, X: Any) -> np.ndarray:
        """(n,) log-density above that of the least dense of the inliers; below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """(n,) 1 for inliers, −1 for outliers."""
        return np.where(self.decision_function(X) < 0, -1, 1)


def _quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The value that so large a share of the weight lies below."""
    order = np.argsort(values)
    below = np.cumsum(weights[order]) / weights.sum()
    at = int(np.searchsorted(below, share, side="right"))
    return float(values[order][min(at, len(values) - 1)])
