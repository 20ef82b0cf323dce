"""Losses of one example's outputs z (o,) and target y: value, gradient and curvature factor.

Each curvature is H = S S^T, the Hessian in z. As all three are likelihoods with natural parameter
z, H is also the Fisher matrix E_y[g g^T] over labels y that the model draws itself.
"""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Scalar

from .returned import real

Outputs = Float[Array, " o"]


class AbstractLoss(eqx.Module):
    """The negative logarithm of a likelihood, as a function of a network's outputs.

    The outputs are real; where `takes_complex`, those of a complex network are their real parts,
    then their imaginary parts, and so are complex targets.
    """

    takes_complex: ClassVar[bool] = False

    @abc.abstractmethod
    def value(self, z: Outputs, y: Array) -> Scalar:
        """The loss of one example."""

    @abc.abstractmethod
    def gradient(self, z: Outputs, y: Array) -> Outputs:
        """Its derivative in the outputs."""

    @abc.abstractmethod
    def factor(self, z: Outputs) -> Float[Array, "o r"]:
        """S with S S^T = H, the Hessian in the outputs."""

    @abc.abstractmethod
    def target(self, z: Outputs, y: Array) -> Float[Array, " r"]:
        """The shortest b with S b = gradient."""

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray, z: Outputs) -> Array:
        """A label drawn from the model's own predictive distribution."""

    def check(self, y: Any, outputs: int) -> None:
        """Raises ValueError for targets (n, ...) that do not fit `outputs` outputs."""


class SoftmaxCrossEntropy(AbstractLoss):
    """-log softmax(z)_y for a whole number y in 0..o-1; not a number for another.

    y may also be a row of probabilities (o,), of mixed examples or uncertain labels, with the loss
    -sum_j y_j log softmax(z)_j.

    S = diag(s) - p s^T with s = sqrt(p) (so that S S^T = diag(p) - p p^T) and b = (p - y) / s,
    which is orthogonal to the null vector s. Probabilities below exp(-80) are taken as that in s
    alone, where they would underflow: the gradient S b is not changed by it.
    """

    def value(self, z: Outputs, y: Array) -> Scalar:
        if y.ndim:
            return jax.nn.logsumexp(z) - jnp.sum(_like(y, z) * z)
        chosen = jnp.where((y >= 0) & (y < z.shape[0]), z[y], jnp.nan)
        return jax.nn.logsumexp(z) - chosen

    def gradient(self, z: Outputs, y: Array) -> Outputs:
        if y.ndim:
            return jax.nn.softmax(z) - _like(y, z)
        return jax.nn.softmax(z) - jax.nn.one_hot(y, z.shape[0], dtype=z.dtype)

    def factor(self, z: Outputs) -> Float[Array, "o o"]:
        s = _root(jax.nn.log_softmax(z))
        return jnp.diag(s) - jnp.outer(jax.nn.softmax(z), s)

    def target(self, z: Outputs, y: Array) -> Outputs:
        return self.gradient(z, y) / _root(jax.nn.log_softmax(z))

    def sample(self, key: PRNGKeyArray, z: Outputs) -> Array:
        return jax.random.categorical(key, z)

    def check(self, y: Any, outputs: int) -> None:
        """Raises ValueError for labels (n,) outside 0..o-1; all other targets are rows of
        probabilities, whether integers or floats."""
        if y.ndim > 1:
            _check_probabilities(y, outputs)
            return
        if not jnp.issubdtype(y.dtype, jnp.integer):
            msg = (
                f"`targets` are {y.dtype}; softmax cross entropy needs integers 0..{outputs - 1},"
                " or a row of probabilities for every example."
            )
            raise ValueError(msg)
        low, high = int(jnp.min(y)), int(jnp.max(y))
        if low < 0 or high >= outputs:
            msg = (
                f"`targets` run from {low} to {high}, but the model has {outputs} outputs: labels"
                f" must be 0..{outputs - 1}; renumber them, or widen the last layer."
            )
            raise ValueError(msg)


