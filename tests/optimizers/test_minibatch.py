"""Minibatch natural gradients: the limits of time, Adam's sign, damping, delay, and Optax."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import _tree, optimizers, train
from pinn_ngd.linalg import LeastSquaresSystem, get_solver
from pinn_ngd.models import Frozen, freeze
from pinn_ngd.objectives import ClassificationObjective, Shuffled
from pinn_ngd.optimizers.damping import FixedDamping, LevenbergMarquardt
from pinn_ngd.optimizers.directions import ConjugateGradients, Exact, Filtered, clipped
from pinn_ngd.optimizers.minibatch import MinibatchNaturalGradient
from pinn_ngd.optimizers.thermodynamic import RelativeNoise, Thermodynamic
from pinn_ngd.spu import SPU

DAMPING, RATE = 0.1, 0.05


def blobs(size=16, curvature="ggn"):
    """Three classes of points around three centers in the plane."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    centers = np.asarray([[0.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    points = centers[labels] + 0.4 * rng.standard_normal((48, 2))
    return ClassificationObjective(Shuffled(points, labels, size), curvature=curvature)


def network(seed=0):
    return eqx.nn.MLP(2, 3, 6, 1, activation=jnp.tanh, key=jax.random.key(seed))


def flat(tree):
    return ravel_pytree(eqx.filter(tree, eqx.is_inexact_array))[0]


def move(name, steps=1, objective=None, **settings):
    """The change of the parameters in a few steps on one batch."""
    objective = blobs() if objective is None else objective
    model = start = network()
    optimizer = optimizers.get(name, **settings)
    batch = objective.batch(jax.random.key(3))
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(optimizer.step)
    for number in range(steps):
        model, state, info = step(model, state, objective, batch, key=jax.random.key(number))
        assert bool(info.accepted)
    return flat(model) - flat(start)


def dense(damping=DAMPING):
    """Gradient and natural gradient from the dense curvature."""
    objective, model = blobs(), network()
    batch = objective.batch(jax.random.key(3))
    system = objective.system(model, batch)
    rows = system.operator.as_matrix()
    gradient = flat(objective.gradient(model, batch))
    curvature = rows.T @ rows
    natural = jnp.linalg.solve(curvature + damping * jnp.eye(len(gradient)), gradient)
    return gradient, natural, curvature


def _close(a, b, tolerance=1e-9):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(jnp.abs(b).max()))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ngd", {}),
        ("ngd-woodbury", {}),
        ("ngd-cg", {"iterations": 60}),
        ("tngd", {"time": 1e4}),
    ],
)
@pytest.mark.parametrize("curvature", ["ggn", "empirical-fisher"])
def test_all_exact_solvers_take_the_damped_natural_step(name, settings, curvature):
    common = dict(rate=RATE, momentum=0.0, damping=DAMPING, **settings)
    objective = blobs(curvature=curvature)
    step = move(name, objective=objective, **common)
    if curvature == "ggn":
        _close(step, -RATE * dense()[1], 1e-7)
    else:
        _close(step, move("ngd", objective=objective, rate=RATE, damping=DAMPING), 1e-7)


def test_mc_fisher_steps_agree_between_solvers():
    objective = blobs(curvature="mc-fisher")
    common = dict(rate=RATE, momentum=0.0, damping=DAMPING, objective=objective)
    _close(move("ngd-woodbury", **common), move("ngd-cg", iterations=60, **common), 1e-7)


def test_time_zero_is_gradient_descent():
    _close(move("tngd", time=0.0, rate=RATE, momentum=0.9, steps=3),
           move("sgd", rate=RATE, momentum=0.9, steps=3))  # fmt: skip


def test_time_between_is_the_exponential_filter():
    gradient, _, curvature = dense()
    a, q = jnp.linalg.eigh(curvature + DAMPING * jnp.eye(len(gradient)))
    gains = 1 / a + (1 - 1 / a) * jnp.exp(-2.0 * a)
    step = move("tngd", time=2.0, rate=RATE, momentum=0.0, damping=DAMPING)
    _close(step, -RATE * (q @ (gains * (q.T @ gradient))))


def test_clipping_leaves_flat_modes_and_solves_steep_ones():
    gradient, _, curvature = dense()
    a, q = jnp.linalg.eigh(curvature + 0.7 * jnp.eye(len(gradient)))
    step = move("spectral-clipping", rate=RATE, momentum=0.0, damping=0.7)
    _close(step, -RATE * (q @ (jnp.minimum(1, 1 / a) * (q.T @ gradient))))
    assert bool(jnp.any(a > 1))


