"""Step lengths along a given direction."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class AbstractLineSearch(eqx.Module):
    """Chooses t for the step theta - t * direction."""

    @abc.abstractmethod
    def __call__(
        self, reduction: Callable[[Array], Array], norm: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""], Bool[Array, ""]]:
        """From t -> loss(theta) - loss(theta - t d) and |d|: t, its reduction, and acceptance."""


class GridLineSearch(AbstractLineSearch):
    """The best of `largest` * 2^-k, k = 0 ... `halvings` (Mueller and Zeinhofer, ICML 2023).

    Their 31 points are the default. Unlike theirs, a search in which no point lowers the loss
    refuses the step.
    """

    largest: float = 1.0
    halvings: int = eqx.field(static=True, default=30)

    def __call__(
        self, reduction: Callable[[Array], Array], norm: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""], Bool[Array, ""]]:
        steps = self.largest * 0.5 ** jnp.arange(self.halvings + 1, dtype=norm.dtype)
        gains = jax.lax.map(reduction, steps, batch_size=8)
        gains = jnp.where(jnp.isfinite(gains), gains, -jnp.inf)
        best = jnp.argmax(gains)
        return steps[best], gains[best], gains[best] > 0


class FixedStep(AbstractLineSearch):
    """t = min(`rate`, `norm_limit` / |d|), as SPRING does; refused only where it is not finite."""

    rate: float = 0.1
    norm_limit: float = jnp.inf

    def __call__(
        self, reduction: Callable[[Array], Array], norm: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""], Bool[Array, ""]]:
        rate = jnp.asarray(self.rate, norm.dtype)
        limit = jnp.asarray(self.norm_limit, norm.dtype)
        step = jnp.minimum(rate, limit / jnp.maximum(norm, jnp.finfo(norm.dtype).tiny))
        gain = reduction(step)
        return step, gain, jnp.isfinite(gain)