class BinaryCrossEntropy(AbstractLoss):
    """sum_j log(1 + exp(z_j)) - y_j z_j for y_j in {0, 1} or between: o independent yes or no.

    Not a number for other y_j.

    S = diag(s), s^2 = p (1 - p) not below exp(-80); b = (p - y) / s.
    """

    def value(self, z: Outputs, y: Array) -> Scalar:
        y = _like(y, z)
        return jnp.sum(jax.nn.softplus(z) - jnp.where((y >= 0) & (y <= 1), y, jnp.nan) * z)

    def gradient(self, z: Outputs, y: Array) -> Outputs:
        return jax.nn.sigmoid(z) - _like(y, z)

    def factor(self, z: Outputs) -> Float[Array, "o o"]:
        return jnp.diag(_bernoulli_root(z))

    def target(self, z: Outputs, y: Array) -> Outputs:
        return self.gradient(z, y) / _bernoulli_root(z)

    def sample(self, key: PRNGKeyArray, z: Outputs) -> Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(z)).astype(z.dtype)

    def check(self, y: Any, outputs: int) -> None:
        _check_width(y, outputs)
        if float(jnp.min(y)) < 0 or float(jnp.max(y)) > 1:
            msg = "`targets` of binary cross entropy must lie in [0, 1]: 0 for no, 1 for yes."
            raise ValueError(msg)


class SquaredError(AbstractLoss):
    """1/2 |z - y|^2, the likelihood of unit Gaussian noise: S = I and b = z - y.

    Complex outputs and targets are taken apart into real and imaginary parts.
    """

    takes_complex: ClassVar[bool] = True

    def value(self, z: Outputs, y: Array) -> Scalar:
        return 0.5 * jnp.sum((z - _like(y, z)) ** 2)

    def gradient(self, z: Outputs, y: Array) -> Outputs:
        return z - _like(y, z)

    def factor(self, z: Outputs) -> Float[Array, "o o"]:
        return jnp.eye(z.shape[0], dtype=z.dtype)

    def target(self, z: Outputs, y: Array) -> Outputs:
        return self.gradient(z, y)

    def sample(self, key: PRNGKeyArray, z: Outputs) -> Array:
        return z + jax.random.normal(key, z.shape, z.dtype)

    def check(self, y: Any, outputs: int) -> None:
        _check_width(y, outputs)


LOSSES: dict[str, AbstractLoss] = {
    "softmax": SoftmaxCrossEntropy(),
    "binary": BinaryCrossEntropy(),
    "squared": SquaredError(),
}


def _root(logarithm: Outputs) -> Outputs:
    return jnp.exp(jnp.maximum(logarithm, -80.0) / 2)


def _bernoulli_root(z: Outputs) -> Outputs:
    return _root(jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z))


def _like(y: Array, z: Outputs) -> Outputs:
    return jnp.reshape(real(jnp.ravel(y)), z.shape).astype(z.dtype)


def _check_width(y: Any, outputs: int) -> None:
    width = y[0].size * (2 if jnp.iscomplexobj(y) else 1)
    if width != outputs:
        msg = (
            f"`targets` hold {width} numbers an example, but the model has {outputs} outputs:"
            " they must agree (a complex number counts as two)."
        )
        raise ValueError(msg)


def _check_probabilities(y: Any, outputs: int) -> None:
    if jnp.iscomplexobj(y):
        msg = (
            f"`targets` are {y.dtype}; softmax cross entropy needs real probabilities, or integers"
            f" 0..{outputs - 1} of shape (n,): give `jnp.abs(targets)`, or labels."
        )
        raise ValueError(msg)
    rows = y.reshape(y.shape[0], -1)
    if rows.shape[1] != outputs:
        msg = (
            f"`targets` hold {rows.shape[1]} numbers an example, but the model has {outputs}"
            f" outputs: give labels of shape (n,), such as `targets[:, 0]`, or rows of {outputs}"
            " probabilities."
        )
        raise ValueError(msg)
    total = jnp.sum(rows, axis=1)
    if float(jnp.min(rows)) < 0 or float(jnp.max(jnp.abs(total - 1))) > 1e-3:
        msg = (
            "`targets` of softmax cross entropy with several numbers an example are rows of"
            " probabilities, which sum to 1: divide every row by its sum, or give labels of shape"
            " (n,)."
        )
        raise ValueError(msg)
