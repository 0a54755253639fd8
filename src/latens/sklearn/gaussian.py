"""`GaussianMixture` as scikit-learn has it, with weights, missing cells, standard errors, a tolerance that holds."""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from latens.engine.accelerators.base import AbstractAccelerator
from latens.engine.loop import Iterate
from latens.engine.prior import Prior, Ridge
from latens.engine.problem import Problem
from latens.engine.solve import solve
from latens.engine.sourced import problem_of
from latens.engine.starts import chosen
from latens.engine.stop import Stop
from latens.errors import LatensError
from latens.families.multivariate_normal import MultivariateNormal
from latens.inference.imputation import Conditional
from latens.models.mixture import Mixture
from latens.numerics.space import Params
from latens.result import Fit
from latens.sklearn.base import AbstractMixture, own_words, told, weights_for
from latens.sklearn.given import (
    KINDS,
    about,
    array_of,
    factors_of,
    inverse_of,
    matrices_of,
    spread_name,
    spreads_of,
    weights_of,
)
from latens.sklearn.starts import Seeds, led_to

MANY, SEVERAL = 2_048, 3  # rows, more than which are asked where to begin; and among how many starts
FEWEST = 100  # steps, fewer than which are counted for each start
AT_LEAST = 3  # rows of each component that a model without data is shown


