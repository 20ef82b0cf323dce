"""Acoustic waves: physics, adjoints, and a small inversion."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import load_problem, optimizers, train
from pinn_ngd.applications.acoustics import Survey, seismograms
from pinn_ngd.experiments.verification import taylor_slope, verify_operator
from pinn_ngd.linalg import LSMR, solve
from pinn_ngd.metrics import Sobolev

SURVEY = Survey(
    shape=(41, 41), spacing=0.02, time_step=0.003, steps=120, sources=((5, 20),),
    receivers=((35, 20), (20, 20)), frequency=8.0, absorbing=20, fastest=3.0,
)  # fmt: skip
SMALL = dict(cells=21, shots=2, duration=0.6, absorbing=10, frequency=4.0, iterations=12)


def test_waves_arrive_on_time():
    """Between two receivers on a line with the source the pulse takes distance / velocity."""
    longer = dataclasses.replace(SURVEY, steps=220)
    far, near = seismograms(longer, jnp.full(SURVEY.shape, 2.0)).T
    lag = np.argmax(np.correlate(far, near, "full")) - (longer.steps - 1)
    np.testing.assert_allclose(lag * SURVEY.time_step, 15 * 0.02 / 2.0, atol=0.008)


def test_layers_absorb():
    """With wider layers hardly anything changes: what came back was small."""
    velocity = jnp.full(SURVEY.shape, 2.0)
    wide = dataclasses.replace(SURVEY, absorbing=60)
    thin = dataclasses.replace(SURVEY, absorbing=0)
    reference = seismograms(wide, velocity)
    kept, none = (
        float(jnp.linalg.norm(seismograms(s, velocity) - reference)) for s in (SURVEY, thin)
    )
    assert kept < 0.02 * float(jnp.linalg.norm(reference))
    assert kept < 0.1 * none


def test_sources_and_receivers_can_be_exchanged():
    """Reciprocity, in a medium that varies; the source is scaled by its local velocity squared."""
    x = jnp.linspace(0.0, 1.0, 41)
    velocity = 2.0 + 0.5 * jnp.sin(4 * x)[:, None] * x[None, :]
    there = dataclasses.replace(SURVEY, sources=((5, 20),), receivers=((35, 12),))
    back = dataclasses.replace(SURVEY, sources=((35, 12),), receivers=((5, 20),))
    np.testing.assert_allclose(
        seismograms(there, velocity)[:, 0],
        seismograms(back, velocity)[:, 0],
        atol=1e-10 * float(jnp.abs(seismograms(there, velocity)).max()),
    )


def test_frequencies_are_shots_of_their_own():
    velocity = jnp.full(SURVEY.shape, 2.0)
    both = dataclasses.replace(SURVEY, frequency=[8.0, 5.0])
    slow = dataclasses.replace(SURVEY, frequency=5.0)
    expected = np.concatenate([seismograms(s, velocity) for s in (SURVEY, slow)], axis=1)
    np.testing.assert_allclose(seismograms(both, velocity), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.slow
def test_layers_are_found_within_their_bounds():
    """Three regularized steps on a coarse grid, seen from the surface at two frequencies."""
    problem = load_problem("fwi-layered", cells=40, shots=2, absorbing=10, iterations=6)
    model = problem.model(jax.random.key(0))
    optimizer = optimizers.get("wngd", **problem.optimizer_settings)
    result = train(problem.objective, model, optimizer, steps=3, key=jax.random.key(0))
    assert result.loss < 0.3 * float(problem.objective.loss(model, ()))
    assert 1.4 <= float(result.model.values.min()) <= float(result.model.values.max()) <= 3.6
    assert result.solves["linearized_solves"] == 3 * 7
    with pytest.raises(ValueError, match="`penalty`"):
        load_problem("fwi-layered", penalty="none")


def test_the_scheme_converges_at_second_order_in_time():
    velocity = jnp.full(SURVEY.shape, 2.0)

    def record(refinement):
        fine = dataclasses.replace(
            SURVEY, time_step=SURVEY.time_step / refinement, steps=SURVEY.steps * refinement
        )
        return seismograms(fine, velocity)[refinement - 1 :: refinement, 0]

    one, two, four = (record(r) for r in (1, 2, 4))
    order = jnp.log2(jnp.linalg.norm(one - two) / jnp.linalg.norm(two - four))
    assert 1.8 < float(order) < 2.2


@pytest.mark.slow
def test_products_are_adjoint_and_derivatives_second_order():
    problem = load_problem("fwi-camembert", **SMALL)
    objective, model = problem.objective, problem.model(jax.random.key(0))
    system = Sobolev().system(objective, model, (), matrix_free=True)
    assert all(check.passed for check in verify_operator(system.operator, jax.random.key(0)))
    v = jax.random.normal(jax.random.key(1), model.values.shape)
    gradient = system.operator.T.mv(system.target)

    @jax.jit
    def loss(e):
        return objective.loss(type(model)(model.values + e * v, model.spacing), ())

    slope = taylor_slope(loss, jnp.sum(gradient.values * v), 0.1)
    assert 1.9 < slope < 2.2


@pytest.mark.slow
def test_natural_gradient_beats_descent_at_equal_simulations():
    """L2 is Gauss-Newton here: a few steps of it against descent with as many products."""
    problem = load_problem("fwi-camembert", **SMALL)
    model = problem.model(jax.random.key(0))
    start = float(problem.objective.loss(model, ()))
    runs = {"l2": (LSMR(rtol=1e-6, atol=1e-6, max_steps=12), 3), "euclidean": ("cg", 40)}
    losses = {}
    for metric, (solver, steps) in runs.items():
        optimizer = optimizers.get(
            "wngd", metric=metric, solver=solver, form="matrix-free", damping=0.0,
            bounds=(2.0, 3.5),
        )  # fmt: skip
        result = train(problem.objective, model, optimizer, steps=steps, key=jax.random.key(0))
        losses[metric] = result.loss
        values = result.model.values
        assert 2.0 <= float(values.min()) <= float(values.max()) <= 3.5
    assert losses["l2"] < 0.5 * losses["euclidean"] < 0.5 * start


@pytest.mark.slow
def test_updates_of_h_minus_one_are_smoother_than_those_of_h_one():
    """In the fit, H-1 weights low frequencies of the data; seen in the spectrum of Y^T b."""
    problem = load_problem("fwi-camembert", **SMALL)
    model, spectra = problem.model(jax.random.key(0)), {}
    for order in (-1.0, 1.0):
        system = Sobolev(order).system(problem.objective, model, (), matrix_free=True)
        step = solve(system, LSMR(rtol=1e-6, atol=1e-6, max_steps=4), form="matrix-free").value
        power = np.abs(np.fft.fft2(step.values)) ** 2
        wave = np.hypot(*np.meshgrid(*[np.fft.fftfreq(21)] * 2))
        spectra[order] = (power * wave).sum() / power.sum()
    assert spectra[-1.0] < spectra[1.0]


def test_bad_surveys_are_refused():
    with pytest.raises(ValueError, match="CFL"):
        dataclasses.replace(SURVEY, time_step=0.01)
    with pytest.raises(ValueError, match=r"receiver .* outside"):
        dataclasses.replace(SURVEY, receivers=((41, 0),))
    with pytest.raises(ValueError, match=r"source .* outside"):
        dataclasses.replace(SURVEY, sources=((0, -1),))
