"""The frozen result of a fit."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latens.data.reader import Tally
from latens.engine.accelerators.base import Sampled
from latens.engine.loop import Iterate, Passed
from latens.engine.prior import Prior
from latens.engine.problem import Problem
from latens.engine.solve import Beginning
from latens.engine.starts import Met
from latens.engine.stop import Status
from latens.engine.symmetry import in_order
from latens.errors import ModelError, ParameterError
from latens.inference.derived import Derived, derive
from latens.inference.drawing import simulate
from latens.inference.errors import AbstractMethod, Errors
from latens.inference.estimate import Estimate, aic, bic
from latens.inference.imputation import Conditional, Imputation, conditional, impute
from latens.inference.information import Information
from latens.inference.methods import errors_by, intervals_by, method_for
from latens.inference.tests import Test, contrast_of, likelihood_ratio, wald_test
from latens.models.base import AbstractModel
from latens.numerics.asked import whole
from latens.numerics.compiling import double
from latens.numerics.memory import Sealed, frozen, sealed
from latens.numerics.space import Label, Params
from latens.report.files import impute_to, predict_to
from latens.report.record import record
from latens.report.tidy import augmented, framed, glance, tidy

if TYPE_CHECKING:
    from latens.plots import Plots


@dataclass(frozen=True, repr=False, eq=False)
class Fit(Sealed):
    """A maximum likelihood fit. It never changes; `print(fit)` is its report.

    `model`; `params`: name → array; `log_likelihood`: at exactly those params; `status`: how it ended
    (`status.sentence` in words) and `reason`: why, if degenerate; `evaluations`: of the EM map, over the
    final run; `trace`, `accelerated`, `rejected`: (steps,) of its points; `n`: the total weight of the rows of which
    something was seen; `names`: a label for every scalar; `starts`: what many starts met, or None; `begun`: where it
    was asked to begin; `samples`: the runs on samples of the rows before it (`lt.Growing`). Uncertainty:
    `information`, `errors`, `standard_errors`, `covariance`, `confidence_intervals`, `derive`, `wald_test`,
    `likelihood_ratio`.

    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.IID(lt.Exponential()), [2.0, 4.0, 9.0])
        >>> round(float(fit.params["rate"]), 4), round(float(fit.standard_errors()["rate"]), 4)
        (0.2, 0.1155)
    """

    last: Iterate
    path: tuple[Passed, ...]
    starts: Met | None
    begun: Beginning
    samples: tuple[Sampled, ...] = ()

    @property
    def _problem(self) -> Problem:
        return self.last.problem

    @cached_property
    def _estimate(self) -> Estimate:
        return Estimate(self.last)

    @property
    def model(self) -> AbstractModel:
        """The model that was fitted."""
        return self._problem.given

    @property
    def params(self) -> dict[str, np.ndarray]:
        """name → estimate; a mixture's have the component as first axis."""
        return self.last.params

    @property
    def log_likelihood(self) -> float:
        """At exactly these params."""
        return self._estimate.log_likelihood

    @property
    def prior(self) -> Prior | None:
        """The prior of a maximum a posteriori fit."""
        return deepcopy(self._problem.prior)

    @property
    def log_posterior(self) -> float:
        """log-likelihood + log-prior (up to a constant) at these params: what was maximised."""
        return self.last.log_likelihood

    @property
    def status(self) -> Status:
        """How it ended; `status.sentence` says it in words."""
        return self.last.status

    @property
    def reason(self) -> str:
        """Why, if degenerate."""
        return self.last.reason

    @property
    def evaluations(self) -> int:
        """Of the EM map, over the final run."""
        return self.last.evaluations

    @property
    def n(self) -> float:
        """The total weight of the rows of which something was seen."""
        return self._estimate.n

    @property
    def unseen(self) -> float:
        """The total weight of the rows of which nothing was seen: they count for nothing."""
        return self._estimate.unseen

    @property
    def names(self) -> list[str]:
        """A label for every scalar, in the order of `estimates`."""
        return list(self._problem.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of the data."""
        return self._problem.columns

    @property
    def converged(self) -> bool:
        """Whether the projected distance to the limit came within the tolerance."""
        return self._estimate.converged

    @property
    def message(self) -> str:
        """How the fit ended, in words."""
        return self._estimate.message

    @property
    def shown(self) -> np.ndarray:
        """(S,) indices of the scalars a report shows: a covariance once, not twice."""
        return self._estimate.shown

    @property
    def rows(self) -> int:
        """Number of rows of positive weight."""
        return self._problem.height

    @property
    def engine(self) -> str:
        """Where the rows were and who went over them, with what was lost on the way."""
        return self._problem.story

    @property
    def half_seen(self) -> Tally:
        """How much was half seen: column → kind ("missing", "right-censored", ...) → number of observations."""
        return {column: dict(kinds) for column, kinds in self._estimate.half_seen.items()}

    @property
    def free_parameters(self) -> int:
        """Number of free parameters."""
        return self._problem.space.size

    @property
    def aic(self) -> float:
        """Akaike's criterion, −2ℓ + 2p (smaller is better)."""
        return aic(self._estimate)

    @property
    def bic(self) -> float:
        """Schwarz's criterion, −2ℓ + p log n (smaller is better)."""
        return bic(self._estimate)

    @property
    def estimates(self) -> np.ndarray:
        """(P,) every scalar, in the order of `names`."""
        return sealed(self._estimate.values)

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to know of how the data were read (which texts were taken as missing), and of the model."""
        return self._estimate.notes

    @property
    def unfollowed(self) -> dict[str, str]:
        """label → why, of the scalars whose profile could not be followed, so far as it was asked for."""
        return dict(self._estimate.unfollowed)

    @property
    def labels(self) -> list[Label]:
        """Of every scalar its parameter and its entry: `names` in two parts."""
        return list(self._problem.labels)

    @property
    def links(self) -> np.ndarray:
        """(P,) per scalar, the scale its interval is formed on: "identity", "log" or "logit"."""
        return self._problem.space.links

    @property
    def trace(self) -> np.ndarray:
        """(steps,) the log-likelihood (log-posterior) at every point gone on from; it never falls."""
        return frozen([passed.log_likelihood for passed in self.path])

    @property
    def accelerated(self) -> np.ndarray:
        """(steps,) which of those points were extrapolated, and not images of EM."""
        return frozen([passed.accelerated for passed in self.path])

    @property
    def rejected(self) -> np.ndarray:
        """(steps,) how many extrapolated points were dropped before each."""
        return frozen([passed.rejected for passed in self.path])

    def sorted(self, by: str, *, descending: bool = False) -> "Fit":
        """The same fit with its components put in order, which likelihood leaves open.

        **Arguments:** `by`: a parameter of which every component has one number ("mean", "weights"), or one of several
        ("mean[waiting]"); `descending`: largest first.
        **Raises:** `ModelError` for a model without components that could change places; `ParameterError` for
        something that they do not have.
        **Example:**
            >>> import latens as lt
            >>> fit = lt.fit(lt.Mixture(lt.Poisson(), 2), [9, 8, 1, 0, 2, 9])
            >>> fit.sorted(by="rate", descending=True).params["rate"].round(2).tolist()
            [8.57, 0.99]
        """
        return replace(self, last=in_order(self.last, by, descending=descending))

    def information(self) -> Information:
        """Complete, observed and missing information about the free scalars, in their own units.

            observed = complete − missing,   rate = complete⁻¹ · missing

        **Returns:** an `Information`: `labels`, `complete`, `observed`, `missing`, `rate` (p, p),
        `fraction_missing`, `fractions`, `condition_number`.
        **Raises:** `InferenceError` with the reason where they would mean nothing: not converged, on the
        boundary, not identified, a saddle.
        **Example:** 5 deaths of 8 exposed, when one more was not seen:
            >>> import latens as lt
            >>> fit = lt.fit(lt.IID(lt.Exponential()), [5.0, float("nan")])
            >>> lt_information = fit.information()
            >>> [round(float(v[0, 0]), 2) for v in (lt_information.complete, lt_information.missing)]
            [50.0, 25.0]
            >>> round(lt_information.fraction_missing, 4)
            0.5

        **Source:** Orchard & Woodbury (1972), Proc. 6th Berkeley Symp. 1, 697.
        """
        return self._estimate.scalar_information()

    @property
    def held(self) -> dict[str, str]:
        """label → why this scalar has no standard error: on the boundary, not identified, not free.

        The others have theirs, conditional on the estimates of what is held.

        **Example:** a category that was never seen:
            >>> import latens as lt
            >>> fit = lt.fit(lt.IID(lt.Categorical(3)), [0, 1, 1, 0, 1])
            >>> list(fit.held), fit.standard_errors()["probabilities"].round(3).tolist()
            (['probabilities[2]'], [0.219, 0.219, nan])
        """
        return self._estimate.reasons

    def errors(self, method: str | AbstractMethod = "observed") -> Errors:
        """Covariance by one method, with what there is to say about it (`notes`) and bootstrap `replicates`.

        **Arguments:** `method`: "observed" (default), "louis", "oakes", "sem", "sem-exact", "opg",
        "sandwich", "bootstrap", "parametric-bootstrap", or an object such as
        `lt.Bootstrap(replicates=1000, seed=1)` or `lt.Sandwich(clusters=...)`.
        **Raises:** `InferenceError` where it cannot be trusted, or would take too long; the message says
        why and what to do. `ParameterError` for an unknown method.
        """
        return errors_by(method, self._estimate)

    def covariance(self, method: str | AbstractMethod = "observed") -> np.ndarray:
        """(P, P) covariance of every scalar in the order of `names`, NaN where `held`; `method` as in `errors`."""
        return self.errors(method).covariance

    def standard_errors(self, method: str | AbstractMethod = "observed") -> dict[str, np.ndarray]:
        """name → standard errors, shaped like the parameters, NaN where `held`; `method` as in `errors`.

        **Raises:** `InferenceError` where none can be trusted; the message says why.
        """
        return self._problem.space.unflat(np.sqrt(np.diag(self.covariance(method))))

    def intervals(self, level: float = 0.95, method: str | AbstractMethod = "observed") -> np.ndarray:
        """(P, 2) lower and upper ends for every scalar in the order of `names`; as `confidence_intervals`."""
        return intervals_by(method, self._estimate, level)

    def confidence_intervals(
        self, level: float = 0.95, method: str | AbstractMethod = "observed"
    ) -> dict[str, np.ndarray]:
        """name → (..., 2) lower and upper ends, shaped like the parameters with one more axis.

        Wald intervals are formed on each parameter's free scale (log, logit) and mapped back, so that
        positive stays positive; a bootstrap's are percentiles; "profile" follows the likelihood itself. They are
        NaN where `held`, but "profile" reaches in from a boundary.

        **Arguments:** `level` in (0, 1); `method` as in `errors`, or "profile".
        **Raises:** `ParameterError` for a level outside (0, 1); as `errors`.
        **Example:**
            >>> import latens as lt
            >>> fit = lt.fit(lt.IID(lt.Poisson()), [2, 4, 3, 7])
            >>> fit.confidence_intervals(0.9, method="profile")["rate"].round(2).tolist()
            [2.57, 5.88]
        """
        ends = self.intervals(level, method)
        low, high = self._problem.space.unflat(ends[:, 0]), self._problem.space.unflat(ends[:, 1])
        return {name: np.stack([low[name], high[name]], -1) for name in low}

    def derive(
        self, function: Callable[[Params], Any], method: str | AbstractMethod = "observed", scale: str | None = None
    ) -> Derived:
        """Any function of the parameters, with its standard error by the delta method.

            se² = ∇g V ∇gᵀ

        Intervals keep to the range of the function: they are formed on a scale and mapped back.

        **Arguments:** `function`: dict of parameters → a number or an array, written with `jax.numpy`; `method` as in
        `errors`; `scale`: "identity", "log", "logit" or "cloglog" (of a probability: log −log(1 − g)); None
        (default) for the one of the range that the function shows over the parameter space.
        **Returns:** a `Derived`: `estimate`, `standard_error`, `interval(level)`, `interval(level, method="profile")`.
        **Raises:** `InferenceError` if it is not differentiable or not finite at the estimate, or leans on a scalar
        that is `held`; `ParameterError` for an unknown scale, or one that the estimate is outside of.
        **Example:** the mean of an exponential lifetime:
            >>> import latens as lt
            >>> fit = lt.fit(lt.IID(lt.Exponential()), [2.0, 4.0, 9.0])
            >>> mean = fit.derive(lambda params: 1 / params["rate"])
            >>> round(float(mean.estimate), 3), round(float(mean.standard_error), 3)
            (5.0, 2.887)

        **Source:** Rao (1973), Linear Statistical Inference, §6a.2.
        """
        return derive(function, self._estimate, method_for(method).once(self._estimate), scale)

    def wald_test(self, hypothesis: Any, value: Any = 0.0, method: str | AbstractMethod = "observed") -> Test:
        """Wald's test that parameters, or functions of them, have given values.

        **Arguments:** `hypothesis`: the name of a parameter or scalar ("mean", "mean[0]"), a dict of names →
        values, or a function of the parameters; `value`: what it should be.
        **Raises:** `ParameterError` for an unknown name or wrong shape; as `errors` and `derive`.
        **Example:** whether two means are equal:
            >>> import latens as lt
            >>> fit = lt.fit(lt.Mixture(lt.Normal(variance=1.0), 2), [-2.0, -1.5, -2.5, 1.0, 2.0, 3.0, 2.0])
            >>> bool(fit.wald_test(lambda p: p["mean"][0] - p["mean"][1]).p_value < 0.01)
            True

        **Source:** Wald (1943), Trans. AMS 54, 426.
        """
        function, wanted = contrast_of(hypothesis, value, self.names, self._problem.space)
        return wald_test(self.derive(function, method, "identity"), wanted)

    def likelihood_ratio(self, other: "Fit", *, replicates: int = 0, seed: int = 0) -> Test:
        """Test of the smaller of two nested models against the larger.

            2(ℓ₁ − ℓ₀), against χ² or, with `replicates`, against data sets drawn from the smaller model

        The bootstrap is the right test for numbers of components, where χ² does not hold.

        **Arguments:** `other`: a fit to the same data; `replicates`: of the parametric bootstrap, 0 for χ².
        **Raises:** `DataError` for other data; `InferenceError` where χ² does not hold.
        **Source:** McLachlan (1987), Appl. Stat. 36, 318 (bootstrap).
        """
        if not isinstance(other, Fit):
            raise ParameterError(f"likelihood_ratio takes another fit, got {other!r}")
        return likelihood_ratio(self._estimate, other._estimate, replicates, seed)

    def posterior(self, data: Any = None) -> Any:
        """What is known of the hidden part of each row, given what was seen of it.

        For a mixture (n, k) probabilities of the components, for `Cells` (groups, cells), for `Latent`
        (n, values); for other models the expected statistics, with n as first axis.

        **Arguments:** `data`: rows as in `lt.fit`; None for the rows of the fit (of positive weight).
        **Raises:** `DataError`.
        """
        return self._estimate.posterior(data)

    @property
    def entropy(self) -> float:
        """−Σ w Σ_z P(z given x) log P(z given x) of the hidden labels: 0 when all are certain.

        **Raises:** `ModelError` if the model hides no label.
        """
        if self._estimate.entropy is None:
            raise ModelError(f"{type(self.model).__name__} hides no label")
        return self._estimate.entropy

    def predict(self, data: Any = None) -> np.ndarray:
        """(n,) the most probable hidden value of each row, as an index into `model.hidden`.

        **Raises:** `ModelError` if the model hides no label; `DataError`.
        """
        if self.model.hidden is None:
            raise ModelError(f"{type(self.model).__name__} has no hidden label to predict; see posterior()")
        return np.asarray(self.posterior(data).argmax(-1))

    def log_density(self, data: Any = None) -> np.ndarray:
        """(n,) log-likelihood of each row."""
        return self._estimate.log_density(data)

    def impute(self, data: Any, draws: int = 0, seed: int = 0) -> Imputation:
        """Every unseen part of the data filled in by its conditional expectation, or by draws.

        Rows are completed given all that was seen of them. Draws are proper: each also draws the params from
        N(θ̂, observed information⁻¹), so that `lt.pool` of what is computed from them counts what is unknown.

        **Arguments:** `data`: rows as in `lt.fit`, half seen; `draws`: how many completed data sets.
        **Returns:** an `Imputation`: `values` and `errors` (conditional standard deviations) in the form of
        the data (array, dict or data frame), `draws`.
        **Raises:** `DataError`; `ModelError` for a model without complete data of the same form;
        `InferenceError` for draws where there is no covariance to draw params with.
        **Example:**
            >>> import latens as lt
            >>> nan = float("nan")
            >>> table = [[1.0, 2.1], [2.0, 3.9], [3.0, 6.2], [4.0, nan]]
            >>> fit = lt.fit(lt.IID(lt.MultivariateNormal(2)), table)
            >>> round(float(fit.impute(table).values[3, 1]), 2)  # the regression line at 4
            8.17

        **Source:** Little & Rubin (2019), Statistical Analysis with Missing Data, §10.2, §11.2.
        """
        return impute(self._estimate, data, draws, seed)

    def predict_to(
        self, folder: str | PathLike[str], data: Any = None, *, keep: Sequence[str] = (), progress: bool = False
    ) -> tuple[Path, ...]:
        """What `augment` says of each row of files, written to Parquet files beside each other in a folder.

        A file for each that is read, in the order of its rows; memory stays small however many there are.

        **Arguments:** `folder`: made if it is not there; `data`: files or a stream, as in `lt.fit`; None for the source
        of the fit; `keep`: columns to copy, such as a key; `progress`: show a progress line.
        **Returns:** the files written.
        **Raises:** `DataError` naming file, row and column, and for a full disk: files written before are whole.
        """
        return predict_to(self._estimate, folder, data, keep, progress=progress)

    def impute_to(
        self,
        folder: str | PathLike[str],
        data: Any = None,
        *,
        draws: int = 0,
        seed: int = 0,
        keep: Sequence[str] = (),
        progress: bool = False,
    ) -> tuple[Path, ...]:
        """The rows of files completed as by `impute`, written to Parquet files beside each other in a folder.

        **Arguments:** as in `impute` and `predict_to`; with `draws` every row comes so many times, numbered in a
        column `draw`.
        **Returns:** the files written.
        **Raises:** as `impute` and `predict_to`.
        """
        return impute_to(self._estimate, folder, data, keep, draws, seed, progress=progress)

    def conditional(self, given: dict[str, Any]) -> Conditional:
        """The distribution of the other columns given these, as in regression by a mixture.

        **Arguments:** `given`: column → values (n,), which may be half seen themselves: NaN, `lt.interval`, and
        `lt.one_of` or sets of categories.
        **Returns:** a `Conditional`: `weights` (n, k), `mean` and `deviation` of each other column,
        `probabilities` of those that are categories.
        **Raises:** `DataError` for a column that is not there.
        **Source:** Ghahramani & Jordan (1994), NIPS 6, 120, §4.
        """
        return conditional(self._estimate, given)

    @double
    def sample(self, n: int, seed: int = 0) -> Any:
        """n rows drawn from the fitted model, in the form of the data.

        Sizes that a datum brings along (trials, exposure) are drawn from the rows of the fit.

        **Raises:** `ModelError` if the model does not say how to sample; `ParameterError` for n below 1.
        """
        whole(n, "sample: n", 1)
        whole(seed, "sample: seed", 0)
        problem = self._problem.some
        rows = np.random.default_rng([seed, 1]).choice(len(problem.weights), n, p=problem.weights / problem.n)
        return simulate(problem, self.params, rows, seed)

    @property
    def plot(self) -> "Plots":
        """Pictures: `fit.plot.trace()`, `fit.plot.density()`, ...; `fit.plot.suited` names those that suit the fit."""
        from latens.plots import Plots  # loaded when a picture is asked for

        return Plots(self._estimate, self.path, self.starts)

    def tidy(self, level: float = 0.95, method: str | AbstractMethod = "observed") -> Any:
        """A row for each scalar that a report shows, as a data frame.

        **Arguments:** as in `confidence_intervals`.
        **Returns:** a frame of the library that the data came in (pandas, polars, pyarrow), else of polars: `term`,
        `component` ("" if it belongs to none), `estimate`, `std_error`, `conf_low`, `conf_high`, `missing_fraction`,
        and in `note` the reason where there is no standard error.
        **Example:**
            >>> import latens as lt
            >>> fit = lt.fit(lt.IID(lt.Poisson()), [2, 4, 3, 7])
            >>> fit.tidy().select("term", "estimate", "std_error").rows()
            [('rate', 4.0, 1.0)]
        """
        return framed(tidy(self._estimate, level, method), self._problem.library)

    def glance(self) -> Any:
        """One row about the whole fit, as a data frame like that of `tidy`.

        `model`, `n`, `log_likelihood`, `df` (free parameters), `aic`, `bic`, `icl`, `entropy` (of hidden labels, else
        NaN), `converged`, `status`, `distance` (to the limit, in standard errors), `evaluations`.
        """
        return framed(glance(self._estimate), self._problem.library)

    def augment(self, data: Any = None) -> Any:
        """The data with what the fit says of each row beside them.

        `class` (the most probable hidden value), `probability_...` of each, `uncertainty` (1 − the largest of them)
        and `density`; called `fitted_class`, ... if the data have one of these columns.

        **Arguments:** `data`: rows as in `lt.fit`; None for the rows of the fit, without their columns.
        **Returns:** a data frame or dict, as the data are; of an array a data frame like that of `tidy`.
        **Raises:** `DataError`.
        **Example:**
            >>> import latens as lt
            >>> start = {"weights": [0.5, 0.5], "rate": [1, 9]}
            >>> fit = lt.fit(lt.Mixture(lt.Poisson(), 2), [9, 8, 1, 0, 2, 9], start=start)
            >>> fit.augment({"calls": [0, 9]})["class"].tolist()
            [0, 1]
        """
        return augmented(self._estimate, data)

    def report(
        self, path: str | PathLike[str], method: str | AbstractMethod = "observed", *, command: str = ""
    ) -> None:
        """One page to send, in one HTML file that asks for nothing from anywhere.

        What was fitted, what was half seen, estimates with what is unknown of them, what to rely on in sentences, the
        pictures that suit the fit, the model in formulas, how to repeat it; and plain EM step by step, under a slider,
        with its numbers: of cells, of rows with one or two columns, and of models with one or two parameters. Needs
        `pip install "latens[report]"`.

        **Arguments:** `path`: of the file; `method` as in `errors`; `command`: the command line or code to repeat it,
        shown as it is.
        **Raises:** `DataError` for a file that cannot be written; `LatensError` without what it needs.
        """
        from latens.document import write  # loaded when a page is asked for

        write(path, self._estimate, self.path, self.starts, self.begun, method, command, self.samples)

    def summary(self, method: str | AbstractMethod = "observed") -> str:
        """The report as plain text: what `print(fit)` shows, with standard errors by `method`."""
        from latens.report.text import render  # rich is slow to load

        return render(self._estimate, self.starts, method, samples=self.samples)

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        from latens.report.html import html  # rich is slow to load

        return html(self._estimate, self.starts, self.samples)

    def __repr__(self) -> str:
        return f"<Fit of {type(self.model).__name__}: log-likelihood {self.log_likelihood:.6f}, {self.status.value}>"

    def to_dict(self, method: str | AbstractMethod = "observed") -> dict[str, Any]:
        """Everything in the report as plain Python values, ready for JSON (no NaN, no infinity)."""
        return record(self._estimate, self.starts, method, self.samples) | {"trace": self.trace.tolist()}
