"""Conditions that a term can express: pairs of points, integrals, pins; boundaries of energies."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import (
    Energy,
    EnergyObjective,
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    gradient,
    laplacian,
)
from pinn_ngd.models import HardDirichlet
from pinn_ngd.validation import HeldOut

LINE = Interval(0.0, 1.0)
LEFT, RIGHT = LINE.boundary().faces


class Cosines(eqx.Module):
    """A model that is linear in its parameters: sum_j c_j cos(j pi x) + d_j sin(j pi x)."""

    coefficients: jax.Array

    def __call__(self, x):
        angles = jnp.pi * jnp.arange(9.0) * x[0]
        return jnp.dot(self.coefficients, jnp.concatenate([jnp.cos(angles), jnp.sin(angles)]))


def solved(objective, model=None):
    """The model after one Gauss-Newton step, which solves what is linear or quadratic."""
    model = Cosines(jnp.ones(18) / 10) if model is None else model
    batch = objective.batch(jax.random.key(0))
    objective.check(model, batch)
    system = eqx.filter_jit(objective.system)(model, batch)
    matrix = np.asarray(system.operator.matrix)
    flat, back = ravel_pytree(eqx.filter(model, eqx.is_inexact_array))
    if system.target is None:
        gradient, _ = ravel_pytree(system.gradient)
        step = np.linalg.lstsq(matrix.T @ matrix, np.asarray(gradient), rcond=1e-14)[0]
    else:
        target = np.concatenate([np.ravel(block) for block in system.target])
        step = np.linalg.lstsq(matrix, target, rcond=1e-14)[0]
    return eqx.combine(back(flat - step), model)


def largest_error(model, exact):
    places = jnp.linspace(0, 1, 33)[:, None]
    return float(np.max(np.abs(jax.vmap(model)(places) - jax.vmap(exact)(places))))


def test_pairs_of_points_make_a_solution_periodic_and_one_row_fixes_its_mean():
    """-u'' = 4 pi^2 cos(2 pi x), u and u' periodic, integral of u = 0."""
    whole = GaussLegendre(LINE, 24).quadrature()

    def gap(u, x):
        return jnp.stack([u(x) - u(x + 1.0), (gradient(u)(x) - gradient(u)(x + 1.0))[0]])

    objective = ResidualObjective(
        [
            Residual(
                lambda u, x: laplacian(u)(x) + 4 * jnp.pi**2 * jnp.cos(2 * jnp.pi * x[0]),
                GaussLegendre(LINE, 24),
            ),
            Residual(gap, GaussLegendre(LEFT, 1), 100.0, "periodic"),
            Residual(lambda u, _: whole.integrate(u), np.zeros((1, 1)), 100.0, "mean"),
        ]
    )
    model = solved(objective)
    assert largest_error(model, lambda x: jnp.cos(2 * jnp.pi * x[0])) < 1e-9
    # Held-out pairs are the partners of held-out points: the terms are small there, too.
    look = HeldOut(objective)(model)
    assert max(look.terms.values()) < 1e-16


def test_pin_of_a_point_fixes_the_constant_of_a_neumann_problem():
    """-u'' = pi^2 cos(pi x), u' = 0 at both ends, u(1/2) = 2."""
    objective = ResidualObjective(
        [
            Residual(
                lambda u, x: laplacian(u)(x) + jnp.pi**2 * jnp.cos(jnp.pi * x[0]),
                GaussLegendre(LINE, 24),
            ),
            Residual(lambda u, x: gradient(u)(x)[0], GaussLegendre(LINE.boundary(), 1), 100.0),
            Residual(lambda u, x: u(x) - 2.0, np.asarray([[0.5]]), 100.0, "pin"),
        ]
    )
    assert largest_error(solved(objective), lambda x: 2 + jnp.cos(jnp.pi * x[0])) < 1e-9


def source(x, features):
    """1/2 u'^2 - f u, with f = pi^2 cos(pi x)."""
    value, slope = features
    return slope**2 / 2 - jnp.pi**2 * jnp.cos(jnp.pi * x[0]) * value


def only_value(u, x):
    return jnp.atleast_1d(u(x))


@pytest.mark.parametrize("strength", [1e2, 1e4])
def test_energy_with_robin_terms(strength):
    """u' = 0 at the ends by itself; u' + strength (u - g) = 0 with a term strength (u - g)^2 / 2.

    The exact solution cos(pi x) with g = u; for large strength this is the penalty of Dirichlet.
    """

    def robin(x, features):
        return strength * (features[0] - jnp.cos(jnp.pi * x[0])) ** 2 / 2

    ends = GaussLegendre(LINE.boundary(), 1)
    energy = EnergyObjective(
        [Energy(source, GaussLegendre(LINE, 24)), Energy(robin, ends, only_value, name="Robin")]
    )
    # u' = 0 at the ends is natural for cos(pi x), and then the Robin term demands u = g.
    assert largest_error(solved(energy), lambda x: jnp.cos(jnp.pi * x[0])) < 1e-8


def test_penalty_of_dirichlet_values_is_wrong_by_one_over_its_strength():
    """-u'' = 2, u = 0 at the ends: x (1 - x) has flux 1 there, and the penalty b lets u = 1 / b."""

    def density(_, features):
        return features[1] ** 2 / 2 - 2 * features[0]

    errors = []
    for strength in (1e2, 1e3):
        energy = EnergyObjective(
            [
                Energy(density, GaussLegendre(LINE, 16)),
                Energy(
                    lambda _, v, b=strength: b * v[0] ** 2 / 2,
                    GaussLegendre(LINE.boundary(), 1),
                    only_value,
                ),
            ]
        )
        model = solved(energy, Polynomial(jnp.zeros(4)))
        errors.append(largest_error(model, lambda x: x[0] * (1 - x[0])))
    np.testing.assert_allclose(errors, [1e-2, 1e-3], rtol=1e-6)


def test_hard_dirichlet_values_leave_an_energy_nothing_to_penalize():
    def density(_, features):
        return features[1] ** 2 / 2 - 2 * features[0]

    model = HardDirichlet(
        Polynomial(jnp.zeros(3)), lambda x: 0.0 * x[0], lambda x: x[0] * (1 - x[0])
    )
    found = solved(EnergyObjective([Energy(density, GaussLegendre(LINE, 16))]), model)
    assert largest_error(found, lambda x: x[0] * (1 - x[0])) < 1e-9


class Polynomial(eqx.Module):
    """sum_j c_j x^j."""

    coefficients: jax.Array

    def __call__(self, x):
        return jnp.polyval(self.coefficients[::-1], x[0])
