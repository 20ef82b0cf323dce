"""Step lengths along a given direction."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..._settings import Fraction, Positive, Whole, check_fields


class Found(NamedTuple):
    """The step length t, the reduction there, whether it is accepted, and the evaluations made."""

    step: Float[Array, ""]
    gain: Float[Array, ""]
    accepted: Bool[Array, ""]
    evaluations: Int[Array, ""]


class AbstractLineSearch(eqx.Module):
    """Chooses t for the step theta - t * direction."""

    def __check_init__(self):
        check_fields(self)

    @abc.abstractmethod
    def __call__(
        self,
        reduction: Callable[[Array], Array],
        norm: Float[Array, ""],
        predicted: Callable[[Array], Array],
        last: Float[Array, ""] | None = None,
    ) -> Found:
        """The step length t along a direction d.

        `reduction(t)` is loss(theta) - loss(theta - t d), `norm` is |d|, and `predicted(t)` is the
        reduction t g.d that the gradient g predicts (less where bounds cut the step back). `last`
        is the length of the step before, zero where there was none; optimizers that do not keep it
        pass nothing.
        """


class GridLineSearch(AbstractLineSearch):
    """The best of `largest` * 2^-k, k = 0 ... `halvings` (Mueller and Zeinhofer, ICML 2023).

    The 31 points of that paper are the default. Unlike there, the step is refused where no point
    lowers the loss; with `always` the best one is taken all the same, as long as it is finite.
    """

    largest: Positive = 1.0
    halvings: Whole = eqx.field(static=True, default=30)
    always: bool = eqx.field(static=True, default=False)

    def __call__(
        self,
        reduction: Callable[[Array], Array],
        norm: Float[Array, ""],
        predicted: Callable[[Array], Array],
        last: Float[Array, ""] | None = None,
    ) -> Found:
        del predicted, last
        steps = self.largest * 0.5 ** jnp.arange(self.halvings + 1, dtype=norm.dtype)
        gains = jax.lax.map(reduction, steps, batch_size=8)
        gains = jnp.where(jnp.isfinite(gains), gains, -jnp.inf)
        best = jnp.argmax(gains)
        accepted = gains[best] > (-jnp.inf if self.always else 0)
        return Found(steps[best], gains[best], accepted, _count(len(steps)))


class FixedStep(AbstractLineSearch):
    """t = min(`rate`, `norm_limit` / |d|), as in SPRING.

    The step is refused only where the loss after it is not finite.
    """

    rate: Positive = 0.1
    norm_limit: Positive = jnp.inf

    def __call__(
        self,
        reduction: Callable[[Array], Array],
        norm: Float[Array, ""],
        predicted: Callable[[Array], Array],
        last: Float[Array, ""] | None = None,
    ) -> Found:
        del predicted, last
        rate = jnp.asarray(self.rate, norm.dtype)
        limit = jnp.asarray(self.norm_limit, norm.dtype)
        step = jnp.minimum(rate, limit / jnp.maximum(norm, jnp.finfo(norm.dtype).tiny))
        gain = reduction(step)
        return Found(step, gain, jnp.isfinite(gain), _count(1))


class Armijo(AbstractLineSearch):
    """Sufficient decrease: loss(theta) - loss(theta - t d) >= `fraction` times the predicted one.

    The search starts at t = min(`initial`, `norm_limit` / |d|) and halves t until the condition
    holds. Where it holds at once and `expand` is set, t is doubled as long as that lowers the loss
    further and stays within `norm_limit`. Doubling is needed because every metric has units of its
    own, so that t = 1 is a natural first step in few of them. The step is refused after `tries`
    halvings.

    With `warm` the search starts at twice the length of the step before, where an optimizer keeps
    it, and doubles no further: two evaluations a step on average, whatever the scale of the
    direction is. That is fair to methods whose directions have no scale, such as gradient descent.
    """

    initial: Positive = 1.0
    norm_limit: Positive = jnp.inf
    fraction: Fraction = 1e-4
    tries: Whole = eqx.field(static=True, default=40)
    expand: bool = eqx.field(static=True, default=True)
    warm: bool = eqx.field(static=True, default=False)

    def __call__(
        self,
        reduction: Callable[[Array], Array],
        norm: Float[Array, ""],
        predicted: Callable[[Array], Array],
        last: Float[Array, ""] | None = None,
    ) -> Found:
        limit = self.norm_limit / jnp.maximum(norm, jnp.finfo(norm.dtype).tiny)
        known = last if self.warm and last is not None else jnp.zeros_like(norm)
        first = jnp.where(known > 0, 2 * known, jnp.asarray(self.initial, norm.dtype))
        start = jnp.minimum(first, limit)

        def enough(t: Array, gain: Array) -> Array:
            return jnp.isfinite(gain) & (gain > 0) & (gain >= self.fraction * predicted(t))

        def halve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            t, _, tries = carry
            return t / 2, reduction(t / 2), tries + 1

        def failing(carry: tuple[Array, Array, Array]) -> Array:
            return ~enough(*carry[:2]) & (carry[2] < self.tries)

        zero = jnp.asarray(0, jnp.int32)
        t, gain, tries = jax.lax.while_loop(failing, halve, (start, reduction(start), zero))
        evaluations = tries + 1
        if self.expand:
            found = (t, gain, evaluations)
            wanted = (tries == 0) & (known == 0)
            t, gain, evaluations = self._expanded(reduction, enough, limit, found, wanted)
        return Found(t, gain, enough(t, gain), evaluations)

    def _expanded(
        self,
        reduction: Callable[[Array], Array],
        enough: Callable[[Array, Array], Array],
        limit: Array,
        found: tuple[Array, Array, Array],
        wanted: Array,
    ) -> tuple[Array, Array, Array]:
        def double(carry: tuple[Array, ...]) -> tuple[Array, ...]:
            t, gain, evaluations, _ = carry
            longer = 2 * t
            there = reduction(longer)
            better = enough(longer, there) & (there > gain) & (longer <= limit)
            kept = jnp.where(better, longer, t), jnp.where(better, there, gain)
            return *kept, evaluations + 1, better

        begin = (*found, wanted & enough(*found[:2]))
        t, gain, evaluations, _ = jax.lax.while_loop(lambda carry: carry[3], double, begin)
        return t, gain, evaluations


def _count(evaluations: int) -> Int[Array, ""]:
    return jnp.asarray(evaluations, jnp.int32)
