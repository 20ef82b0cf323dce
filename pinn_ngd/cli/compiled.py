"""Compiled code that is kept from one command to the next.

Compilation takes longer than many a training. JAX can write what it compiled to a folder and read
it again; the command line has it do so in the user's cache folder, for each version of JAX and each
kind of processor apart. The library itself never touches JAX's configuration.
"""

import hashlib
import os
import platform
import sys
from pathlib import Path

SWITCH = "PINN_NGD_CACHE"  # a folder, or "off"
OFF = ("off", "0", "")
LARGEST = 2**30  # bytes; above, the oldest half goes


def keep_compiled() -> None:
    """Turn JAX's persistent cache on, unless the user decided otherwise or nothing can be written.

    `PINN_NGD_CACHE=off` turns it off, `PINN_NGD_CACHE=<folder>` puts it elsewhere, and a
    `JAX_COMPILATION_CACHE_DIR` of the user's own is left alone.
    """
    import jax

    chosen = os.environ.get(SWITCH)
    if chosen in OFF or os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    folder = (Path(chosen) if chosen else _cache_home() / "pinn_ngd") / _kind(jax.__version__)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        prune(folder, LARGEST)
    except OSError:  # a command without a cache is slower, and no less right
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def prune(folder: Path, largest: int) -> None:
    """Remove the oldest files of a folder that is larger than so many bytes, down to half of it.

    JAX can do it by itself only where the package filelock is installed.
    """
    files = [(file.stat().st_mtime, file.stat().st_size, file) for file in folder.iterdir()]
    size = sum(bytes_ for _, bytes_, _ in files)
    if size <= largest:
        return
    for _, bytes_, file in sorted(files):
        file.unlink(missing_ok=True)
        size -= bytes_
        if size <= largest / 2:
            return


def _cache_home() -> Path:
    """Where the system keeps what programs can make again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _kind(version: str) -> str:
    """A name for this version of JAX on this processor: a home folder may be shared by machines,
    and code that was compiled for another processor may not run here."""
    features = hashlib.sha256((platform.machine() + _processor()).encode()).hexdigest()[:12]
    return f"jax-{version}-{features}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
