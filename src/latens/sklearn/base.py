"""What the estimators share: how rows are read, weighed and looked at, and how an estimator is kept."""

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from latens import __version__
from latens.engine.stop import Status
from latens.errors import DataError, LatensError
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


WORDS = (
    ("covariance='diagonal'", "covariance_type='diag'"),
    ("choose k of at most", "choose n_components of at most"),
    (", a prior with params", ", a reg_covar above 0"),
    ("starts=20", "n_init=20"),
    ("a shared variance (shared=...) or a prior (prior=1)", "or a prior, which keeps components alive"),
    (", or k to be given", ""),
)
"""What the core calls arguments, and what they are called here."""


@contextmanager
def own_words() -> Iterator[None]:
    """Errors of the core with the arguments that the estimators have."""
    try:
        yield
    except DataError as error:
        raise DataError(_in_own_words(str(error))) from None


def _in_own_words(text: str) -> str:
    for core, own in WORDS:
        text = text.replace(core, own)
    return text


def told(fit: Fit, max_iter: int) -> None:
    """Warn of a fit that ended before a maximum, with its reason."""
    if fit.converged or (max_iter == 0 and fit.status is Status.MAX_STEPS):
        return
    left = fit.last.distance
    near = f"The estimates are {left:.2g} standard errors from the limit" if 0 < left < np.inf else ""
    why = _in_own_words(fit.reason) or near or "It stopped at the largest number of steps"
    warnings.warn(f"{UNCONVERGED} {why[0].upper()}{why[1:]}.", ConvergenceWarning, stacklevel=4)


class AbstractMixture(DensityMixin, Versioned, metaclass=ABCMeta):
    """What every mixture answers once it is fitted: `_fitted` holds the `latens.Fit` that does.

    A row of which nothing was seen has the weights of the components as its probabilities, and log-density 0.
    """

    _fitted: Fit

    @abstractmethod
    def _rows(self, X: Any) -> Any:
        """Checked rows, as the model takes them."""

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
        below = np.cumsum(self._fitted.posterior(self._seen(rows)), axis=1)
        labels = (self._draws.random((n_samples, 1)) * below[:, -1:] > below).sum(1)
        order = np.argsort(labels, kind="stable")
        return self._drawn(rows, order), labels[order]

    def _seen(self, rows: Any) -> Any:
        """Drawn rows as the model takes them."""
        return rows

    def _drawn(self, rows: Any, order: np.ndarray) -> Any:
        return rows[order]

    def _begin_draws(self, random_state: Any, *, again: bool = False) -> np.random.RandomState:
        """The generator of the starts; draws have one of their own, which goes on if the fit does."""
        if again:
            return check_random_state(0)
        state = check_random_state(random_state)
        self._draws = np.random.default_rng(state.randint(2**31, size=4))
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
