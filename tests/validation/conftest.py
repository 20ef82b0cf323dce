"""Models that are linear in their parameters, for which everything can be told in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from pinn_ngd import GaussLegendre, Interval, Residual, ResidualObjective, laplacian

LINE = Interval(0.0, 1.0)


class Sines(eqx.Module):
    """u(x) = sum_k c_k sin(k pi x)."""

    coefficients: jax.Array

    def __call__(self, x):
        k = jnp.arange(1, self.coefficients.size + 1, dtype=x.dtype)
        return jnp.dot(self.coefficients, jnp.sin(k * jnp.pi * x[0]))


def poisson(solution, *, points=8, scale=1.0, **names):
    """-u'' = f on the line, with f that of the sines `solution`, and u = 0 at both ends."""
    exact = Sines(jnp.asarray(solution))
    return ResidualObjective(
        [
            Residual(
                lambda u, x: scale * (laplacian(u)(x) - laplacian(exact)(x)),
                GaussLegendre(LINE, points),
                name=names.get("inside", "interior"),
            ),
            Residual(
                lambda u, x: scale * u(x),
                GaussLegendre(LINE.boundary(), 1),
                name=names.get("ends", "ends"),
            ),
        ]
    )


@pytest.fixture
def line_problem():
    return poisson
