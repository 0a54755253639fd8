"""Compiled programs kept between processes, so that the second small fit starts fast."""

import os
import platform
from hashlib import sha256
from os import PathLike
from pathlib import Path

from latens.errors import DataError

MOST = 4_000  # programs kept; beyond it the half that was not used for longest goes
SETTING = "LATENS_CACHE"  # a folder, or "off"


def keep_programs(folder: str | PathLike[str] | None = None) -> Path | None:
    """Keep what is compiled from now on in a folder, where the next process that does the same finds it.

    JAX has one such folder for a whole process: this changes its settings (the folder, no limits of size and time,
    and no remarks of XLA on programs read back), and so serves your own programs, too. At most 4,000 are kept, those of
    each kind of processor in a folder of their own.

    **Arguments:** `folder`: where; None (default) for the one that JAX was told already, or else the one that
    `LATENS_CACHE` names, or else that of the command line in the user's cache folder.
    **Returns:** the folder that programs are kept in; None if `LATENS_CACHE` is "off" and no other was given.
    **Raises:** `DataError` if nothing can be written there.
    **Example:**
        >>> import latens as lt
        >>> folder = lt.keep_programs()  # doctest: +SKIP
    """
    import jax
    from jax.experimental.compilation_cache.compilation_cache import reset_cache

    told = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if folder is None and told:
        return Path(told)
    if folder is None and os.environ.get(SETTING) == "off":
        return None
    kept = prepared(folder)
    jax.config.update("jax_compilation_cache_dir", str(kept))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # XLA remarks on every program it reads back, as if it were of another processor if this one knows AVX-512
    level = jax.config.jax_logging_level  # type: ignore[attr-defined]
    jax.config.update("jax_logging_level", "CRITICAL")
    jax.config.update("jax_logging_level", level)  # where there was none, this leaves XLA alone
    reset_cache()  # after something was compiled, JAX would not look at these again
    return kept


def prepared(folder: str | PathLike[str] | None = None) -> Path:
    """The folder for programs of this processor, made and tidied up; `DataError` if it cannot be written to."""
    kept = (Path(folder or os.environ.get(SETTING) or _usual()) / _processor()).absolute()
    try:
        kept.mkdir(parents=True, exist_ok=True)
        probe = kept / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
        _prune(kept)
    except OSError as error:
        raise DataError(
            f"compiled programs cannot be kept in {kept} ({error.strerror}), so every run compiles anew; "
            f"set {SETTING} to a folder, or to off"
        ) from None
    return kept


def _usual() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("latens", appauthor=False) / "programs"


def _processor() -> str:
    """What this machine can do, in twelve letters: programs of another one, in a home they share, could crash here."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    known = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    return sha256(f"{platform.machine()} {known}".encode()).hexdigest()[:12]


def _prune(folder: Path) -> None:
    files = [entry for entry in os.scandir(folder) if entry.is_file()]
    if len(files) > MOST:
        for entry in sorted(files, key=lambda entry: entry.stat().st_mtime)[: len(files) // 2]:
            Path(entry.path).unlink(missing_ok=True)
