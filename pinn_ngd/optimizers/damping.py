"""Rules for the damping of a natural gradient from step to step."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._names import choose


class AbstractDamping(eqx.Module):
    """The `initial` damping, and a rule for the next one.

    The rule may use the ratio of the true reduction of the loss by a step to the predicted one.
    """

    initial: eqx.AbstractVar[float]

    @property
    @abc.abstractmethod
    def watches(self) -> bool:
        """Whether `update` needs the ratio, which costs a loss and a product with A."""

    @abc.abstractmethod
    def update(self, damping: Float[Array, ""], ratio: Float[Array, ""]) -> Float[Array, ""]:
        """The damping of the next step."""


class FixedDamping(AbstractDamping):
    """The same damping in every step."""

    initial: float = 1e-2

    def __check_init__(self):
        _check_positive(self.initial)

    @property
    def watches(self) -> bool:
        return False

    def update(self, damping: Float[Array, ""], ratio: Float[Array, ""]) -> Float[Array, ""]:
        del ratio
        return damping


class Undamped(AbstractDamping):
    """No damping, for metrics that are positive definite by themselves."""

    initial: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if self.initial != 0:
            raise ValueError(f"`initial` is {self.initial}; `Undamped` is a damping of 0.")

    @property
    def watches(self) -> bool:
        return False

    def update(self, damping: Float[Array, ""], ratio: Float[Array, ""]) -> Float[Array, ""]:
        del ratio
        return damping


class LevenbergMarquardt(AbstractDamping):
    """Multiplies the damping by `factor` where the ratio is above 1 - `margin`, and divides it by
    `factor` where the ratio is below `margin`.

    The ratio compares the reduction of the batch's loss with that of its quadratic model (Martens
    and Grosse 2015, section 6.5). A ratio that is not finite counts as a failure.
    """

    initial: float = 1e-2
    factor: float = 0.95
    margin: float = 0.25
    smallest: float = 1e-6
    largest: float = 1e3

    def __check_init__(self):
        _check_positive(self.initial)
        if not 0 < self.factor < 1:
            msg = f"`factor` is {self.factor}; it must lie between 0 and 1."
            raise ValueError(msg)

    @property
    def watches(self) -> bool:
        return True

    def update(self, damping: Float[Array, ""], ratio: Float[Array, ""]) -> Float[Array, ""]:
        good, poor = ratio > 1 - self.margin, ~(ratio >= self.margin)
        change = jnp.where(good, self.factor, jnp.where(poor, 1 / self.factor, 1.0))
        return jnp.clip(damping * change.astype(damping.dtype), self.smallest, self.largest)


DAMPINGS: dict[str, type[AbstractDamping]] = {
    "fixed": FixedDamping,
    "levenberg-marquardt": LevenbergMarquardt,
}


def damping_rule(name: str, initial: float) -> AbstractDamping:
    """The rule of that name; ValueError for another name or a damping that is not positive."""
    return choose(name, DAMPINGS, "`adaption`")(initial)


def _check_positive(damping: float) -> None:
    if not damping > 0:
        msg = f"`damping` is {damping}; a minibatch's curvature is singular: give one above 0."
        raise ValueError(msg)
