"""Pictures of a fit. The numbers of each come from one table, which anything else may draw as well.

matplotlib is loaded when something is drawn.
"""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, NamedTuple

from latens.engine.loop import Passed
from latens.engine.starts import Met
from latens.errors import InferenceError, ParameterError
from latens.inference.errors import AbstractMethod
from latens.inference.estimate import Estimate
from latens.plots import check, density, estimates, groups, paths
from latens.plots.canvas import axes, unsuited
from latens.plots.columns import Subject, Table
from latens.plots.density_table import density_size, density_table, no_density
from latens.report.tidy import framed


def _always(subject: Subject) -> str:
    return ""


def _no_information(subject: Subject) -> str:
    try:
        subject.estimate.scalar_information()
    except InferenceError as error:
        return f"there is no information to show: {error}"
    return ""


class _Picture(NamedTuple):
    table: Callable[..., Table]
    draw: Callable[..., Any]
    unsuited: Callable[[Subject], str] = _always
    size: Callable[[Table], tuple[float, float]] | tuple[float, float] = (6.4, 4.2)


PICTURES = {
    "trace": _Picture(paths.trace_table, paths.trace, size=(7.6, 4.2)),
    "rate": _Picture(paths.rate_table, paths.rate, paths.no_rate),
    "density": _Picture(density_table, density.density, no_density, density_size),
    "posterior": _Picture(groups.posterior_table, groups.posterior, groups.no_hidden, groups.posterior_size),
    "uncertainty": _Picture(groups.uncertainty_table, groups.uncertainty, groups.no_hidden),
    "profiles": _Picture(groups.profiles_table, groups.profiles, groups.no_profiles, groups.profiles_size),
    "estimates": _Picture(estimates.estimates_table, estimates.estimates, size=estimates.estimates_size),
    "information": _Picture(
        estimates.information_table, estimates.information, _no_information, estimates.information_size
    ),
    "profile": _Picture(estimates.profile_table, estimates.profile),
    "fit": _Picture(check.check_table, check.check, check.no_check, (7.2, 4.8)),
}


