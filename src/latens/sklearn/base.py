"""What the estimators share: how rows are read, weighed and looked at, and how an estimator is kept."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from latens import __version__
from latens.engine.stop import Status
from latens.errors import LatensError
from latens.result import Fit

UNCONVERGED = (
    "Best performing initialization did not converge. Try different init parameters, or increase max_iter, tol, or "
    "check for degenerate data."
)


class Versioned(BaseEstimator):
    """An estimator that only the version that pickled it reads: another could make a wrong model of it."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_latens_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop("_latens_version", "another")
        if version != __version__:
            raise LatensError(
                f"this {type(self).__name__} was pickled by latens {version}, and this is {__version__}: fit it anew, "
                "or unpickle it there and keep its params"
            )
        super().__setstate__(state)


def weights_for(sample_weight: Any, X: Any) -> np.ndarray | None:
    """(n,) checked frequency weights, None for ones."""
    if sample_weight is None:
        return None
    weights = np.asarray(_check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True))
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def averaged(values: np.ndarray, weights: np.ndarray | None) -> float:
    """The mean over rows, or over what they count for."""
    return float(np.average(values, weights=weights))


def told(fit: Fit, max_iter: int) -> None:
    """Warn of a fit that ended before a maximum, with its reason."""
    if fit.converged or (max_iter == 0 and fit.status is Status.MAX_STEPS):
        return
    why = fit.reason or f"The estimates are {fit.last.distance:.2g} standard errors from the limit"
    for core, own in (("starts=20", "n_init=20"), ("a shared variance (shared=...) or ", "")):
        why = why.replace(core, own)
    warnings.warn(f"{UNCONVERGED} {why[0].upper()}{why[1:]}.", ConvergenceWarning, stacklevel=4)


class AbstractMixture(DensityMixin, Versioned):
    """What every mixture answers once it is fitted: `_fitted` holds the `latens.Fit` that does.

    A row of which nothing was seen has the weights of the components as its probabilities, and log-density 0.
    """

    _fitted: Fit

    def _rows(self, X: Any) -> Any:
        """Checked rows, as the model takes them."""
        raise NotImplementedError

    def _like(self, values: Any, X: Any) -> np.ndarray:
        """Results as precise as the rows."""
        return np.asarray(values)

    def score_samples(self, X: Any) -> np.ndarray:
        """(n,) log-density of each row, of what was seen of it."""
        check_is_fitted(self)
        return self._like(self._fitted.log_density(self._rows(X)), X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The mean log-density of the rows, weighted by `sample_weight` (n,)."""
        values = self.score_samples(X)
        return averaged(values, weights_for(sample_weight, values[:, None]))

    def predict_proba(self, X: Any) -> np.ndarray:
        """(n, k) probabilities of the components, given what was seen of each row."""
        check_is_fitted(self)
        return self._like(self._fitted.posterior(self._rows(X)), X)

    def predict(self, X: Any) -> np.ndarray:
        """(n,) the most probable component of each row."""
        return np.asarray(self.predict_proba(X).argmax(1))

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, and the most probable component of each row, as `fit(X).predict(X)`."""
        fitted: AbstractMixture = self.fit(X, y, sample_weight=sample_weight)
        return fitted.predict(X)

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike's criterion of the rows: −2ℓ + 2p, the lower the better."""
        total, _ = self._total(X, sample_weight)
        return -2 * total + 2 * self._fitted.free_parameters

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Schwarz's criterion of the rows: −2ℓ + p log n, the lower the better."""
        total, n = self._total(X, sample_weight)
        return -2 * total + self._fitted.free_parameters * float(np.log(n))

    def _total(self, X: Any, sample_weight: Any) -> tuple[float, float]:
        values = self.score_samples(X)
        weights = weights_for(sample_weight, values[:, None])
        n = float(len(values)) if weights is None else float(weights.sum())
        return averaged(values, weights) * n, n

    def sample(self, n_samples: int = 1) -> tuple[Any, np.ndarray]:
        """Rows drawn from the fitted mixture, and the component of each, in the order of the components.

        With `random_state=` a number the first call after `fit` always gives the same rows, the next one others.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample.")
        rows = self._fitted.sample(int(n_samples), seed=int(self._draws.integers(2**31)))
        # z is drawn given x: together they are drawn from f(x, z)
        below = np.cumsum(self._fitted.posterior(rows), axis=1)
        labels = (self._draws.random((n_samples, 1)) * below[:, -1:] > below).sum(1)
        order = np.argsort(labels, kind="stable")
        return self._drawn(rows, order), labels[order]

    def _drawn(self, rows: Any, order: np.ndarray) -> Any:
        return rows[order]

    def _begin_draws(self, random_state: Any) -> np.random.RandomState:
        """The generator of the starts; draws go on from a generator of their own."""
        state = check_random_state(random_state)
        self._draws = np.random.default_rng(state.randint(2**31, size=4))
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