def test_adam_without_betas_is_the_sign():
    step = move("tngd-adam", time=1e4, damping=DAMPING, beta1=0.0, beta2=0.0, rate=RATE)
    _close(step, -RATE * jnp.sign(dense()[1]), 1e-4)
    _close(move("signsgd", rate=RATE), -RATE * jnp.sign(dense()[0]))


def test_conjugate_gradients_start_where_they_stopped():
    natural = dense(1e-3)[1]
    short = dict(iterations=4, rate=RATE, momentum=0.0, damping=1e-3)
    system = damped_system(1e-3)
    direction, state = ConjugateGradients(4), None
    errors, state = [], direction.init(system)
    for _ in range(4):
        found, state = direction(system, state, jax.random.key(0))
        errors.append(float(jnp.linalg.norm(flat(found) - natural)))
    assert all(b < a for a, b in itertools.pairwise(errors))
    assert float(jnp.linalg.norm(move("ngd-cg", **short))) > 0


def damped_system(damping):
    objective = blobs()
    system = objective.system(network(), objective.batch(jax.random.key(3)))
    return LeastSquaresSystem(system.operator, system.target, damping=damping)


def test_a_delay_runs_the_old_system_first():
    """Two segments, against the matrix exponentials of both systems."""
    objective, models = blobs(), (network(0), network(1))
    systems = []
    for model in models:
        system = objective.system(model, objective.batch(jax.random.key(3)))
        systems.append(LeastSquaresSystem(system.operator, system.target, damping=DAMPING))

    def settle(system, time, x):
        rows = system.operator.as_matrix()
        g = rows.T @ system.target.reshape(-1)
        matrix = rows.T @ rows + DAMPING * jnp.eye(len(g))
        end = jnp.linalg.solve(matrix, g)
        return end + jax.scipy.linalg.expm(-time * matrix) @ (x - end), g

    for carry in (False, True):
        direction = Thermodynamic(SPU(time=2.0), delay=0.5, carry=carry)
        state = direction.init(systems[0])
        first, state = direction(systems[0], state, jax.random.key(0))
        found, _ = direction(systems[1], state, jax.random.key(0))
        g = settle(systems[0], 0.0, jnp.zeros_like(flat(first)))[1]
        x = settle(systems[0], 2.0, g)[0]
        _close(flat(first), x)
        x = settle(systems[0], 0.5, x if carry else g)[0]
        _close(flat(found), settle(systems[1], 1.5, x)[0])


def test_a_carried_state_continues_and_a_reset_one_does_not():
    system = damped_system(DAMPING)
    natural = dense()[1]
    for carry in (True, False):
        direction = Thermodynamic(SPU(time=1.0), carry=carry)
        state, errors = direction.init(system), []
        for _ in range(30):
            found, state = direction(system, state, jax.random.key(0))
            errors.append(float(jnp.linalg.norm(flat(found) - natural)))
        assert (errors[-1] < 0.2 * errors[0]) == carry


def test_noise_is_relative_to_the_direction():
    system, inner = damped_system(DAMPING), Exact(get_solver("cholesky"))
    exact = flat(inner(system, (), jax.random.key(0))[0])
    noisy = RelativeNoise(inner, 0.5)
    found = [flat(noisy(system, noisy.init(system), jax.random.key(k))[0]) for k in range(40)]
    ratio = np.mean([float(jnp.linalg.norm(f - exact)) for f in found])
    assert abs(ratio / float(jnp.linalg.norm(exact)) - 0.5) < 0.05


def test_temperature_needs_no_more_than_a_step_key():
    first = move("tngd", time=2.0, temperature=1e-3, damping=DAMPING)
    assert not np.allclose(first, move("tngd", time=2.0, damping=DAMPING))