class GaussianMixture(AbstractMixture):
    """A mixture of k normals, with the arguments, attributes and methods of `sklearn.mixture.GaussianMixture`.

        f(x) = Σ_j w_j N(x; μ_j, Σ_j)

    **Arguments:** as in scikit-learn, `n_components`, `covariance_type` ("full", "tied", "diag", "spherical"),
    `max_iter` (steps of EM, accelerated), `n_init` (starts, tried side by side), `init_params`, `weights_init` (k,),
    `means_init` (k, d), `precisions_init`, `random_state`, `warm_start`, `verbose`, `verbose_interval`, but for two:
    `tol`: how far the estimates may be from the maximum, in standard errors, where scikit-learn looks at the gain of
    one step; `reg_covar`: a floor of the covariances, added to those of components of equal size in units of the
    variance that each column has within groups (a column that does not vary: 1), and an exact maximum a posteriori,
    where scikit-learn adds it to the variances as they are. With `means_init` alone, components are equal in size
    and in the spread that the rows have about the nearest of these means. Besides, `prior`:
    a `latens.Prior` or its weight in observations, in the place of `reg_covar`; `accelerate`: as in `latens.fit`.
    **Attributes:** `weights_` (k,), `means_` (k, d), `covariances_`, `precisions_`, `precisions_cholesky_` (upper
    factors; shapes by `covariance_type`), `converged_`, `n_iter_`, `lower_bound_` (the mean log-likelihood at these
    params), `lower_bounds_` (n_iter_,), `n_features_in_`, `feature_names_in_`; and `fit_`, the `latens.Fit`.
    **Raises:** `ValueError`, as scikit-learn's; warns with a `ConvergenceWarning` and its reason if no maximum was
    reached; the attributes are then those of the last usable point.
    **Example:**
        >>> import numpy as np
        >>> from latens.sklearn import GaussianMixture
        >>> X = np.array([[1, 2], [1, 4], [2, 0], [10, 22], [9, np.nan], [10, 20], [8, 21]])
        >>> mixture = GaussianMixture(2, covariance_type="spherical", random_state=0).fit(X)
        >>> mixture.predict([[0, 0], [12, 23]]) == mixture.predict([[1, np.nan], [9, 21]])
        array([ True,  True])

    **Source:** Pedregosa et al. (2011), JMLR 12, 2825, for the interface; McLachlan & Peel (2000), Finite Mixture
    Models, ch. 3.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(KINDS))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"kmeans", "random", "random_from_data", "k-means++"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "prior": [Prior, Interval(Real, 0.0, None, closed="neither"), None],
        "accelerate": [AbstractAccelerator, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        prior: Prior | float | None = None,
        accelerate: AbstractAccelerator | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.prior = prior
        self.accelerate = accelerate

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "GaussianMixture":
        """Fit by EM.

        **Arguments:** `X` (n, d): rows, NaN where a cell was not seen; `sample_weight` (n,): frequency weights.
        """
        before = getattr(self, "n_features_in_", None)
        kinds = [np.float64, np.float32]
        X = validate_data(self, X, dtype=kinds, ensure_min_samples=2, ensure_all_finite="allow-nan")
        if len(X) < self.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, n_samples = {len(X)}"
            )
        again = self.warm_start and hasattr(self, "fit_") and before == X.shape[1]
        return self._fit(X, weights_for(sample_weight, X), again=again)

    def _fit(self, X: np.ndarray, weights: np.ndarray | None, *, again: bool = False) -> "GaussianMixture":
        """Fit checked rows, from where the last fit ended if `again`."""
        (n, d), k, kind = X.shape, int(self.n_components), self.covariance_type
        given = self._given(d)
        rows, w = np.ascontiguousarray(X, dtype=np.float64), np.ones(n) if weights is None else weights
        kept = slice(None) if w.all() else w > 0
        names = getattr(self, "feature_names_in_", None)
        gone = np.isnan(rows[kept]).all(0)
        if gone.any():
            name = int(np.argmax(gone)) if names is None else names[np.argmax(gone)]
            raise ValueError(f"Input X: column {name!r} has no cell that was seen: leave it out")
        state = self._begin_draws(self.random_state, again=again)
        seeds = Seeds(rows[kept], w[kept], k, state)
        prior = self.prior
        if prior is None and self.reg_covar:
            prior = floor_of(seeds, kind, self.reg_covar)
        data: Any = rows if names is None else dict(zip(names, rows.T, strict=True))
        with own_words():
            problem = problem_of(model_of(k, d, kind), data, weights, None, prior)
        if again and problem.space.shapes == self._fitted._problem.space.shapes:
            starts: list[Params] = [self._fitted.params]
        else:
            starts = self._starts(problem, seeds, given)
        self._dtype, self._kind, self.n_features_in_ = X.dtype, kind, d
        stop = Stop(float(self.tol) if self.max_iter else 0.0, int(self.max_iter))

        def to_the_end(start: Any) -> Fit:
            watch = self._watch if self.verbose else None
            with own_words():
                return Fit(*solve(problem, start=start, accelerate=self.accelerate, stop=stop, watch=watch))

        if len(starts) > 1 and 0 < self.max_iter < FEWEST:  # as many steps for each
            self.fit_ = max(map(to_the_end, starts), key=lambda fit: fit.log_posterior)
        else:
            self.fit_ = to_the_end(starts if len(starts) > 1 and self.max_iter else starts[0])
        self._found(self.fit_)
        told(self.fit_, self.max_iter)
        return self

    def _given(self, d: int) -> Params:
        """What was said of where to begin, checked."""
        k, kind, found = self.n_components, self.covariance_type, dict[str, np.ndarray]()
        if self.weights_init is not None:
            found["weights"] = weights_of(self.weights_init, k)
        if self.means_init is not None:
            found["mean"] = array_of(self.means_init, (k, d), "means")
        if self.precisions_init is not None:
            found[spread_name(kind)] = inverse_of(spreads_of(self.precisions_init, kind, k, d), kind)
        return found

    def _starts(self, problem: Problem, seeds: Seeds, given: Params) -> list[Params]:
        if len(given) == 3:
            return [given]
        if "mean" in given:
            found = led_to(problem, seeds, seeds.nearest(given["mean"]))
            return [about(found, given["mean"], self.covariance_type) | given]
        if seeds.k == 1:
            return [led_to(problem, seeds, np.ones((len(seeds.rows), 1))) | given]
        # a bad start takes more steps than it costs to see which of a few is good
        if self.n_init > 1 or len(problem.weights) <= MANY or self.max_iter < FEWEST:
            drawn = [seeds.memberships(self.init_params, self.covariance_type) for _ in range(self.n_init)]
            return [led_to(problem, seeds, each) | given for each in drawn]
        several = seeds.several(self.init_params, SEVERAL)
        points = [problem.free(led_to(problem, seeds, each) | given) for each in several]
        return [problem.params(chosen(problem, points, int(self._draws.integers(2**31))))]

    def _found(self, fit: Fit) -> None:
        """What is read off a fit."""
        self._fitted = fit
        params = {name: np.asarray(value).astype(self._dtype) for name, value in fit.params.items()}
        self.weights_ = params["weights"]
        spread = spread_name(self._kind)
        self.means_, self.covariances_ = params["mean"], params[spread]
        cholesky, inverse = factors_of(fit.params[spread], self._kind)
        self.precisions_cholesky_, self.precisions_ = cholesky.astype(self._dtype), inverse.astype(self._dtype)
        self.converged_, self.n_iter_ = fit.converged, min(len(fit.trace), int(self.max_iter))
        ends, rows = fit.trace[len(fit.trace) - self.n_iter_ :], fit.n + fit.unseen
        # log-posteriors are known up to a constant: it is chosen so that the last is the log-likelihood
        self.lower_bounds_ = ((ends + (fit.log_likelihood - fit.log_posterior)) / rows).tolist()
        self.lower_bound_ = fit.log_likelihood / rows

    def _watch(self, steps: Iterator[Iterate], stop: Stop) -> Iterator[Iterate]:
        print("Initialization 0" if self.n_init == 1 else f"Initializations 0 to {self.n_init - 1}, side by side")
        before, last = 0.0, None
        for number, last in enumerate(steps):
            if number and number % self.verbose_interval == 0:
                gain = (last.log_likelihood - before) / last.problem.n
                print(f"  Iteration {number}" + (f"\t ll change {gain:.5f}" if self.verbose > 1 else ""))
            before = last.log_likelihood
            yield last
        ended = last is not None and last.status.value == "converged"
        print(f"Initialization {'converged' if ended else 'did not converge'}.")

    def _rows(self, X: Any) -> np.ndarray:
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
        return np.ascontiguousarray(X, dtype=np.float64)

    def _like(self, values: Any, X: Any) -> np.ndarray:
        return np.asarray(values).astype(np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64)

    def standard_errors_(self, method: str = "observed") -> dict[str, np.ndarray]:
        """Of `weights`, `means` and `covariances`, shaped like them; `method` as in `latens.Fit.errors`.

        **Raises:** `latens.InferenceError` with the reason where they cannot be trusted.
        """
        check_is_fitted(self)
        if not hasattr(self, "fit_"):
            raise LatensError("there are no standard errors of params that were given: fit the mixture to data")
        found = self.fit_.standard_errors(method)
        own = {"means": found["mean"], "covariances": found[spread_name(self._kind)]}
        return {"weights": found["weights"]} | own

    def impute(self, X: Any) -> np.ndarray:
        """(n, d) the rows, every missing cell filled with its conditional expectation given what was seen."""
        check_is_fitted(self)
        return self._like(self._fitted.impute(self._rows(X)).values, X)

    def conditional(self, given: dict[Any, Any]) -> Conditional:
        """The distribution of the other columns given some: column (its name or number) → values (n,).

        **Returns:** a `latens` `Conditional`: `weights` (n, k), and `mean` and `deviation` of each other column.
        """
        check_is_fitted(self)
        own = self._fitted.columns
        places = dict(enumerate(own)) | {name: name for name in own}
        unknown = next((name for name in given if name not in places), None)
        if unknown is not None:
            raise ValueError(f"conditional: there is no column {unknown!r}; there are {', '.join(own)}")
        return self._fitted.conditional({places[name]: values for name, values in given.items()})

    @classmethod
    def from_parameters(
        cls, weights: Any, means: Any, covariances: Any, *, covariance_type: str = "full", random_state: Any = None
    ) -> "GaussianMixture":
        """A mixture of known params, as if it had been fitted.

        **Arguments:** `weights` (k,); `means` (k, d); `covariances`: (k, d, d) "full", (d, d) "tied", (k, d) "diag",
        (k,) "spherical".
        **Example:**
            >>> from latens.sklearn import GaussianMixture
            >>> mixture = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [1.0, 1.0],
            ...                                           covariance_type="spherical")
            >>> mixture.predict([[0.5], [3.0]])
            array([0, 1])
        """
        means = check_array(means, dtype=np.float64)
        k, d = means.shape
        found = cls(k, covariance_type=covariance_type, random_state=random_state)
        found._validate_params()
        given = {"weights": weights_of(weights, k), "mean": means}
        given[spread_name(covariance_type)] = spreads_of(covariances, covariance_type, k, d, "covariance")
        spread = matrices_of(given[spread_name(covariance_type)], covariance_type, k, d)
        rng = np.random.default_rng(0)  # rows that give it a frame
        shown = [rng.multivariate_normal(m, c, AT_LEAST * (d + 1)) for m, c in zip(means, spread, strict=True)]
        problem = problem_of(model_of(k, d, covariance_type), np.concatenate(shown), None, None, None)
        found._begin_draws(random_state)
        found._dtype, found._kind, found.n_features_in_ = np.dtype(np.float64), covariance_type, d
        found._found(Fit(*solve(problem, start=given, stop=Stop(0.0, 0))))
        found.converged_, found.n_iter_, found.lower_bounds_, found.lower_bound_ = True, 0, [], -np.inf
        return found


def floor_of(seeds: Seeds, covariance_type: str, worth: float) -> Ridge:
    """A floor of so much of the variance of each column within groups of the rows, for components of equal size."""
    variance, k = seeds.variance_within, seeds.k
    like = {"full": np.diag(variance), "tied": np.diag(variance), "diag": variance, "spherical": variance.mean()}
    own = like[covariance_type] if covariance_type == "tied" else np.array([like[covariance_type]] * k)
    params = {"weights": np.full(k, 1 / k), "mean": np.tile(seeds.mean, (k, 1)), spread_name(covariance_type): own}
    return Ridge(worth * float(seeds.total), params)


def model_of(k: int, d: int, covariance_type: str) -> Mixture:
    """The mixture of k normals in d columns."""
    shared = ("covariance",) if covariance_type == "tied" else ()
    return Mixture(MultivariateNormal(d, KINDS[covariance_type]), int(k), shared=shared)


ARGUMENTS = ("n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init", "random_state", "accelerate")
"""What estimators that fit such mixtures have of its arguments."""
CONSTRAINTS = {name: GaussianMixture._parameter_constraints[name] for name in ARGUMENTS}


def mixture_for(estimator: BaseEstimator) -> GaussianMixture:
    """A mixture with the arguments of an estimator that fits one."""
    own = estimator.get_params(deep=False)
    return GaussianMixture(**{name: own[name] for name in ARGUMENTS if name in own})
