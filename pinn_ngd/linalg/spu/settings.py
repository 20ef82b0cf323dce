"""What is known to be wrong of the settings of an `SPU` before it runs."""

from typing import Any

from jax.core import Tracer

from ..spectral import is_zero
from .device import check_at_least, check_count

SIMULATIONS = ("exact", "lanczos", "euler-maruyama", "diffrax")
READ_OUTS = ("end", "average")


def check_settings(solver: Any) -> None:
    """ValueError for an `SPU` whose settings are out of range, or contradict each other."""
    for name in ("time", "temperature", "burn_in"):
        check_at_least(name, getattr(solver, name), 0, "a scalar that is not negative")
    check_count("products", solver.products, "a number of products")
    _check_names(solver)
    _check_window(solver)
    dt = solver.dt
    if dt is not None and not isinstance(dt, Tracer) and not dt > 0:
        msg = f"`dt` is {dt}; pass a positive step, or None for a tenth of the limit."
        raise ValueError(msg)
    lacking = solver.device.unsupported(solver.simulation)
    if lacking:
        msg = f"`simulation` is {solver.simulation!r}, but of `device` {lacking}."
        raise ValueError(msg)


def _check_names(solver: Any) -> None:
    for name, known in (("simulation", SIMULATIONS), ("read_out", READ_OUTS)):
        value = getattr(solver, name)
        if value not in known:
            msg = f"`{name}` is {value!r}; choose one of {', '.join(map(repr, known))}."
            raise ValueError(msg)


def _check_window(solver: Any) -> None:
    time, burn_in = solver.time, solver.burn_in
    known = not (isinstance(time, Tracer) or isinstance(burn_in, Tracer))
    if solver.read_out == "average" and known and not burn_in < time:
        msg = (
            f"`burn_in` is {burn_in} and `time` {time}: a time average needs a"
            " window; pass a burn_in below the time, or read_out='end'."
        )
        raise ValueError(msg)
    if solver.read_out == "end" and not is_zero(solver.burn_in):
        msg = f"`burn_in` is {solver.burn_in}, which only read_out='average' knows: leave it out."
        raise ValueError(msg)
    if is_zero(solver.temperature) and not is_zero(solver.device.correlation_time):
        msg = "`temperature` is 0, but `device` has colored noise: pass a positive temperature."
        raise ValueError(msg)
