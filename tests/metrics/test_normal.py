"""The Fisher metric of normal distributions, against its definition and automatic derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.metrics import normal
from pinn_ngd.metrics.normal import COORDINATES
from pinn_ngd.models import MultivariateNormal

M = 3
RNG = np.random.default_rng(0)
LOWER = np.tril_indices(M)


def _random():
    return MultivariateNormal(
        RNG.normal(size=M), np.tril(0.3 * RNG.normal(size=(M, M)), -1) + np.diag([0.5, 1.2, 0.8])
    )


Q, GRADIENT = _random(), _random()  # a gradient in mean and factor is any pair of that shape


def _divergence(mean_p, cov_p, mean_q, cov_q):
    """KL(p | q) of two normal distributions, by its formula."""
    inverse, difference = jnp.linalg.inv(cov_q), mean_q - mean_p
    ratio = jnp.linalg.slogdet(cov_q)[1] - jnp.linalg.slogdet(cov_p)[1]
    trace = jnp.trace(inverse @ cov_p)
    return 0.5 * (trace + difference @ inverse @ difference - M + ratio)


@pytest.mark.parametrize(
    "name", ["mean-cholesky", pytest.param("mean-log-cholesky", marks=pytest.mark.slow)]
)
def test_the_direction_solves_with_the_fisher_matrix(name):
    """F is the Hessian of the divergence KL(q0 | q) at q = q0, here inverted as a dense matrix."""
    coordinates = COORDINATES[name]

    def distribution(z):
        lower = jnp.zeros((M, M)).at[LOWER].set(z[M:])
        return coordinates.back((z[:M], lower))

    mean, lower = coordinates.of(Q)
    z0 = jnp.concatenate([mean, lower[LOWER]])

    def divergence(z):
        q = distribution(z)
        return _divergence(Q.mean, Q.covariance, q.mean, q.covariance)

    def linear(z):  # a function whose gradient in mean and factor is GRADIENT
        q = distribution(z)
        return q.mean @ GRADIENT.mean + jnp.sum(q.factor * GRADIENT.factor)

    @jax.jit
    def both(z):
        solved = jnp.linalg.solve(jax.hessian(divergence)(z), jax.grad(linear)(z))
        return solved, coordinates.direction(Q, normal.expectation_gradient(Q, GRADIENT))

    expected, found = both(z0)
    np.testing.assert_allclose(found[0], expected[:M], rtol=1e-11)
    np.testing.assert_allclose(found[1][LOWER], expected[M:], rtol=1e-11)


def test_the_gradient_in_expectation_coordinates_is_that_of_automatic_differentiation():
    second = Q.covariance + jnp.outer(Q.mean, Q.mean)
    _, pull = jax.vjp(normal.Expectation().back, (Q.mean, second))
    ((first, quadratic),) = pull(GRADIENT)
    found = normal.expectation_gradient(Q, GRADIENT)
    np.testing.assert_allclose(found[0], first, rtol=1e-12)
    np.testing.assert_allclose(found[1], (quadratic + quadratic.T) / 2, rtol=1e-12)


@pytest.mark.parametrize("name", COORDINATES)
def test_the_way_there_and_back(name):
    found = COORDINATES[name].back(COORDINATES[name].of(Q))
    np.testing.assert_allclose(found.mean, Q.mean, rtol=1e-13)
    np.testing.assert_allclose(found.factor, Q.factor, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", COORDINATES)
def test_all_coordinates_have_one_direction(name):
    """Short steps in any two coordinates differ by gamma squared."""

    def moved(coordinates, gamma):
        found = coordinates.step(Q, GRADIENT, gamma)
        return np.concatenate([found.mean, found.factor[LOWER]])

    def gap(gamma):
        natural = moved(normal.Natural(), gamma)
        return np.linalg.norm(moved(COORDINATES[name], gamma) - natural) + 1e-18

    if name != "natural":
        np.testing.assert_allclose(gap(1e-3) / gap(5e-4), 4.0, rtol=0.05)


def test_a_factor_is_found_without_forming_an_ill_conditioned_covariance():
    """Deviations from 1 to 1e-7: S has the condition 1e14, and its factor keeps its digits."""
    factor = np.tril(RNG.normal(size=(M, M)), -1) * 1e-8 + np.diag([1.0, 1e-3, 1e-7])
    q = MultivariateNormal(np.ones(M), factor)
    found = normal.from_natural(normal.natural_coordinates(q)).factor
    np.testing.assert_allclose(np.diagonal(found), np.diagonal(factor), rtol=1e-9)


def test_what_is_no_distribution_is_told():
    theta = normal.natural_coordinates(Q)
    assert normal.is_proper(Q)
    assert not normal.is_proper(normal.from_natural((theta[0], -theta[1])))
    assert not normal.is_proper(MultivariateNormal(Q.mean, Q.factor - jnp.eye(M)))
    with pytest.raises(ValueError, match=r"`mean` has the shape \(3,\) and `root` \(2, 2\)"):
        MultivariateNormal(np.ones(3), np.eye(2))
    with pytest.raises(ValueError, match="`coordinates` is 'polar'; it must be one of natural"):
        normal.coordinates_of("polar")
