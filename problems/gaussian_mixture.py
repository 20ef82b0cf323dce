"""Fit a mixture of two Gaussians: which metric finds which minimum (Nurbekyan, Lei, Yang).

f(theta) = 1/2 integral of (rho_theta - rho*)^2 with rho_theta = w N(mu_1, S) + (1 - w)
N(mu_2, S) and rho* = 0.3 N((1, 3), S) + 0.7 N((3, 2), S). Boxes, grids and starts are those of the
authors' code (github.com/wanzhoulei/Natural_GD): `free="mean"`, mu_1 is free; "pair", the first
coordinate of mu_1 and the weight; "all", all five parameters. `start` numbers the authors' starts.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from pinn_ngd import Box, GaussLegendre, Grid, PointwiseState, Problem, StateMisfit


class Mixture(eqx.Module):
    """w N(mu_1, S) + (1 - w) N(mu_2, S), S = variance * identity; Python floats stay fixed."""

    weight: Any
    first: tuple
    second: tuple
    variance: float = eqx.field(static=True)

    def __call__(self, x):
        def gauss(mean):
            square = sum((x[i] - m) ** 2 for i, m in enumerate(mean))
            return jnp.exp(-square / (2 * self.variance)) / (2 * jnp.pi * self.variance)

        w = self.weight
        return w * gauss(self.first) + (1 - w) * gauss(self.second)


def _mean(m1, m2):
    free = (jnp.asarray(m1), jnp.asarray(m2))
    return Mixture(0.2, free, (4.0, 3.0), 0.6)


def _pair(m1, w):
    return Mixture(jnp.asarray(w), (jnp.asarray(m1), 2.0), (2.5, 1.5), 0.6)


def _all(w, *means):
    m = [jnp.asarray(x) for x in means]
    return Mixture(jnp.asarray(w), (m[0], m[1]), (m[2], m[3]), 1.0)


# model, lower and upper corner of the box, cells N per side (N - 1 interior nodes), starts
CASES = {
    "mean": (_mean, (-2.75, -2.75), (7.25, 7.25), 71, [(5.0, 3.0), (4.5, 3.5)]),
    "pair": (_pair, (-5.5, -5.5), (9.5, 9.5), 85, [(1.8, 0.01)]),
    "all": (
        _all, (0.0, 0.0), (5.0, 5.0), 31, [(0.8, 4.0, 4.0, 4.0, 3.0), (0.4, 5.0, 1.0, 4.0, 3.0)],
    ),
}  # fmt: skip


def problem(
    *, free: str = "all", start: int = 0, seconds: float = 20.0, steps: int = 1000
) -> Problem:
    """The mixture with these free parameters, from the authors' start of that number."""
    if free not in CASES:
        raise ValueError(f"`free` is {free!r}; choose one of {', '.join(CASES)}.")
    make, lower, upper, cells, starts = CASES[free]
    if not 0 <= start < len(starts):
        raise ValueError(f"`start` is {start}; {free!r} has the starts 0 to {len(starts) - 1}.")
    box = Box(lower, upper)
    grid = Grid(box, (cells - 1, cells - 1), "dirichlet")
    exact = Mixture(0.3, (1.0, 3.0), (3.0, 2.0), make(*starts[0]).variance)
    target, weight = PointwiseState(grid)(exact), grid.cell_volume**0.5
    return Problem(
        name="gaussian-mixture",
        description="two Gaussians fitted to two Gaussians, in a metric of densities",
        objective=StateMisfit(PointwiseState(grid), lambda rho: (rho - target) * weight),
        model=lambda key: make(*starts[start]),  # noqa: ARG005  (the start is the authors')
        domain=box,
        evaluation=GaussLegendre(box, 60).quadrature(None),
        exact=exact,
        optimizer="wngd",
        optimizer_settings={"norm_limit": 0.1},
        seconds=seconds,
        steps=steps,
    )
