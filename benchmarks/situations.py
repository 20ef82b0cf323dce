"""Problems in which a small loss used to hide a wrong solution, as a new user would write them.

Each is a copy of the nearest shipped problem with another equation, on few points.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from pinn_ngd import (
    Box,
    GaussLegendre,
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    SpaceTime,
    laplacian,
    load_problem,
    spatial_gradient,
    spatial_laplacian,
    time_derivative,
)
from pinn_ngd.models import MLP, Normalized

Domain = Interval | Box | SpaceTime


def with_network(
    name: str, domain: Domain, terms: list[Residual], exact: Callable, *, outputs: int = 1,
    hidden: tuple[int, ...] = (20, 20, 20), scale: float = 2.0,
) -> Problem:  # fmt: skip
    """A problem with a plain tanh network, evaluated on points of its own."""
    sizes = (domain.dimension, *hidden, outputs)
    return Problem(
        name=name,
        description=name,
        objective=ResidualObjective(terms),
        model=lambda key: MLP(sizes, key=key, domain=domain, scale=scale),
        domain=domain,
        evaluation=GaussLegendre(domain, 2001 if domain.dimension == 1 else 151).quadrature(),
        exact=exact,
    )


def dirichlet(
    name: str, domain: Domain, equation: Callable, exact: Callable, points: int, **network: Any
) -> Problem:
    """An equation inside and the exact solution on the boundary."""
    terms = [
        Residual(equation, GaussLegendre(domain, points), name="interior"),
        Residual(
            lambda u, x: u(x) - exact(x),
            GaussLegendre(domain.boundary(), points),
            100.0,
            "boundary",
        ),
    ]
    return with_network(name, domain, terms, exact, **network)


def poisson(periods: int = 4, points: int = 24, width: int = 24) -> Problem:
    """-Laplace u = f with u = sin(k pi x) sin(k pi y)."""
    k = periods * jnp.pi

    def exact(x):
        return jnp.sin(k * x[0]) * jnp.sin(k * x[1])

    domain = Box((0.0, 0.0), (1.0, 1.0))
    return dirichlet(
        f"poisson, {periods} periods", domain, lambda u, x: laplacian(u)(x) + 2 * k**2 * exact(x),
        exact, points, hidden=(width,) * 3,
    )  # fmt: skip


def convection(speed: float = 30.0, points: int = 24) -> Problem:
    """u_t + c u_x = 0, periodic in space."""
    domain = SpaceTime(Interval(0.0, 1.0), Interval(0.0, 2 * np.pi))
    period = np.asarray([0.0, 2 * np.pi])

    def exact(x):
        return jnp.sin(x[1] - speed * x[0])

    terms = [
        Residual(
            lambda u, x: time_derivative(u)(x) + speed * spatial_gradient(u)(x)[0],
            GaussLegendre(domain, points),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x) - exact(x), GaussLegendre(domain.initial(), points), 100.0, "initial"
        ),
        Residual(
            lambda u, x: u(x) - u(x + period),
            GaussLegendre(domain.lateral().faces[0], points),
            100.0,
            "periodic",
        ),
    ]
    return with_network("convection", domain, terms, exact)


def two_frequencies(points: int = 64) -> Problem:
    """u = sin(2 pi x) + 0.1 sin(50 pi x), with a first layer that oscillates far too fast."""

    def exact(x):
        return jnp.sin(2 * jnp.pi * x[0]) + 0.1 * jnp.sin(50 * jnp.pi * x[0])

    def source(x):
        fast = 250 * jnp.pi**2 * jnp.sin(50 * jnp.pi * x[0])
        return 4 * jnp.pi**2 * jnp.sin(2 * jnp.pi * x[0]) + fast

    return dirichlet(
        "two frequencies", Interval(0.0, 1.0), lambda u, x: laplacian(u)(x) + source(x), exact,
        points, hidden=(20, 20), scale=60.0,
    )  # fmt: skip


def rod(points: int = 20) -> Problem:
    """Heat in a rod of 5 cm over an hour, in kelvin, meters and seconds."""
    length, diffusivity = 0.05, 1e-7
    domain = SpaceTime(Interval(0.0, 3600.0), Interval(0.0, length))

    def exact(x):
        decay = jnp.exp(-diffusivity * (jnp.pi / length) ** 2 * x[0])
        return 300 + 20 * decay * jnp.sin(jnp.pi * x[1] / length)

    terms = [
        Residual(
            lambda u, x: time_derivative(u)(x) - diffusivity * spatial_laplacian(u)(x),
            GaussLegendre(domain, points),
            name="interior",
        ),
        Residual(
            lambda u, x: u(x) - exact(x), GaussLegendre(domain.initial(), points), 100.0, "initial"
        ),
        Residual(lambda u, x: u(x) - 300.0, GaussLegendre(domain.lateral(), points), 100.0, "ends"),
    ]
    return with_network("rod in SI units", domain, terms, exact, hidden=(20, 20))


def rod_normalized(points: int = 20) -> Problem:
    """The rod with the cures that its warnings name: values of order one, terms of one size."""
    start = rod(points)

    def model(key):
        return Normalized(start.model(key), values=(280.0, 320.0))

    return dataclasses.replace(start, name="rod, normalized", model=model, balance=True)


def helmholtz_line(k: float = 10.0, points: int = 40) -> Problem:
    """u'' + k^2 u = k^2 x with u = sin(k x) + x."""

    def exact(x):
        return jnp.sin(k * x[0]) + x[0]

    return dirichlet(
        "helmholtz, k = 10", Interval(0.0, 1.0),
        lambda u, x: laplacian(u)(x) + k**2 * (u(x) - x[0]), exact, points, hidden=(14, 14),
    )  # fmt: skip


def helmholtz_square(points: int = 24) -> Problem:
    """Laplace u + (4 pi)^2 u = f with u = sin(pi x) sin(4 pi y)."""

    def exact(x):
        return jnp.sin(jnp.pi * x[0]) * jnp.sin(4 * jnp.pi * x[1])

    return dirichlet(
        "helmholtz, k = 4 pi", Box((0.0, 0.0), (1.0, 1.0)),
        lambda u, x: laplacian(u)(x) + 16 * jnp.pi**2 * u(x) + jnp.pi**2 * exact(x), exact, points,
        hidden=(22,) * 3,
    )  # fmt: skip


SITUATIONS: dict[str, Callable[[], Problem]] = {
    "wave": lambda: load_problem("wave-1d"),
    "poisson-4": poisson,
    "burgers": lambda: load_problem("burgers-1d"),
    "kovasznay": lambda: load_problem("kovasznay", reynolds=20.0),
    "convection": convection,
    "two-frequencies": two_frequencies,
    "rod": rod,
    "rod-normalized": rod_normalized,
    "ritz-2": lambda: load_problem("ritz-1d", width=2),
    "helmholtz-10": helmholtz_line,
    "helmholtz-4pi": helmholtz_square,
}
