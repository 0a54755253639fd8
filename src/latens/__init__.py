"""Latens: maximum likelihood from half-seen data by Expectation–Maximization.

Names are loaded when they are first used, so that `latens --help` need not wait for JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latens import testing as testing
    from latens.cells.categories import one_of as one_of
    from latens.cells.intervals import grouped as grouped
    from latens.cells.intervals import interval as interval
    from latens.cells.intervals import left_censored as left_censored
    from latens.cells.intervals import right_censored as right_censored
    from latens.comparison import choose as choose
    from latens.comparison import compare as compare
    from latens.data.reader import AbstractReader as AbstractReader
    from latens.data.reader import Rows as Rows
    from latens.data.reader import sequences as sequences
    from latens.data.source import Source as Source
    from latens.data.stream import Batches as Batches
    from latens.data.text import read_cells as read_cells
    from latens.engine.accelerators.anderson import Anderson as Anderson
    from latens.engine.accelerators.auto import Auto as Auto
    from latens.engine.accelerators.base import AbstractAccelerator as AbstractAccelerator
    from latens.engine.accelerators.base import Plain as Plain
    from latens.engine.accelerators.quasi_newton import QuasiNewton as QuasiNewton
    from latens.engine.accelerators.squarem import Squarem as Squarem
    from latens.engine.engines import Threads as Threads
    from latens.engine.fixed_point import FixedPoint as FixedPoint
    from latens.engine.fixed_point import accelerate as accelerate
    from latens.engine.growing import Growing as Growing
    from latens.engine.loop import Iterate as Iterate
    from latens.engine.prior import Prior as Prior
    from latens.engine.starts import Starts as Starts
    from latens.engine.stop import Status as Status
    from latens.engine.stop import Stop as Stop
    from latens.engine.workers import Processes as Processes
    from latens.errors import DataError as DataError
    from latens.errors import InferenceError as InferenceError
    from latens.errors import LatensError as LatensError
    from latens.errors import ModelError as ModelError
    from latens.errors import ParameterError as ParameterError
    from latens.explaining import explain as explain
    from latens.families.base import AbstractFamily as AbstractFamily
    from latens.families.beta import Beta as Beta
    from latens.families.categorical import Categorical as Categorical
    from latens.families.categorical import Multinomial as Multinomial
    from latens.families.counts import Geometric as Geometric
    from latens.families.counts import NegativeBinomial as NegativeBinomial
    from latens.families.counts import Poisson as Poisson
    from latens.families.datum import Support as Support
    from latens.families.exponential import AbstractExponentialFamily as AbstractExponentialFamily
    from latens.families.lifetimes import Exponential as Exponential
    from latens.families.lifetimes import Gamma as Gamma
    from latens.families.multivariate_normal import MultivariateNormal as MultivariateNormal
    from latens.families.normal import LogNormal as LogNormal
    from latens.families.normal import Normal as Normal
    from latens.families.product import Product as Product
    from latens.families.roles import Coefficient as Coefficient
    from latens.families.roles import Covariance as Covariance
    from latens.families.roles import Location as Location
    from latens.families.roles import Scale as Scale
    from latens.families.roles import Variance as Variance
    from latens.families.trials import Bernoulli as Bernoulli
    from latens.families.trials import Binomial as Binomial
    from latens.families.truncated import Truncated as Truncated
    from latens.families.weibull import Weibull as Weibull
    from latens.fitting import fit as fit
    from latens.fitting import iterate as iterate
    from latens.inference.bootstrap import Bootstrap as Bootstrap
    from latens.inference.bootstrap import ParametricBootstrap as ParametricBootstrap
    from latens.inference.bound import h_function as h_function
    from latens.inference.bound import lower_bound as lower_bound
    from latens.inference.bound import q_function as q_function
    from latens.inference.errors import OPG as OPG
    from latens.inference.errors import Louis as Louis
    from latens.inference.errors import Oakes as Oakes
    from latens.inference.errors import Observed as Observed
    from latens.inference.errors import Sandwich as Sandwich
    from latens.inference.imputation import pool as pool
    from latens.inference.profile import Profile as Profile
    from latens.inference.sem import SEM as SEM
    from latens.inference.sem import ExactSEM as ExactSEM
    from latens.keeping import keep_programs as keep_programs
    from latens.many import Many as Many
    from latens.many import fit_many as fit_many
    from latens.models.base import AbstractModel as AbstractModel
    from latens.models.gene_counting import Cells as Cells
    from latens.models.gene_counting import HardyWeinberg as HardyWeinberg
    from latens.models.iid import IID as IID
    from latens.models.latent import Latent as Latent
    from latens.models.mixture import Mixture as Mixture
    from latens.numerics.constraints import Positive as Positive
    from latens.numerics.constraints import PositiveDefinite as PositiveDefinite
    from latens.numerics.constraints import Real as Real
    from latens.numerics.constraints import Unit as Unit
    from latens.numerics.special import logsumexp as logsumexp
    from latens.numerics.special import safe_log as safe_log
    from latens.numerics.stacked import Simplex as Simplex
    from latens.numerics.stacked import Stacked as Stacked
    from latens.result import Fit as Fit
    from latens.streamed import Streamed as Streamed
    from latens.streaming import Online as Online
    from latens.streaming import online as online

__version__ = "0.1.0"

_HOME = {
    "cells.categories": ["one_of"],
    "cells.intervals": ["grouped", "interval", "left_censored", "right_censored"],
    "data.source": ["Source"],
    "data.stream": ["Batches"],
    "data.reader": ["AbstractReader", "Rows", "sequences"],
    "data.text": ["read_cells"],
    "engine.accelerators.anderson": ["Anderson"],
    "engine.accelerators.auto": ["Auto"],
    "engine.accelerators.base": ["AbstractAccelerator", "Plain"],
    "engine.accelerators.quasi_newton": ["QuasiNewton"],
    "engine.accelerators.squarem": ["Squarem"],
    "engine.engines": ["Threads"],
    "engine.fixed_point": ["FixedPoint", "accelerate"],
    "engine.growing": ["Growing"],
    "engine.loop": ["Iterate"],
    "engine.prior": ["Prior"],
    "engine.starts": ["Starts"],
    "engine.stop": ["Status", "Stop"],
    "engine.workers": ["Processes"],
    "errors": ["DataError", "InferenceError", "LatensError", "ModelError", "ParameterError"],
    "explaining": ["explain"],
    "families.base": ["AbstractFamily"],
    "families.beta": ["Beta"],
    "families.categorical": ["Categorical", "Multinomial"],
    "families.counts": ["Geometric", "NegativeBinomial", "Poisson"],
    "families.exponential": ["AbstractExponentialFamily"],
    "families.lifetimes": ["Exponential", "Gamma"],
    "families.multivariate_normal": ["MultivariateNormal"],
    "families.normal": ["LogNormal", "Normal"],
    "families.product": ["Product"],
    "families.roles": ["Coefficient", "Covariance", "Location", "Scale", "Variance"],
    "families.datum": ["Support"],
    "families.trials": ["Bernoulli", "Binomial"],
    "families.truncated": ["Truncated"],
    "families.weibull": ["Weibull"],
    "fitting": ["fit", "iterate"],
    "keeping": ["keep_programs"],
    "many": ["Many", "fit_many"],
    "streaming": ["Online", "online"],
    "inference.bound": ["h_function", "lower_bound", "q_function"],
    "comparison": ["choose", "compare"],
    "inference.bootstrap": ["Bootstrap", "ParametricBootstrap"],
    "inference.errors": ["Louis", "OPG", "Oakes", "Observed", "Sandwich"],
    "inference.imputation": ["pool"],
    "inference.profile": ["Profile"],
    "inference.sem": ["ExactSEM", "SEM"],
    "result": ["Fit"],
    "streamed": ["Streamed"],
    "models.base": ["AbstractModel"],
    "models.gene_counting": ["Cells", "HardyWeinberg"],
    "models.iid": ["IID"],
    "models.latent": ["Latent"],
    "models.mixture": ["Mixture"],
    "numerics.constraints": ["Positive", "PositiveDefinite", "Real", "Unit"],
    "numerics.stacked": ["Simplex", "Stacked"],
    "numerics.special": ["logsumexp", "safe_log"],
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = ["testing", *_MODULE]


def __getattr__(name: str) -> Any:
    if name == "testing":
        return import_module("latens.testing")
    if name not in _MODULE:
        raise AttributeError(f"module 'latens' has no attribute {name!r}")
    value = getattr(import_module(f"latens.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
