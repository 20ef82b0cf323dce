"""Laplace's equation on the L-shape, u = r^(2/3) sin(2 theta / 3) about the reentrant corner.

The gradient of u is unbounded in the corner. With `singular=False` the plain tanh network has to
find the kink by itself. With `singular=True` the network is u = v + r^(2/3) sin(2 theta / 3) w with
two smooth networks v and w: the singular function, which theory gives for every corner (Grisvard
1985), is multiplied by a network that only has to become one.

`pinn-ngd solve l-shape --seed 100 --set points=8 --steps 30` ends with a relative L2 error of
3.0e-3 after 1 s, nearly all of it in the corner, and says that it is not solved. With
`--set singular=True` the error is rounding error after 13 steps. One seed, one core.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from pinn_ngd import GaussLegendre, Problem, Residual, ResidualObjective, l_shape, laplacian
from pinn_ngd.models import MLP


def exact(x):
    # Measured from the middle of the domain, so that the angle jumps in the missing quadrant.
    angle = jnp.arctan2(-x[0] - x[1], x[1] - x[0]) + 3 * jnp.pi / 4
    return (x[0] ** 2 + x[1] ** 2) ** (1 / 3) * jnp.sin(2 * angle / 3)


class Enriched(eqx.Module):
    """v(x) + r^(2/3) sin(2 theta / 3) w(x)."""

    smooth: MLP
    factor: MLP

    def __call__(self, x):
        return self.smooth(x) + exact(x) * self.factor(x)


def problem(
    *, singular: bool = False, width: int = 16, depth: int = 2, points: int = 12,
    boundary_weight: float = 100.0, seconds: float = 60.0,
) -> Problem:  # fmt: skip
    domain = l_shape()
    sizes = (2, *(width,) * depth, 1)

    def model(key):
        first, second = jax.random.split(key)
        smooth = MLP(sizes, key=first, domain=domain)
        return Enriched(smooth, MLP(sizes, key=second, domain=domain)) if singular else smooth

    terms = [
        Residual(lambda u, x: laplacian(u)(x), GaussLegendre(domain, points), name="interior"),
        Residual(
            lambda u, x: u(x) - exact(x),
            GaussLegendre(domain.boundary(), points),
            boundary_weight,
            "boundary",
        ),
    ]
    return Problem(
        name="l-shape",
        description="Laplace on the L-shape with its corner singularity",
        objective=ResidualObjective(terms),
        model=model,
        domain=domain,
        exact=exact,
        seconds=seconds,
    )
