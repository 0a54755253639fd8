"""Weights, means and covariances as scikit-learn's users give and read them."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from latens.numerics.space import Params

KINDS = {"full": "full", "tied": "full", "diag": "diagonal", "spherical": "spherical"}
LEAST = 1e-12  # a weight of 0 could never rise


def spread_name(covariance_type: str) -> str:
    """What the core calls the covariances of that type."""
    return "covariance" if KINDS[covariance_type] == "full" else "variance"


def array_of(given: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Numbers of that shape."""
    array = np.asarray(check_array(given, dtype=np.float64, ensure_2d=False, allow_nd=True))
    if array.shape != shape:
        raise ValueError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")
    return array


def weights_of(given: Any, k: int) -> np.ndarray:
    """(k,) shares that sum to one, none of them 0."""
    weights = array_of(given, (k,), "weights")
    low, high, total = weights.min(), weights.max(), weights.sum()
    if low < 0 or high > 1:
        raise ValueError(
            f"The parameter 'weights' should be in the range [0, 1], but got max value {high:.5f}, min value {low:.5f}"
        )
    if abs(1 - total) > 1e-6:
        raise ValueError(f"The parameter 'weights' should be normalized, but got sum(weights) = {total:.5f}")
    weights = np.maximum(weights, LEAST)
    return weights / weights.sum()


def spreads_of(given: Any, kind: str, k: int, d: int, what: str = "precision") -> np.ndarray:
    """Precisions, or covariances, of that type."""
    shapes: dict[str, tuple[int, ...]] = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}
    found = array_of(given, shapes[kind], f"{kind} {what}")
    if KINDS[kind] != "full":
        if (found <= 0).any():
            raise ValueError(f"'{kind} {what}' should be positive")
        return found
    for each in found.reshape(-1, d, d):
        if not (np.allclose(each, each.T) and (np.linalg.eigvalsh(each) > 0).all()):
            raise ValueError(f"'{kind} {what}' should be symmetric, positive-definite")
    return found


def inverse_of(precisions: np.ndarray, kind: str) -> np.ndarray:
    """Covariances of precisions."""
    return np.asarray(np.linalg.inv(precisions) if KINDS[kind] == "full" else 1.0 / precisions)


def factors_of(covariances: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Upper factors U of the precisions, U Uᵀ = Σ⁻¹, and the precisions."""
    if KINDS[kind] != "full":
        return 1.0 / np.sqrt(covariances), 1.0 / covariances
    upper = np.swapaxes(np.linalg.inv(np.linalg.cholesky(covariances)), -1, -2)
    return upper, upper @ np.swapaxes(upper, -1, -2)


def matrices_of(covariances: np.ndarray, kind: str, k: int, d: int) -> np.ndarray:
    """(k, d, d) matrices."""
    if kind == "diag":
        return np.asarray([np.diag(each) for each in covariances])
    return np.broadcast_to(covariances, (k, d, d)) if kind != "spherical" else covariances[:, None, None] * np.eye(d)


def about(params: Params, means: np.ndarray, covariance_type: str) -> Params:
    """Params of groups of rows as those of groups of one size about other means (k, d), with one spread for all.

    A group to whose mean hardly a row is the nearest tells nothing of its spread, and would die.
    """
    k, d = means.shape
    spreads = matrices_of(np.asarray(params[spread_name(covariance_type)]), covariance_type, k, d)
    away = np.asarray(params["mean"]) - means
    spread = np.einsum("k,kij->ij", np.asarray(params["weights"]), spreads + away[:, :, None] * away[:, None, :])
    like = {"full": spread, "tied": spread, "diag": np.diag(spread), "spherical": np.trace(spread) / d}
    own = like[covariance_type]
    each = own if covariance_type == "tied" else np.array([own] * k)
    return {"weights": np.full(k, 1 / k), "mean": means, spread_name(covariance_type): each}
