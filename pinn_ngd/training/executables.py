"""Many runs in one process: a loop over seeds, a comparison, windows in time."""

from pathlib import Path

import jax

MAPPED = 30_000  # half of Linux's default for the memory maps of a process


def forget_executables(limit: int = MAPPED) -> None:
    """Forget compiled functions where the process has more memory maps than `limit`.

    Every executable holds maps, hundreds a run, and XLA's compiler ends the process when the system
    grants no more. Does nothing where maps cannot be counted, which is outside of Linux.
    """
    maps = Path("/proc/self/maps")
    if maps.is_file() and maps.read_text().count("\n") > limit:
        jax.clear_caches()
