"""The kernelized Wasserstein metric: closed forms, invariance, and a fit that needs it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import ExplicitState, Grid, SampleObjective, StateObjective, optimizers, train
from pinn_ngd.geometry.domains import Interval
from pinn_ngd.linalg import Spectral, solve
from pinn_ngd.metrics import KernelWasserstein, get

NOISE = jax.random.normal(jax.random.key(0), (2000, 2))


def location_scale(theta, z):
    return theta["mean"] + theta["scale"] * z


THETA = {"mean": jnp.asarray([0.3, -0.2]), "scale": jnp.asarray([0.8, 1.5])}


def objective(noise=NOISE, sampler=location_scale):
    return SampleObjective(sampler, noise, lambda x: jnp.mean(jnp.sum(x**2, axis=1)))


def information(metric, noise=NOISE, sampler=location_scale, theta=THETA):
    rows = metric.system(objective(noise, sampler), theta, noise).operator.as_matrix()
    return rows.T @ rows


@pytest.mark.slow
def test_gaussians_have_the_flat_metric():
    """W2 of N(mean, diag(scale^2)) is |dmean|^2 + |dscale|^2; a larger basis comes closer."""
    errors = [
        float(jnp.linalg.norm(information(KernelWasserstein(basis=m)) - jnp.eye(4)))
        for m in (10, 40, 160)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.15


@pytest.mark.slow
def test_the_restricted_maximum_lies_below_the_metric():
    """Fewer functions f give a smaller maximum; none gives more than E|v|^2 = v^T E[J^T J] v."""
    gram = jax.vmap(lambda z: jnp.concatenate([jnp.eye(2), jnp.diag(z)], axis=1))(NOISE)
    bound = jnp.mean(jnp.einsum("nij,nik->njk", gram, gram), axis=0)
    few, many = (information(KernelWasserstein(basis=m)) for m in (20, 160))
    for found in (few, many):
        assert np.linalg.eigvalsh(bound - found)[0] > -1e-9
    assert np.linalg.eigvalsh(few)[0] > 0


@pytest.mark.slow
def test_steps_do_not_depend_on_the_parametrization():
    mix = jnp.asarray([[2.0, 0.3], [-0.5, 0.7]])

    def mixed(theta, z):
        return mix @ theta["mean"] + theta["scale"] * z

    other = {**THETA, "mean": jnp.linalg.solve(mix, THETA["mean"])}
    metric = KernelWasserstein(basis=30)

    def step(sampler, theta):
        system = metric.system(objective(sampler=sampler), theta, NOISE)
        return solve(system, Spectral()).value

    here, there = step(location_scale, THETA), step(mixed, other)
    np.testing.assert_allclose(here["mean"], mix @ there["mean"], rtol=1e-6)
    np.testing.assert_allclose(here["scale"], there["scale"], rtol=1e-6)


def energy_distance(data):
    def mean_distance(a, b):
        return jnp.mean(jnp.sqrt(jnp.sum((a[:, None] - b[None]) ** 2, axis=-1) + 1e-12))

    own = mean_distance(data, data)
    return lambda x: 2 * mean_distance(x, data) - mean_distance(x, x) - own


@pytest.mark.slow
def test_it_fits_a_badly_scaled_generator_where_descent_does_not():
    """Parameters in units a thousand times apart; the natural gradient does not see units."""
    units = jnp.asarray([1.0, 1e-3])
    noise = NOISE[:150]
    data = jnp.asarray([1.0, -2.0]) + jnp.asarray([0.5, 2.0]) * NOISE[150:300]

    def sampler(theta, z):
        return location_scale({"mean": units * theta["mean"], "scale": theta["scale"]}, z)

    start = {"mean": jnp.zeros(2), "scale": jnp.ones(2)}
    fit = SampleObjective(sampler, noise, energy_distance(data))
    losses = {}
    for name, settings in (
        ("wngd", {"metric": "wasserstein-kernel", "damping": 1e-12}),
        ("gd", {}),
    ):
        optimizer = optimizers.get(name, **settings)
        losses[name] = train(fit, start, optimizer, steps=15, key=jax.random.key(0)).loss
    assert losses["wngd"] < 0.05
    assert losses["wngd"] < 0.2 * losses["gd"]


def test_noise_may_be_drawn_anew():
    fresh = objective(lambda key: jax.random.normal(key, (50, 2)))
    assert fresh.resampled
    first, second = fresh.batch(jax.random.key(1)), fresh.batch(jax.random.key(2))
    assert float(jnp.max(jnp.abs(first - second))) > 0
    assert not objective().resampled


def test_other_objectives_and_settings_are_refused():
    grid = Grid(Interval(0.0, 1.0), (4,))
    density = StateObjective(ExplicitState(grid, lambda q: q), jnp.sum)
    with pytest.raises(ValueError, match="SampleObjective"):
        get("wasserstein-kernel").system(density, jnp.ones(4), ())
    with pytest.raises(ValueError, match="energy metric"):
        objective().system(THETA, NOISE)
    with pytest.raises(ValueError, match="`basis`"):
        KernelWasserstein(basis=0)
    with pytest.raises(ValueError, match="`bandwidth`"):
        KernelWasserstein(basis=1)
    with pytest.raises(ValueError, match="`ridge`"):
        KernelWasserstein(ridge=0.0)
    assert eqx.is_array(objective().evaluate(THETA, NOISE).loss)
