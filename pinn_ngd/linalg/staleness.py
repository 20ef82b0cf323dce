"""When a statistic that changes slowly is measured again."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._settings import Count, NonNegative, check_fields


class Staleness(eqx.Module):
    """Intervals between measurements that grow while a statistic X hardly changes.

    After each measurement X is compared with the two before it, X_1 and X_2: it is close to X_j
    where |X - X_j|_F <= `alpha` |X_j|_F. With Delta_1 and Delta_2 the last two intervals, the next
    one is

    - max(1, Delta_1 / `shrink`, rounded down) where X is not close to X_1,
    - Delta_1 where it is close to X_1 alone,
    - Delta_1 + Delta_2 where it is to both: of constant statistics they are 1, 2, 3, 5, 8, ...,

    and at most `longest`. That is the idea of Osawa et al. (arXiv:2002.06015); since the text of
    their algorithm was not at hand, the rule in this form, alpha = 0.1, the halving and the bound
    are ours. With `alpha` = 0 a statistic that changes at all is measured in every step. Raises
    ValueError for constants out of range.
    """

    alpha: NonNegative = eqx.field(static=True, default=0.1)
    shrink: Count = eqx.field(static=True, default=2)
    longest: Count = eqx.field(static=True, default=100)

    def __check_init__(self):
        check_fields(self)

    def following(
        self,
        last: Int[Array, ""],
        before: Int[Array, ""],
        close: Bool[Array, ""],
        close_before: Bool[Array, ""],
    ) -> Int[Array, ""]:
        """The next interval, after intervals `last` and `before`."""
        shorter = jnp.maximum(1, last // self.shrink)
        found = jnp.where(close, jnp.where(close_before, last + before, last), shorter)
        return jnp.minimum(found, self.longest).astype(last.dtype)

    def is_close(self, new: Float[Array, "*n"], old: Float[Array, "*n"]) -> Bool[Array, ""]:
        """Whether |X - Y|_F <= alpha |Y|_F; not where a number is not finite."""
        change, size = (jnp.linalg.norm(x.reshape(-1)) for x in (new - old, old))
        return change <= self.alpha * size


def is_due(count: Int[Array, ""], due: Int[Array, " k"]) -> Bool[Array, " k"]:
    """Which statistics are measured in step `count`."""
    return count >= due
