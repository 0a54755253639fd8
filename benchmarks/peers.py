"""Gaussian mixtures by Armadillo and mclust: built, run in processes of their own, and read back."""

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from shutil import which
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent


class Timing(NamedTuple):
    """Seconds per iteration, one for each pair of runs, and the log-likelihood in the end."""

    seconds: list[float]
    log_likelihood: float


@cache
def armadillo() -> Path | None:
    """The compiled driver, or None where there is no compiler or no Armadillo (Debian: libarmadillo-dev)."""
    out = Path(tempfile.mkdtemp()) / "armadillo"
    command = ["g++", "-O3", "-march=native", "-fopenmp", str(HERE / "armadillo.cpp"), "-o", str(out), "-larmadillo"]
    return out if which("g++") and subprocess.run(command, capture_output=True).returncode == 0 else None


def has_r(package: str) -> bool:
    """Whether there is an R with that package (Debian: r-cran-...)."""
    command = ["Rscript", "-e", f"library({package})"]
    return which("Rscript") is not None and subprocess.run(command, capture_output=True).returncode == 0


def run(command: list[str], rows: np.ndarray, k: int, covariance: str, steps: tuple[int, int, int]) -> Timing:
    """A driver on these rows."""
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        rows.tofile(file.name)
        arguments = [file.name, *map(str, rows.shape), str(k), covariance, *map(str, steps)]
        found = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout.split()
    return Timing([float(word) for word in found[:-1]], float(found[-1]))


def by_armadillo(rows: np.ndarray, k: int, covariance: str, steps: tuple[int, int, int]) -> Timing | None:
    """Armadillo's `gmm_full` or `gmm_diag`, with OpenMP."""
    driver = armadillo()
    return None if driver is None else run([str(driver)], rows, k, covariance, steps)


def by_mclust(rows: np.ndarray, k: int, covariance: str, steps: tuple[int, int, int]) -> Timing | None:
    """R's mclust: `em` of VVV or VVI."""
    return run(["Rscript", str(HERE / "mclust.R")], rows, k, covariance, steps) if has_r("mclust") else None
