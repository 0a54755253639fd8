"""Compiled programs kept between runs of the command line, so that the second small fit starts fast."""

import os
import platform
from hashlib import sha256
from pathlib import Path

import click

MOST = 4_000  # programs kept; beyond it the half that was not used for longest goes
SETTING = "LATENS_CACHE"  # a folder, or "off"


def keep_programs() -> None:
    """Tell JAX, before it is loaded, where to keep what it compiles; a warning if it cannot be kept there."""
    wanted = os.environ.get(SETTING, "")
    if wanted == "off" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = (Path(wanted) if wanted else _usual()) / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
        _prune(folder)
    except OSError as error:
        click.echo(
            f"latens: compiled programs cannot be kept in {folder} ({error.strerror}), so every run compiles anew; "
            f"set {SETTING} to a folder, or to off",
            err=True,
        )
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    # XLA remarks on every program it reads back, as if it were of another processor if this one knows AVX-512
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


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
