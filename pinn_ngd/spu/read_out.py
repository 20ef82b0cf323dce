"""What is read of the voltages."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Real

from .._names import choose
from .arguments import check_at_least, is_negative


class Schedule(NamedTuple):
    """How long, how hot, and what is read: x(time), or its mean over (burn_in, time)."""

    time: Any
    burn_in: Any
    temperature: Any
    average: bool


class AbstractReadOut(eqx.Module):
    """What is read of a device that runs until a time."""

    @abc.abstractmethod
    def schedule(self, time: Any, temperature: Any) -> Schedule:
        """The schedule of a run that is read so."""

    def check(self, time: Any) -> None:
        """ValueError where nothing can be read at that time."""
        del time

    def is_invalid(self, time: Any) -> Bool[Array, ""]:
        """The same of traced numbers."""
        del time
        return jnp.asarray(False)


class FinalState(AbstractReadOut):
    """x(time), the voltages at the end."""

    def schedule(self, time: Any, temperature: Any) -> Schedule:
        return Schedule(time, 0.0, temperature, False)


class TimeAverage(AbstractReadOut):
    """The mean of x over (`burn_in`, time), which has less noise than its end.

    `burn_in` is a scalar >= 0 in the units of the time, below which it must be; it may be traced.
    """

    burn_in: Real[ArrayLike, ""] = 0.0

    def __check_init__(self):
        check_at_least("burn_in", self.burn_in, 0, "a scalar that is not negative")

    def schedule(self, time: Any, temperature: Any) -> Schedule:
        return Schedule(time, self.burn_in, temperature, True)

    def check(self, time: Any) -> None:
        known = not isinstance(time, Tracer) and not isinstance(self.burn_in, Tracer)
        if known and not self.burn_in < time:
            msg = (
                f"`burn_in` is {self.burn_in} and `time` {time}: a time average needs a window;"
                " pass a burn_in below the time, or read_out='end'."
            )
            raise ValueError(msg)

    def is_invalid(self, time: Any) -> Bool[Array, ""]:
        window = jnp.asarray(self.burn_in) < jnp.asarray(time)
        return is_negative(self.burn_in) | ~window


READ_OUTS: dict[str, type[AbstractReadOut]] = {"end": FinalState, "average": TimeAverage}


def read_out_of(given: AbstractReadOut | str) -> AbstractReadOut:
    """A read-out, or that of a name with its defaults; ValueError for anything else."""
    return given if isinstance(given, AbstractReadOut) else choose(given, READ_OUTS, "`read_out`")()
