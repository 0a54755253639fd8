"""Mixtures, latent classes and imputation with scikit-learn's interface: `pip install "latens[sklearn]"`."""

from importlib.util import find_spec
from typing import Any

if find_spec("sklearn") is None:
    raise ImportError('latens.sklearn needs scikit-learn: pip install "latens[sklearn]"')

from latens.sklearn.classify import MixtureClassifier, MixtureDensity
from latens.sklearn.gaussian import GaussianMixture
from latens.sklearn.impute import GaussianImputer, MixtureImputer
from latens.sklearn.mixtures import LatentClassAnalysis, MixtureModel

__all__ = [
    "GaussianImputer",
    "GaussianMixture",
    "LatentClassAnalysis",
    "MixtureClassifier",
    "MixtureDensity",
    "MixtureImputer",
    "MixtureModel",
]


def __getattr__(name: str) -> Any:
    if name == "BayesianGaussianMixture":
        raise ImportError(
            "latens has no variational inference, so no BayesianGaussianMixture: for no more components than there "
            "need be, choose their number by a criterion (latens.choose, or GridSearchCV over n_components), and for "
            "components that cannot collapse give GaussianMixture a prior="
        )
    raise AttributeError(f"module 'latens.sklearn' has no attribute {name!r}")
