"""The contract of an exponential family: two coordinate systems and the potential between them."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray, PyTree, Scalar

from .. import _tree

Coordinates = PyTree[Array]


class AbstractExponentialFamily(eqx.Module):
    """Densities p(x) = h(x) exp(<theta, T(x)> - A(theta)) with minimal statistics T.

    The natural coordinates theta and the expectation coordinates eta = E[T(x)] = grad A(theta) are
    one to one, and the Fisher matrix in natural coordinates is the Jacobian of the map between
    them, d eta / d theta = Hessian of A = Cov(T): the family is a dually flat manifold (Amari and
    Nagaoka, Methods of Information Geometry, 2000). Both kinds of coordinates are arrays, or
    PyTrees of arrays, of one shape. `has_cone` says whether some theta belong to no density.

    An instance holds no arrays: the shape of a family is known when a step is compiled.
    """

    has_cone: ClassVar[bool] = False

    @abc.abstractmethod
    def statistics(self, x: Any) -> Coordinates:
        """T(x) of one value."""

    @abc.abstractmethod
    def log_partition(self, natural: Coordinates) -> Scalar:
        """A(theta), convex; not a number outside of the cone."""

    @abc.abstractmethod
    def log_base(self, x: Any) -> Scalar:
        """log h(x) of one value: -inf where x cannot occur."""

    @abc.abstractmethod
    def to_natural(self, expectation: Coordinates) -> Coordinates:
        """theta of eta: the inverse of `to_expectation`."""

    @abc.abstractmethod
    def sample(self, natural: Coordinates, key: PRNGKeyArray, count: int) -> Any:
        """So many independent values, along a leading axis."""

    @abc.abstractmethod
    def standard(self, dtype: Any = None) -> Coordinates:
        """Natural coordinates of the standard member: equal probabilities, N(0, 1), or rate 1."""

    def to_expectation(self, natural: Coordinates) -> Coordinates:
        """eta = grad A(theta)."""
        return jax.grad(self.log_partition)(natural)

    def contains(self, natural: Coordinates) -> Bool[Array, ""]:
        """Whether theta lies in the cone, so that the density can be normalized."""
        return _tree.all_finite(natural)

    def objection(self, expectation: Coordinates) -> str | None:
        """Why concrete eta are no expectations of any member, in words; None where they are.

        A colon and another cure follow where a weight of the standard member is none.
        """
        natural = self.to_natural(expectation)
        if bool(self.contains(natural) & _tree.all_finite(natural)):
            return None
        return "they lie on the boundary of the family"

    @property
    def size(self) -> int:
        """The number of coordinates."""
        return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(self.standard)))

    def log_density(self, natural: Coordinates, x: Any) -> Scalar:
        """log p(x) of one value."""
        found = jax.tree.map(lambda t, q: t.astype(q.dtype), self.statistics(x), natural)
        inner, potential = _tree.dot(natural, found), self.log_partition(natural)
        return self.log_base(x).astype(inner.dtype) + inner - potential

    def divergence(self, natural: Coordinates, other: Coordinates) -> Scalar:
        """KL(p_theta | p_other) = A(other) - A(theta) - <eta, other - theta>, in nats."""
        change = _tree.subtract(other, natural)
        slope = _tree.dot(self.to_expectation(natural), change)
        return self.log_partition(other) - self.log_partition(natural) - slope


def as_float(x: Any) -> Array:
    """A value as a floating-point array, of JAX's default type where it is a whole number."""
    x = jnp.asarray(x)
    inexact = jnp.issubdtype(x.dtype, jnp.inexact)
    return x if inexact else x.astype(jnp.result_type(float))
