"""Unsteady Navier-Stokes in a cube (Ethier and Steinman 1994): velocity and pressure at Re = 1.

v_t + (v . grad) v + grad p = Laplace v, div v = 0 on (0, 1) x (-1, 1)^3. The flow is one of
Beltrami's, curl v parallel to v, and decays like exp(-t). Velocity and pressure, whose gradient
balances the inertia, are given at the start and on the boundary.
"""

import jax
import jax.numpy as jnp

from pinn_ngd import (
    Box,
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    Sobol,
    SpaceTime,
    spatial_laplacian,
)
from pinn_ngd.models import MLP


def exact(y):
    t, x = y[0], y[1:]
    right, left = jnp.roll(x, -1), jnp.roll(x, -2)  # the next coordinates, (y, z, x) and (z, x, y)
    wave, decay = jnp.exp(x) * jnp.sin(right + left), jnp.exp(-t)
    velocity = -(wave + jnp.exp(left) * jnp.cos(x + right)) * decay
    mixed = 2 * jnp.sin(x + right) * jnp.cos(left + x) * jnp.exp(right + left)
    pressure = -jnp.sum(jnp.exp(2 * x) + mixed) * decay**2 / 2
    return jnp.append(velocity, pressure)


def flow(u, y):
    value, slope = u(y), jax.jacfwd(u)(y)
    inertia = slope[:3, 0] + slope[:3, 1:] @ value[:3]
    momentum = inertia + slope[3, 1:] - spatial_laplacian(u)(y)[:3]
    return {"momentum": momentum, "mass": jnp.trace(slope[:3, 1:])}


def problem(
    *, width: int = 32, depth: int = 3, interior: int = 800, boundary: int = 600,
    initial: int = 200, boundary_weight: float = 100.0, windows: int | None = None,
    seconds: float = 120.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Box((-1.0,) * 3, (1.0,) * 3))

    def given(u, y):
        return u(y) - exact(y)

    terms = [
        Residual(flow, Sobol(domain, interior), name="interior"),
        Residual(given, Sobol(domain.lateral(), boundary, seed=1), boundary_weight, "lateral"),
        Residual(given, Sobol(domain.initial(), initial, seed=2), boundary_weight, "initial"),
    ]
    sizes = (4, *(width,) * depth, 4)
    return Problem(
        name="beltrami",
        description="unsteady Navier-Stokes in three dimensions, a flow with known velocity",
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain),
        domain=domain,
        evaluation=Sobol(domain, 8192, seed=3).quadrature(),
        exact=exact,
        windows=windows,
        seconds=seconds,
        components=("u", "v", "w", "p"),
    )  # fmt: skip