class Plots:
    """The pictures of one fit: `fit.plot.trace()`, `fit.plot.density()`, ...

    Each returns the matplotlib `Axes` that it has drawn in: those given as `ax=`, or new ones. What it shows is
    `fit.plot.data(name)`, a table. Needs matplotlib: `pip install "latens[plot]"`.

    **Raises:** `DataError` where a picture does not suit the model, naming those that do.
    **Example:**
        >>> import latens as lt
        >>> fit = lt.fit(lt.Mixture(lt.Poisson(), 2), [9, 8, 1, 0, 2, 9])
        >>> fit.plot.density().get_ylabel()
        'probability'
        >>> sorted(fit.plot.data("trace").columns)[:3]
        ['accelerated', 'evaluation', 'log_likelihood']
    """

    def __init__(self, estimate: Estimate, path: tuple[Passed, ...], starts: Met | None) -> None:
        self._subject = Subject(estimate, path, starts)

    @property
    def prior(self) -> bool:
        """Whether the fit is one of maximum a posteriori."""
        return self._subject.estimate.problem.prior is not None

    @property
    def suited(self) -> tuple[str, ...]:
        """Names of the pictures that suit this fit."""
        return tuple(name for name, picture in PICTURES.items() if not picture.unsuited(self._subject))

    def data(self, name: str, **options: Any) -> Any:
        """What a picture shows, as a tidy table: a data frame of the library that the data came in, else of polars.

        **Arguments:** `name`: of the picture; `options`: as the picture takes them.
        **Raises:** `ParameterError` for an unknown name; `DataError` where it does not suit the model.
        """
        if name == "density":
            options.pop("hanging", None)  # of the drawing alone
        return framed(self._table(name, options), self._subject.estimate.problem.library)

    def _table(self, name: str, options: dict[str, Any]) -> Table:
        if name not in PICTURES:
            raise ParameterError(f"there is no picture {name!r}; there are {', '.join(PICTURES)}")
        reason = PICTURES[name].unsuited(self._subject)
        if reason:
            raise unsuited(name, reason, [other for other in self.suited if other != name])
        taken = list(signature(PICTURES[name].table).parameters)[1:]
        for option in options:
            if option not in taken:
                raise ParameterError(f"plot.{name} takes no {option!r}; it takes {', '.join(taken) or 'no options'}")
        return PICTURES[name].table(self._subject, **options)

    def _drawn(self, name: str, ax: Any, options: dict[str, Any], **style: Any) -> Any:
        table, size = self._table(name, options), PICTURES[name].size
        return PICTURES[name].draw(self._subject, table, axes(ax, size(table) if callable(size) else size), **style)

    def trace(self, ax: Any = None) -> Any:
        """The log-likelihood over the evaluations of the EM map: accelerated and dropped points told apart.

        Beside it the optima that starts met, and how many reached each.
        """
        return self._drawn("trace", ax, {})

    def rate(self, ax: Any = None) -> Any:
        """The projected distance to the limit, in standard errors, on a log scale; and how plain EM would fall."""
        return self._drawn("rate", ax, {})

    def density(
        self,
        columns: Sequence[str] | str | None = None,
        *,
        hanging: bool = False,
        bins: int | None = None,
        ax: Any = None,
    ) -> Any:
        """The fitted density and its components over the data.

        One column: over a histogram or bars, `hanging` from the curve on a root scale if asked for (Tukey's hanging
        rootogram). Two: rows, contours (50, 90 and 99 % of the mass), and a line around 95 % of each component. Three
        to six: all pairs. What is half seen is drawn as what it is: intervals as segments, censored values as arrows,
        rows with a missing cell as marks on the axis.

        **Arguments:** `columns`: which; all, up to six, if not given; `bins` of a histogram.
        """
        return self._drawn("density", ax, {"columns": columns, "bins": bins}, hanging=hanging)

    def posterior(self, ax: Any = None) -> Any:
        """Per hidden value, how many rows have which posterior probability of it, on a root scale (a rootogram).

        Peaks at 0 and 1 say that the values are well told apart.

        **Source:** Leisch (2004), J. Stat. Softw. 11 (8), §4.
        """
        return self._drawn("posterior", ax, {})

    def uncertainty(self, columns: Sequence[str] | str | None = None, *, ax: Any = None) -> Any:
        """1 − the largest posterior probability of every row, the surest first.

        **Arguments:** `columns`: one, to see it over the values of that column, or two, to see the rows in their plane,
        the larger the less sure.
        """
        return self._drawn("uncertainty", ax, {"columns": columns}, columns=columns)

    def profiles(self, level: float = 0.95, method: str | AbstractMethod = "observed", *, ax: Any = None) -> Any:
        """The parameters of every component beside each other, with their intervals: what tells them apart."""
        return self._drawn("profiles", ax, {"level": level, "method": method})

    def estimates(
        self,
        methods: Sequence[str | AbstractMethod] | str | AbstractMethod = "observed",
        level: float = 0.95,
        *,
        ax: Any = None,
    ) -> Any:
        """Estimates with their intervals, by one or several methods side by side; arguments as `fit.intervals`.

        A method that gives none is named; why it does not says `fit.plot.data("estimates", ...)` in `reason`.
        """
        return self._drawn("estimates", ax, {"methods": methods, "level": level})

    def information(self, ax: Any = None) -> Any:
        """Complete = observed + missing information, a bar for each free scalar."""
        return self._drawn("information", ax, {})

    def profile(self, parameter: str | None = None, level: float = 0.95, *, ax: Any = None) -> Any:
        """The profile likelihood of one scalar (the first, if not given) beside what its Wald interval takes it for.

        That is a parabola on the scale (logarithm, logit) that the interval is made on.

        **Raises:** `InferenceError` where it cannot be followed; `ParameterError` for an unknown scalar.
        """
        return self._drawn("profile", ax, {"parameter": parameter, "level": level})

    def fit(self, ax: Any = None) -> Any:
        """Whether the model fits.

        Numbers: observed against fitted quantiles (where some are censored, those of the nonparametric estimate).
        Categories and counts: observed and expected numbers of the commonest patterns with standardised residuals, and
        for three columns and more χ² by its degrees of freedom of every pair.
        """
        return self._drawn("fit", ax, {})
