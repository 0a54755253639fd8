"""Mixtures, latent classes and imputation with scikit-learn's interface: `pip install "latens[sklearn]"`.

Estimators are loaded when they are first used, as the names of `latens` are.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latens.sklearn.classify import MixtureClassifier as MixtureClassifier
    from latens.sklearn.classify import MixtureDensity as MixtureDensity
    from latens.sklearn.gaussian import GaussianMixture as GaussianMixture
    from latens.sklearn.impute import GaussianImputer as GaussianImputer
    from latens.sklearn.impute import MixtureImputer as MixtureImputer
    from latens.sklearn.mixtures import LatentClassAnalysis as LatentClassAnalysis
    from latens.sklearn.mixtures import MixtureModel as MixtureModel

if find_spec("sklearn") is None:
    raise ImportError('latens.sklearn needs scikit-learn: pip install "latens[sklearn]"')

_HOME = {
    "GaussianImputer": "impute",
    "GaussianMixture": "gaussian",
    "LatentClassAnalysis": "mixtures",
    "MixtureClassifier": "classify",
    "MixtureDensity": "classify",
    "MixtureImputer": "impute",
    "MixtureModel": "mixtures",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"latens.sklearn.{_HOME[name]}"), name)
    if name == "BayesianGaussianMixture":
        raise ImportError(
            "latens has no variational inference, so no BayesianGaussianMixture: for no more components than there "
            "need be, choose their number by a criterion (latens.choose, or GridSearchCV over n_components), and for "
            "components that cannot collapse give GaussianMixture a prior="
        )
    raise AttributeError(f"module 'latens.sklearn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
