"""Allen-Cahn equation with layers, u_t = 0.0001 u_xx + 5 u - 5 u^3, periodic on (-1, 1).

u = x^2 cos(pi x) at t = 0, 0 < t < 1. This initial value has a kink where the period closes: its
slope jumps from -2 to 2 at x = 1. By t = 1 the kink is a smooth corner, 0.02 wide, and layers of
the same width stand between the phases. What becomes of the kink, with the reaction linearized
about u = -1, is known: with y the distance from x = 1,

    c(t, y) = e^(-10 t) (2 y erf(y / s) + 2 s e^(-y^2 / s^2) / sqrt(pi) - y^2 - s^2 / 2)

with s^2 = 4 eps t and eps = 0.0001 starts as 2 |y| - y^2. With `corner=True` the network is
u = v + c with a smooth v; without it a plain network has to round the corner by itself. Errors are
measured against a spectral solution that is shipped, itself accurate to 2.5e-9
(`benchmarks/references.py`).

`python benchmarks/suite.py allen-cahn --seconds 120 --first 100 --seeds 1` (seed 100, one core
of a two-core machine that others used too): relative L2 error 1.0e-1 after 20 s of training,
2.5e-5 after 120 s, which the run gives as a lower bound.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from pinn_ngd import (
    GaussLegendre,
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    SpaceTime,
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.evaluation import shipped_reference
from pinn_ngd.models import MLP, Embedded, PeriodicFeatures

EPS = 1e-4


def corner(x):
    t = jnp.maximum(x[0], 1e-12)  # the kink itself has no derivative
    y, s = 1 - jnp.abs(x[1]), jnp.sqrt(4 * EPS * t)
    rounded = y * jax.scipy.special.erf(y / s) + s * jnp.exp(-((y / s) ** 2)) / jnp.sqrt(jnp.pi)
    return jnp.exp(-10 * x[0]) * (2 * rounded - y**2 - 2 * EPS * t)


def exact(x):
    return REFERENCE(x) + corner(x)


REFERENCE = shipped_reference("allen-cahn")  # of the smooth part


class WithCorner(eqx.Module):
    """v(x) + c(x)."""

    smooth: Callable

    def __call__(self, x):
        return self.smooth(x) + corner(x)


def residual(u, x):
    value = u(x)
    return time_derivative(u)(x) - EPS * spatial_laplacian(u)(x) - 5 * value + 5 * value**3


def problem(
    *, corner: bool = True, width: int = 24, depth: int = 3, points: int = 28,
    initial_weight: float = 100.0, windows: int | None = None, seconds: float = 120.0,
) -> Problem:  # fmt: skip
    domain = SpaceTime(Interval(0.0, 1.0), Interval(-1.0, 1.0))
    features = PeriodicFeatures(domain, axes=(1,))
    sizes = (features.size, *(width,) * depth, 1)

    def model(key):
        smooth = Embedded(features, MLP(sizes, key=key, domain=features.image))
        return WithCorner(smooth) if corner else smooth

    terms = [
        Residual(residual, GaussLegendre(domain, points), name="interior"),
        Residual(
            lambda u, x: u(x) - x[1] ** 2 * jnp.cos(jnp.pi * x[1]),
            GaussLegendre(domain.initial(), points),
            initial_weight,
            "initial",
        ),
    ]
    return Problem(
        name="allen-cahn",
        description="Allen-Cahn, layers between two phases",
        objective=ResidualObjective(terms),
        model=model,
        domain=domain,
        evaluation=GaussLegendre(domain, (41, 401)).quadrature(),
        exact=exact,
        windows=windows,
        seconds=seconds,
    )
