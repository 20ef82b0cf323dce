"""Eigenvalue problems: normalization, the Rayleigh-Ritz start, and bounds of the errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinn_ngd
from pinn_ngd import (
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    WithUnknowns,
    gradient,
    laplacian,
)
from pinn_ngd.models import Linear
from pinn_ngd.objectives import orthonormal, rayleigh_ritz
from pinn_ngd.validation import eigenvalue_bounds

LINE = GaussLegendre(Interval(0.0, 1.0), 30)


class Sines(eqx.Module):
    """sin(pi x) times polynomials in cos(pi x): the span of sin(k pi x), k = 1, ..., 5."""

    layers: tuple[Linear]

    def __call__(self, x):
        cosines = jnp.cos(jnp.pi * x[0]) ** jnp.arange(1.0, 5.0)
        return jnp.sin(jnp.pi * x[0]) * self.layers[0](cosines)


def start(count):
    layer = Linear(jnp.zeros((count, 4)), jnp.zeros(count))
    return WithUnknowns(Sines((layer,)), eigenvalues=np.zeros(count))


def energy(u, x):
    return gradient(u)(x) @ gradient(u)(x)


def operator(u, x):
    return -laplacian(u)(x)


def test_the_start_is_exact_where_the_layer_contains_the_functions():
    model = rayleigh_ritz(start(3), energy, LINE)
    np.testing.assert_allclose(model.eigenvalues, (np.pi * np.arange(1, 4)) ** 2, rtol=1e-12)
    terms = [
        Residual(lambda u, x: operator(u, x) - u.eigenvalues * u(x), LINE),
        orthonormal(LINE),
    ]
    objective = ResidualObjective(terms)
    batch = objective.batch(None)
    assert [block.shape for block in objective.residuals(model, batch)] == [(30, 3), (1, 6)]
    assert float(objective.loss(model, batch)) < 1e-20
    bounds = eigenvalue_bounds(operator, model, LINE)
    np.testing.assert_allclose(bounds.values, model.eigenvalues, rtol=1e-12)
    assert bounds.errors.max() < 1e-9


@pytest.mark.slow
def test_training_finds_the_functions_again():
    exact = rayleigh_ritz(start(2), energy, LINE)
    disturbed = jax.tree.map(
        lambda p: p * (1 + 0.05 * jnp.cos(jnp.arange(float(p.size))).reshape(p.shape)), exact
    )
    terms = [
        Residual(lambda u, x: operator(u, x) - u.eigenvalues * u(x), LINE),
        orthonormal(LINE),
    ]
    result = pinn_ngd.train(
        ResidualObjective(terms), disturbed, "engd-tr", steps=20, key=0, grow=False
    )
    expected = (np.pi * np.arange(1, 3)) ** 2
    assert np.abs(disturbed.eigenvalues - expected).max() > 0.1
    np.testing.assert_allclose(result.model.eigenvalues, expected, rtol=1e-10)


class Mixed(eqx.Module):
    """sin(k pi x) + epsilon sin((k + 1) pi x) for k = 1, 2, 3."""

    epsilon: float

    def __call__(self, x):
        k = jnp.arange(1.0, 4.0)
        return jnp.sin(jnp.pi * k * x[0]) + self.epsilon * jnp.sin(jnp.pi * (k + 1) * x[0])


@pytest.mark.parametrize("epsilon", [1e-1, 1e-4])
def test_errors_are_below_their_bounds(epsilon):
    found = eigenvalue_bounds(operator, Mixed(epsilon), LINE)
    k = np.arange(1, 4)
    expected = np.pi**2 * (k**2 + epsilon**2 * (k + 1) ** 2) / (1 + epsilon**2)
    np.testing.assert_allclose(found.values, expected, rtol=1e-13)
    # |L u - value u| / |u| of a sum of two eigenfunctions
    residuals = np.pi**2 * (2 * k + 1) * epsilon / (1 + epsilon**2)
    np.testing.assert_allclose(found.residuals, residuals, rtol=1e-8)
    true = np.abs(found.values - np.pi**2 * k**2)
    assert (true <= found.errors * (1 + 1e-9)).all()
    assert (found.errors <= found.residuals).all()
    if epsilon < 1e-2:
        assert found.errors[0] == pytest.approx(true[0], rel=1e-2)  # sharp: one neighbor mixes in


def test_too_few_features_are_refused():
    with pytest.raises(ValueError, match="5 independent features, too few for 6 eigenvalues"):
        rayleigh_ritz(start(6), energy, LINE)
