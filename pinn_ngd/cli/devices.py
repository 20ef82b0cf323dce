"""The devices and processes of a command, which JAX wants to know before it starts."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

import typer


def joined(devices: int | None, *, distributed: bool) -> Any:
    """Join the other processes; returns the `mesh` of `train`, None for one device as usual.

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
    if devices is None:
        return jax.device_count()
    own = [[d for d in jax.devices() if d.process_index == i] for i in range(jax.process_count())]
    short = min(map(len, own))
    if devices > short:
        raise ValueError(f"`--devices` is {devices}, and a process has {short}: ask for fewer.")
    return jax.sharding.Mesh([d for few in own for d in few[:devices]], ("rows",))


def speaks() -> bool:
    """Whether this process prints: the first of several, or alone."""
    import jax

    return jax.process_index() == 0


@contextlib.contextmanager
def together(distributed: bool) -> Iterator[None]:
    """Ends one of several processes at once where it raises, which the others notice.

    JAX would wait for them at the end, and they for this one.
    """
    try:
        yield
    except BaseException as error:
        import jax

        if not distributed or jax.process_count() == 1:
            raise
        if not isinstance(error, typer.Exit):
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.exit_code if isinstance(error, typer.Exit) else 1)


def leave(code: int) -> NoReturn:
    """Exit with a code; at once where another process is lost, for which JAX would wait."""
    from ..training.processes import ProcessLost

    if ProcessLost.seen:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)
