"""The devices and processes of a command, which JAX wants to know before it starts."""

import contextlib
import os
import sys
from typing import NoReturn

import typer


def joined(devices: int | None, *, distributed: bool) -> int | None:
    """Join the other processes; returns how many devices there are in all, None for one as usual.

    `devices` are those of this process: so many accelerators, or that many parts of a CPU. Raises
    ValueError where JAX finds no other processes.
    """
    import jax

    if devices is not None:
        with contextlib.suppress(RuntimeError):  # JAX runs already: `train` counts its devices
            jax.config.update("jax_num_cpu_devices", devices)
    if not distributed:
        return devices
    try:
        jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"`--distributed` finds no other processes ({str(error).splitlines()[0]}): start the "
            "command once for each of them by srun or mpirun."
        ) from error
    return jax.device_count()


def speaks() -> bool:
    """Whether this process prints: the first of several, or alone."""
    import jax

    return jax.process_index() == 0


def leave(code: int) -> NoReturn:
    """Exit with a code; at once where another process is lost, for which JAX would wait."""
    from ..training.processes import ProcessLost

    if ProcessLost.seen:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)
