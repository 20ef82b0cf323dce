"""Families of whole numbers: outcomes of a die, and counts."""

from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Scalar

from .._settings import Range, check_fields
from .family import AbstractExponentialFamily, as_float

Several = Annotated[int, Range(2.0)]


class Categorical(AbstractExponentialFamily):
    """One of k `outcomes` 0..k-1: theta_j = log(p_j / p_0) and eta_j = p_j for j = 1..k-1.

    A = log(1 + sum_j exp(theta_j)). Fisher matrix diag(p) - p p^T, inverse diag(1/p) + 1/p_0.
    The density is not a number for other outcomes. Raises ValueError for fewer than two outcomes.
    """

    outcomes: Several = eqx.field(static=True)

    def __check_init__(self):
        check_fields(self)

    def statistics(self, x: Int[Array, ""]) -> Float[Array, " d"]:
        x = jnp.asarray(x)
        found = jax.nn.one_hot(x, self.outcomes, dtype=jnp.result_type(float))[1:]
        return jnp.where((x >= 0) & (x < self.outcomes), found, jnp.nan)

    def log_partition(self, natural: Float[Array, " d"]) -> Scalar:
        return jax.nn.logsumexp(_with_zero(natural))

    def log_base(self, x: Int[Array, ""]) -> Scalar:
        del x
        return jnp.zeros((), jnp.result_type(float))

    def to_expectation(self, natural: Float[Array, " d"]) -> Float[Array, " d"]:
        return jax.nn.softmax(_with_zero(natural))[1:]

    def to_natural(self, expectation: Float[Array, " d"]) -> Float[Array, " d"]:
        return jnp.log(expectation) - jnp.log1p(-jnp.sum(expectation))

    def objection(self, expectation: Float[Array, " d"]) -> str | None:
        p = np.asarray(self.probabilities(expectation))
        none = [str(j) for j in np.flatnonzero(~(p > 0))]
        return f"outcome {', '.join(none)} never occurs" if none else None

    def probabilities(self, expectation: Float[Array, " d"]) -> Float[Array, " k"]:
        """All p_j, with p_0 = 1 - sum eta."""
        first = 1 - jnp.sum(expectation, keepdims=True)
        return jnp.concatenate([first, expectation])

    def sample(self, natural: Float[Array, " d"], key: PRNGKeyArray, count: int) -> Array:
        return jax.random.categorical(key, _with_zero(natural), shape=(count,))

    def standard(self, dtype: Any = None) -> Float[Array, " d"]:
        return jnp.zeros(self.outcomes - 1, dtype)


def _with_zero(natural: Float[Array, " d"]) -> Float[Array, " k"]:
    return jnp.concatenate([jnp.zeros((1,), natural.dtype), natural])


class Poisson(AbstractExponentialFamily):
    """Counts 0, 1, 2, ...: theta = log(rate), eta = rate, A = exp(theta); arrays of one entry."""

    def statistics(self, x: Array) -> Float[Array, "1"]:
        return as_float(x)[None]

    def log_partition(self, natural: Float[Array, "1"]) -> Scalar:
        return jnp.exp(natural[0])

    def log_base(self, x: Array) -> Scalar:
        x = as_float(x)
        return jnp.where((x >= 0) & (x % 1 == 0), -jax.scipy.special.gammaln(x + 1), -jnp.inf)

    def to_natural(self, expectation: Float[Array, "1"]) -> Float[Array, "1"]:
        return jnp.log(expectation)

    def objection(self, expectation: Float[Array, "1"]) -> str | None:
        return None if float(expectation[0]) > 0 else "the mean of the counts is not above zero"

    def sample(self, natural: Float[Array, "1"], key: PRNGKeyArray, count: int) -> Array:
        return jax.random.poisson(key, jnp.exp(natural[0]), shape=(count,))

    def standard(self, dtype: Any = None) -> Float[Array, "1"]:
        return jnp.zeros(1, dtype)
