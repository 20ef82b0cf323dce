"""The loss of a span: two choices among the positions of a sequence."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from ...objectives.losses import AbstractLoss, Outputs, SoftmaxCrossEntropy

_CHOICE = SoftmaxCrossEntropy()


class SpanCrossEntropy(AbstractLoss):
    """Softmax cross entropy of the first position plus that of the last, y = (first, last).

    The outputs are 2 s logits: those of the first position at each of the s places, then those of
    the last (`models.SpanFinder`). S is block diagonal with the two factors of
    `SoftmaxCrossEntropy`, and b their two targets. The rows of A are 2 s an example: for long
    sequences take "mc-fisher" curvature, which has one.
    """

    def value(self, z: Outputs, y: Array) -> Scalar:
        return jnp.sum(jax.vmap(_CHOICE.value)(_halves(z), y))

    def gradient(self, z: Outputs, y: Array) -> Outputs:
        return jax.vmap(_CHOICE.gradient)(_halves(z), y).reshape(-1)

    def factor(self, z: Outputs) -> Float[Array, "o o"]:
        first, last = jax.vmap(_CHOICE.factor)(_halves(z))
        return jax.scipy.linalg.block_diag(first, last)

    def target(self, z: Outputs, y: Array) -> Outputs:
        return jax.vmap(_CHOICE.target)(_halves(z), y).reshape(-1)

    def sample(self, key: PRNGKeyArray, z: Outputs) -> Array:
        return jax.random.categorical(key, _halves(z)).astype(jnp.int32)

    def check(self, y: Array, outputs: int) -> None:
        if y.ndim != 2 or y.shape[1] != 2 or outputs % 2:
            msg = (
                f"`targets` have shape {y.shape} and the model {outputs} outputs; a span needs two"
                " numbers an example, first and last, and as many outputs for each."
            )
            raise ValueError(msg)
        _CHOICE.check(y.reshape(-1), outputs // 2)


def _halves(z: Outputs) -> Float[Array, "2 s"]:
    return z.reshape(2, -1)
