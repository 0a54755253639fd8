"""Compiled programs kept between runs of the command line."""

import os

import click

from latens.errors import DataError
from latens.keeping import SETTING, prepared


def keep_programs() -> None:
    """Tell JAX, before it is loaded, where to keep what it compiles; a warning if it cannot be kept there."""
    if os.environ.get(SETTING) == "off" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        folder = prepared()
    except DataError as error:
        click.echo(f"latens: {error}", err=True)
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    # XLA remarks on every program it reads back, as if it were of another processor if this one knows AVX-512
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
