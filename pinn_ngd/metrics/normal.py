"""The Fisher metric of multivariate normal distributions, whose inverse is a derivative.

N(m, S) is an exponential family. Its natural coordinates are theta = (S^-1 m, -S^-1 / 2), its
expectation coordinates eta = (m, S + m m^T), and the Fisher matrix is F = d eta / d theta. So the
natural gradient F^-1 dL/dtheta is dL/deta: nothing is solved. In other coordinates zeta it is
(d zeta / d theta) dL/deta, one Jacobian-vector product of the map theta -> zeta (Salimbeni,
Eleftheriadis and Hensman, AISTATS 2018). Where a distribution is kept as mean and Cholesky factor,
a step in the coordinates zeta is

    v    = dL/deta, from the gradients in mean and factor
    zeta <- zeta - gamma jvp(theta -> zeta; theta, v)

and the way back to mean and factor. All coordinates have the same direction to first order in
gamma; they differ in what a long step does, and in whether it leaves the cone of positive definite
covariances. Only in natural coordinates one step of gamma = 1 ends in the optimum of a conjugate
model.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float, PyTree

from .._names import choose
from ..models import MultivariateNormal

Pair = tuple[Float[Array, " m"], Float[Array, "m m"]]


class AbstractCoordinates(eqx.Module):
    """A parameterization of N(m, S): a PyTree of arrays of which m and a factor of S are functions.

    A subclass gives the two maps; `direction` follows from them.
    """

    @abc.abstractmethod
    def of(self, normal: MultivariateNormal) -> PyTree:
        """The coordinates of a distribution."""

    @abc.abstractmethod
    def back(self, coordinates: PyTree) -> MultivariateNormal:
        """The distribution of these coordinates; not a number where there is none."""

    def direction(self, normal: MultivariateNormal, v: Pair) -> PyTree:
        """(d zeta / d theta) v at a distribution, v = dL/deta: the natural gradient."""
        theta = natural_coordinates(normal)
        return jax.jvp(lambda t: self.of(from_natural(t)), (theta,), (v,))[1]

    def step(
        self, normal: MultivariateNormal, gradient: MultivariateNormal, gamma: Any
    ) -> MultivariateNormal:
        """The distribution at zeta - gamma F^-1 dL/dzeta; `gradient` is that in mean and factor."""
        change = self.direction(normal, expectation_gradient(normal, gradient))
        moved = jax.tree.map(lambda z, d: z - gamma * d, self.of(normal), change)
        return self.back(moved)


class Natural(AbstractCoordinates):
    """theta = (S^-1 m, -S^-1 / 2): one step of gamma = 1 solves a conjugate model."""

    def of(self, normal: MultivariateNormal) -> Pair:
        return natural_coordinates(normal)

    def back(self, coordinates: Pair) -> MultivariateNormal:
        return from_natural(coordinates)

    def direction(self, normal: MultivariateNormal, v: Pair) -> Pair:
        del normal
        return v


class Expectation(AbstractCoordinates):
    """eta = (m, S + m m^T)."""

    def of(self, normal: MultivariateNormal) -> Pair:
        return normal.mean, normal.covariance + jnp.outer(normal.mean, normal.mean)

    def back(self, coordinates: Pair) -> MultivariateNormal:
        mean, second = coordinates
        return MultivariateNormal(mean, jnp.linalg.cholesky(second - jnp.outer(mean, mean)))


class MeanCovariance(AbstractCoordinates):
    """(m, S)."""

    def of(self, normal: MultivariateNormal) -> Pair:
        return normal.mean, normal.covariance

    def back(self, coordinates: Pair) -> MultivariateNormal:
        return MultivariateNormal(coordinates[0], jnp.linalg.cholesky(coordinates[1]))


class MeanCholesky(AbstractCoordinates):
    """(m, L), L the Cholesky factor of S, in which a distribution is kept."""

    def of(self, normal: MultivariateNormal) -> Pair:
        return normal.mean, normal.factor

    def back(self, coordinates: Pair) -> MultivariateNormal:
        return MultivariateNormal(*coordinates)


class MeanLogCholesky(AbstractCoordinates):
    """(m, L) with the logarithms of the diagonal of L: no step leaves the cone."""

    def of(self, normal: MultivariateNormal) -> Pair:
        factor = normal.factor
        diagonal = jnp.diagonal(factor)
        return normal.mean, factor + jnp.diag(jnp.log(diagonal) - diagonal)

    def back(self, coordinates: Pair) -> MultivariateNormal:
        mean, lower = coordinates
        diagonal = jnp.diagonal(lower)
        return MultivariateNormal(mean, lower + jnp.diag(jnp.exp(diagonal) - diagonal))


COORDINATES: dict[str, AbstractCoordinates] = {
    "natural": Natural(),
    "expectation": Expectation(),
    "mean-covariance": MeanCovariance(),
    "mean-cholesky": MeanCholesky(),
    "mean-log-cholesky": MeanLogCholesky(),
}


def coordinates_of(coordinates: AbstractCoordinates | str) -> AbstractCoordinates:
    """The coordinates that are meant by their name or by themselves; ValueError for another
    name."""
    if isinstance(coordinates, AbstractCoordinates):
        return coordinates
    return choose(coordinates, COORDINATES, "`coordinates`")


def natural_coordinates(normal: MultivariateNormal) -> Pair:
    """(S^-1 m, -S^-1 / 2)."""
    inverse = _inverse(normal.factor)
    return inverse.T @ (inverse @ normal.mean), -0.5 * inverse.T @ inverse


def from_natural(theta: Pair) -> MultivariateNormal:
    """The distribution with these natural coordinates; not a number where there is none.

    With S^-1 = U U^T, U upper triangular with a positive diagonal, U^-T is the Cholesky factor
    of S: S itself is never formed.
    """
    linear, quadratic = theta
    precision = -(quadratic + quadratic.T)
    upper = jnp.linalg.cholesky(precision[::-1, ::-1])[::-1, ::-1]
    factor = _inverse(upper.T)
    return MultivariateNormal(factor @ (factor.T @ linear), factor)


def expectation_gradient(normal: MultivariateNormal, gradient: MultivariateNormal) -> Pair:
    """dL/deta from dL/dm and dL/dL, the gradients in the mean and in the Cholesky factor.

    With G = dL/dS = L^-T sym(Phi(L^T dL/dL)) L^-1, where Phi takes the lower triangle and half of
    the diagonal: dL/deta = (dL/dm - 2 G m, G). It is symmetric in the second part.
    """
    factor = normal.factor
    product = jnp.tril(factor.T @ gradient.factor)
    lower = product - 0.5 * jnp.diag(jnp.diagonal(product))
    inverse = _inverse(factor)
    of_covariance = 0.5 * inverse.T @ (lower + lower.T) @ inverse
    return gradient.mean - 2 * of_covariance @ normal.mean, of_covariance


def is_proper(normal: MultivariateNormal) -> Bool[Array, ""]:
    """Whether mean and factor are finite and the diagonal of the factor is positive."""
    finite = jnp.all(jnp.isfinite(normal.mean)) & jnp.all(jnp.isfinite(normal.factor))
    return finite & jnp.all(jnp.diagonal(normal.factor) > 0)


def _inverse(lower: Float[Array, "m m"]) -> Float[Array, "m m"]:
    return solve_triangular(lower, jnp.eye(len(lower), dtype=lower.dtype), lower=True)
