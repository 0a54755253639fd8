"""Mixtures, latent classes and imputation with scikit-learn's interface: `pip install "latens[sklearn]"`."""

from latens.sklearn.gaussian import GaussianMixture

__all__ = ["GaussianMixture"]