def test_levenberg_marquardt_follows_the_ratio():
    rule = LevenbergMarquardt(0.1, factor=0.5)
    damping = jnp.asarray(0.1)
    for ratio, wanted in ((1.0, 0.05), (0.5, 0.1), (0.1, 0.2), (-1.0, 0.2), (jnp.nan, 0.2)):
        assert float(rule.update(damping, jnp.asarray(ratio))) == pytest.approx(wanted)
    objective, model = blobs(), network()
    optimizer = optimizers.get(
        "ngd-woodbury", rate=1.0, momentum=0.0, adaption="levenberg-marquardt"
    )
    batch = objective.batch(jax.random.key(3))
    state = optimizer.init(model, objective, batch)
    _, state, info = optimizer.step(model, state, objective, batch, key=jax.random.key(0))
    rows = objective.system(model, batch).operator.as_matrix()
    gradient = flat(objective.gradient(model, batch))
    step = jnp.linalg.solve(rows.T @ rows + jnp.eye(len(gradient)), gradient)
    _close(info.predicted, step @ gradient - 0.5 * jnp.sum((rows @ step) ** 2))
    assert float(state.damping) != float(info.damping)


@pytest.mark.parametrize(
    "name", ["ngd", "ngd-woodbury", "ngd-cg", "tngd", "tngd-adam", "spectral-clipping", "sgd",
             "signsgd", "adam", "lbfgs", "engd-tr", "engd-w"]
)  # fmt: skip
def test_every_optimizer_learns_and_leaves_frozen_parts_alone(name):
    objective, model = blobs(), freeze(network(), lambda m: m.layers[0])
    slow = ("adam", "signsgd", "tngd-adam")
    settings = {"rate": 0.02} if name in slow else {}
    optimizer = optimizers.get(name, **settings)
    result = train(objective, model, optimizer, steps=40, key=jax.random.key(0))
    batch = Shuffled(objective.batches.inputs, objective.batches.targets).draw(jax.random.key(0), 0)
    assert isinstance(result.model.layers[0], Frozen)
    before, after = model.layers[0], result.model.layers[0]
    assert all(map(np.array_equal, jax.tree.leaves(before.bits), jax.tree.leaves(after.bits)))
    assert float(objective.loss(result.model, batch)) < 0.6 * float(objective.loss(model, batch))
    assert _tree.size(model) == 21


def test_every_step_has_its_own_batch_whatever_the_optimizers_stride():
    result = train(blobs(), network(), optimizers.get("adam"), steps=5, key=jax.random.key(0))
    assert [record["step"] for record in result.history] == [1, 2, 3, 4, 5]


def test_as_an_optax_transformation():
    objective, model = blobs(), network()
    params, static = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optimizers.get("tngd", time=3.0, rate=RATE, momentum=0.0)
    transformation = optimizers.as_optax(optimizer, objective, static=static)
    batch = objective.batch(jax.random.key(3))
    updates, _ = transformation.update(params, transformation.init(params), params, batch=batch)
    _close(flat(updates), move("tngd", time=3.0, rate=RATE, momentum=0.0))


def test_the_direction_as_a_link_of_an_optax_chain():
    objective, model = blobs(), network()
    params, static = eqx.partition(model, eqx.is_inexact_array)
    chain = optax.chain(
        optimizers.scale_by_natural_gradient(
            objective, Filtered(clipped), damping=0.7, static=static
        ),
        optax.scale(-RATE),
    )
    batch = objective.batch(jax.random.key(3))
    updates, _ = chain.update(params, chain.init(params), params, batch=batch)
    _close(flat(updates), move("spectral-clipping", rate=RATE, momentum=0.0, damping=0.7))
    with pytest.raises(ValueError, match="`params` is required"):
        chain.update(params, chain.init(params))


def test_schedules_end_where_they_say():
    for name, end in (("constant", 1.0), ("cosine", 0.0), ("exponential", 0.01)):
        rate = optimizers.schedule(name, 0.5, 100)
        with jax.numpy_dtype_promotion("standard"):
            assert float(rate(100)) == pytest.approx(0.5 * end)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="`schedule` is 'linear'; it must be one of constant"):
        optimizers.get("sgd", schedule="linear")
    with pytest.raises(ValueError, match="`decay_steps` is 0"):
        optimizers.get("tngd", decay_steps=0)
    with pytest.raises(ValueError, match="`delay` is 3"):
        optimizers.get("tngd", delay=3.0, time=2.0)
    with pytest.raises(ValueError, match="`adaption` is 'lm'; it must be one of fixed"):
        optimizers.get("ngd", adaption="lm")
    for rule in (FixedDamping, LevenbergMarquardt):
        with pytest.raises(ValueError, match="give one above 0"):
            rule(0.0)
    with pytest.raises(ValueError, match="`factor` is 2"):
        LevenbergMarquardt(factor=2.0)
    assert isinstance(optimizers.get("ngd"), MinibatchNaturalGradient)
