"""Nitsche's method: consistent where the penalty is wrong by 1 / beta, and rounds that converge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinn_ngd
from pinn_ngd import Energy, EnergyObjective, GaussLegendre, Interval, disk, nitsche
from pinn_ngd.models import MLP
from tests.objectives.test_conditions import LINE, Polynomial, largest_error, only_value, solved

ENDS = GaussLegendre(LINE.boundary(), 1)
START = Polynomial(jnp.zeros(4))


def exact(x):
    """-u'' = 6 x, with du/dn = -1 and -2 at the ends."""
    return x[0] - x[0] ** 3


def density(x, features):
    return features[1] ** 2 / 2 - 6 * x[0] * features[0]


def energy(term):
    return EnergyObjective([Energy(density, GaussLegendre(LINE, 8)), term])


@pytest.mark.parametrize("beta", [30.0, 1e3])
def test_the_minimizer_is_exact_where_that_of_the_penalty_is_wrong(beta):
    """Newton's method solves a quadratic energy in one step: with its Hessian, not the metric."""

    def minimized(term):
        objective = energy(term)
        batch = objective.batch()

        def loss(c):
            return objective.loss(Polynomial(c), batch)

        zero = jnp.zeros(4)
        hessian = jax.jit(jax.hessian(loss))(zero)
        if term.name == "Nitsche":  # a minimum, not only a critical point
            assert np.linalg.eigvalsh(hessian).min() > 0
        return Polynomial(-np.linalg.solve(hessian, jax.jit(jax.grad(loss))(zero)))

    penalty = Energy(lambda _, v: beta * v[0] ** 2 / 2, ENDS, only_value, name="penalty")
    assert largest_error(minimized(nitsche(ENDS, 0.0, beta)), exact) < 1e-10
    # Without q the flux is beta u at the ends, those of a line more in the solution.
    assert largest_error(minimized(penalty), exact) > 1 / beta


def test_steps_with_the_positive_part_of_the_hessian_converge():
    """The metric is larger than the Hessian, so that every step goes a part of the way."""
    objective, model, errors = energy(nitsche(ENDS, lambda x: 0.0 * x[0], 200.0)), START, []
    for _ in range(3):
        model = solved(objective, model)
        errors.append(largest_error(model, exact))
    assert errors[0] < 2e-2
    assert np.all(np.divide(errors[1:], errors[:-1]) < 0.06)


@pytest.mark.parametrize("beta", [1.0, 10.0])
def test_rounds_converge_as_the_dirichlet_to_neumann_map_says(beta):
    """Below the beta of Nitsche's energy. An error is constant, with flux 0 and gone after one
    round, or a multiple of x - 1/2, whose flux is twice its value: 2 / (beta + 2) is left of it."""
    model, errors = START, []
    for _ in range(4):
        model = solved(energy(nitsche(ENDS, 0.0, beta, flux_of=model)), START)
        errors.append(largest_error(model, exact))
    np.testing.assert_allclose(np.divide(errors[2:], errors[1:-1]), 2 / (beta + 2), rtol=1e-5)


def test_the_density_is_zero_for_the_right_values_and_vectors_add_up():
    circle = GaussLegendre(disk().boundary(), 3)

    def u(x):
        return jnp.stack([x[0], 2 * x[1]])

    objective = EnergyObjective([nitsche(circle, lambda x: u(x) - 0.5, 8.0)])
    # beta |1/2|^2 / 2 for both, and q is cos and 2 sin, whose integrals vanish
    found = objective.loss(u, objective.batch())
    np.testing.assert_allclose(found, 2 * 2 * np.pi, rtol=1e-6)


def test_a_flux_with_a_coefficient():
    """-(k u')' = 6 k x for k = 3: three times the energy, flux and beta."""
    tripled = nitsche(ENDS, 0.0, 90.0, flux=lambda u, x, n: 3 * jax.grad(u)(x)[0] * n[0])
    once = nitsche(ENDS, 0.0, 30.0)
    model = Polynomial(jnp.asarray([0.3, -0.2, 0.7, 0.1]))
    found = [EnergyObjective([t]).loss(model, (ENDS.quadrature(),)) for t in (tripled, once)]
    np.testing.assert_allclose(found[0], 3 * found[1], rtol=1e-12)


@pytest.mark.parametrize("beta", [0.0, -1.0, np.inf, np.nan])
def test_what_beta_must_be(beta):
    with pytest.raises(ValueError, match="is no positive number: give one"):
        nitsche(ENDS, 0.0, beta)


def test_normals_are_asked_for():
    objective = EnergyObjective([nitsche(np.asarray([[0.0], [1.0]]), 0.0, 10.0)])
    with pytest.raises(ValueError, match=r"'Nitsche' asks for the `normal` at a point.*boundary"):
        objective.check(START, objective.batch())


@pytest.mark.slow
def test_a_network_is_trained_past_the_error_of_the_penalty():
    line = Interval(0.0, 1.0)
    model = previous = MLP((1, 8, 1), key=jax.random.key(0), domain=line)
    rule, errors = GaussLegendre(line, 24), []
    for _ in range(3):
        objective = EnergyObjective(
            [Energy(density, rule), nitsche(ENDS, 0.0, 100.0, flux_of=previous)]
        )
        model = previous = pinn_ngd.train(
            objective, model, "engd-tr", steps=30, key=0, grow=False
        ).model
        errors.append(largest_error(model, exact))
    assert errors[0] > 1e-2  # the first flux is that of an untrained network
    assert errors[2] < 1e-4
