"""K-FAC, EKFAC, SENG: steps against dense matrices, clocks, the quadratic model, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import optimizers
from pinn_ngd.linalg import JacobianRows, kronecker_blocks
from pinn_ngd.objectives import Batch, ClassificationObjective, Shuffled
from pinn_ngd.optimizers import Clocks
from pinn_ngd.optimizers.minibatch.layerwise import CURVATURES, part_of
from pinn_ngd.optimizers.minibatch.quadratic_model import combined, quadratic_model
from tests.optimizers.helpers import flat, poisson_1d
from tests.optimizers.minibatch.helpers import DAMPING, RATE, blobs, close, dense, move, network

PLAIN = dict(rate=RATE, momentum=0.0, rescale=False, adaption="fixed", damping=DAMPING)


def test_a_plain_step_is_the_dense_one_with_kronecker_blocks():
    objective, model = blobs(), network()
    batch = objective.batch(jax.random.key(3))

    @eqx.filter_jit
    def expected(model, batch):
        operator = objective.with_curvature("empirical-fisher").system(model, batch).operator
        matrix = kronecker_blocks(operator).as_matrix()
        gradient = flat(objective.gradient(model, batch))
        return jnp.linalg.solve(matrix + DAMPING * jnp.eye(len(gradient)), gradient)

    step = move("kfac", fisher="empirical", factored=False, **PLAIN)
    close(step, -RATE * expected(model, batch))


def test_seng_is_the_dense_step_of_every_layer_and_keeps_its_rows():
    """Two steps on one batch with heavy-ball momentum; the rows stay those of the first."""
    objective, model = blobs(), network()
    batch = objective.batch(jax.random.key(3))
    seng = optimizers.get("seng", rate=RATE, damping=DAMPING, refresh_every=2)
    step, state = eqx.filter_jit(seng.step), seng.init(model, objective, batch)
    rows = objective.with_curvature("empirical-fisher").system(model, batch).operator.as_matrix()
    sizes = [6 * 3, 3 * 7]  # of the two layers with their biases, which follow the weights
    blocks = np.zeros((39, 39))
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        place = slice(end - size, end)
        blocks[place, place] = rows[:, place].T @ rows[:, place]
    update = np.zeros(39)
    for number in range(2):
        gradient = flat(objective.gradient(model, batch))
        direction = np.linalg.solve(blocks + DAMPING * np.eye(39), gradient)
        update = 0.9 * update - RATE * direction
        new, state, info = step(model, state, objective, batch, key=jax.random.key(number))
        close(flat(new) - flat(model), update)
        assert float(info.damping) == DAMPING
        model = new
    changed = objective.batch(jax.random.key(4))
    _, after, _ = step(model, state, objective, changed, key=jax.random.key(2))
    assert not eqx.tree_equal(after.factors, state.factors)  # the third step has rows of its own


def test_a_part_of_the_batch_serves_for_factors_and_quadratic_model():
    """The direction has the factors of every fourth of 16 examples, its length the curvature of
    every second, and both the gradient of all."""
    objective, model = blobs(), network()
    batch = objective.batch(jax.random.key(3))
    kfac = optimizers.get(
        "kfac", fisher="empirical", factored=False, momentum=0.0, adaption="fixed",
        damping=DAMPING, factor_share=0.25, model_share=0.5,
    )  # fmt: skip
    state = kfac.init(model, objective, batch)
    new, _, info = eqx.filter_jit(kfac.step)(model, state, objective, batch, key=jax.random.key(0))

    @eqx.filter_jit
    def expected(model):
        first, half = (Batch(batch.inputs[::n], batch.targets[::n]) for n in (4, 2))
        rows = objective.with_curvature("empirical-fisher").system(model, first).operator
        gradient = flat(objective.gradient(model, batch))
        damped = kronecker_blocks(rows).as_matrix() + DAMPING * jnp.eye(len(gradient))
        direction = jnp.linalg.solve(damped, gradient)
        image = objective.system(model, half).operator.as_matrix() @ direction
        slope = direction @ gradient
        length = slope / (image @ image + DAMPING * direction @ direction)
        return -length * direction, length * slope / 2

    step, reduction = expected(model)
    close(flat(new) - flat(model), step)
    assert float(info.predicted) == pytest.approx(float(reduction), rel=1e-10)
    assert float(info.loss) == pytest.approx(float(objective.loss(model, batch)), rel=1e-12)
    assert part_of(batch, 0.01).size == 2
    with pytest.raises(ValueError, match=r"`model_share` is 0; .* above 0 and at most 1"):
        optimizers.get("kfac", model_share=0)


def test_names_of_the_fisher_matrix():
    objective = blobs()
    assert set(CURVATURES.values()) == set(objective.curvatures)
    assert CURVATURES["exact"] == CURVATURES["ggn"]  # the same matrix for these losses
    with pytest.raises(NotImplementedError, match="has no curvature 'ggn'"):
        poisson_1d().with_curvature("ggn")


def test_the_quadratic_model_is_minimal_on_its_plane():
    rng = np.random.default_rng(0)
    matrix = jnp.asarray(rng.normal(size=(7, 5)))
    g, d, p = (jnp.asarray(rng.normal(size=5)) for _ in range(3))
    damping = jnp.asarray(0.3)
    operator = JacobianRows(matrix, jax.eval_shape(lambda: g), jax.eval_shape(lambda: matrix[:, 0]))
    curvature = np.asarray(matrix.T @ matrix) + 0.3 * np.eye(5)

    @jax.jit
    def found(previous):
        plane = quadratic_model(operator, g, d, previous, damping)
        both, one = plane.minimizer(momentum=True), plane.minimizer(momentum=False)
        updates = [combined(c, d, previous) for c in (both, one)]
        return both, one, updates, plane.reduction(both), plane.half_curvature(both)

    _, one, (u, v), reduction, half = found(p)
    slope = g + curvature @ u
    np.testing.assert_allclose([slope @ d, slope @ p], 0, atol=1e-12)
    np.testing.assert_allclose(reduction, -(g @ u + 0.5 * u @ curvature @ u), rtol=1e-12)
    np.testing.assert_allclose(half, 0.5 * np.sum((matrix @ u) ** 2), rtol=1e-12)
    np.testing.assert_allclose((g + curvature @ v) @ d, 0, atol=1e-12)
    assert one[1] == 0
    first, alone, _, _, _ = found(jnp.zeros_like(p))  # the first step has no momentum
    np.testing.assert_allclose(first, alone, atol=1e-14)
    np.testing.assert_allclose(first, one, rtol=1e-12)


def test_clocks():
    clocks = Clocks(decay=0.9, measure_every=2, refresh_every=4)
    counts = jnp.arange(14)
    measured = [bool(clocks.measures(c)) for c in counts]
    assert measured == [c % 2 == 0 for c in range(14)]
    renewed = [int(c) for c in counts if clocks.measures(c) and clocks.renews(c)]
    assert renewed == [0, 2, 4, 8, 12]
    keep = [float(clocks.keep(jnp.asarray(c), jnp.dtype("float64"))) for c in (0, 2, 4, 200)]
    np.testing.assert_allclose(keep, [0, 1 / 2, 2 / 3, 0.9])


def test_a_step_is_clipped_and_one_that_is_not_finite_refused():
    _, _, curvature = dense()
    objective, model = blobs(), network()
    batch = objective.batch(jax.random.key(3))
    kfac = optimizers.get("kfac", clip=1e-4, fisher="exact", damping=DAMPING)
    step, state = eqx.filter_jit(kfac.step), kfac.init(model, objective, batch)
    new, state, info = step(model, state, objective, batch, key=jax.random.key(0))
    change = flat(new) - flat(model)
    np.testing.assert_allclose(0.5 * change @ curvature @ change, 1e-4, rtol=1e-9)
    assert 0 < float(info.actual) < 1.2 * float(info.predicted)
    broken = eqx.tree_at(lambda b: b.inputs, batch, batch.inputs.at[0].set(jnp.inf))
    same, after, info = step(new, state, objective, broken, key=jax.random.key(1))
    assert not bool(info.accepted)
    assert eqx.tree_equal(same, new)
    assert eqx.tree_equal(after.factors, state.factors)
    assert float(after.damping) > float(state.damping)  # a ratio that is no number is a failure
    _, _, info = step(same, after, objective, batch, key=jax.random.key(2))
    assert bool(info.accepted)


def test_bad_input_is_told_in_one_sentence():
    for settings, words in (
        ({"refresh_every": 0}, "`refresh_every` is 0; it must be a whole number"),
        ({"refresh_every": 3, "measure_every": 2}, "it must be a multiple of `measure_every` = 2"),
        ({"fisher": "sampled"}, "`fisher` is 'sampled'; it must be one of exact, mc"),
        ({"sharing": "sum"}, "`sharing` is 'sum'"),
        ({"decay": 1.0}, "`decay` is 1.0"),
    ):
        with pytest.raises(ValueError, match=words):
            optimizers.get("kfac", **settings)
    kfac, one = optimizers.get("kfac"), blobs(size=1)
    with pytest.raises(ValueError, match="the batch has one example"):
        kfac.init(network(), one, one.batch())


class Hidden(eqx.Module):
    """A layer inside a scan and, on request, a plain one behind it."""

    inner: eqx.nn.Linear
    last: eqx.nn.Linear | None

    def __call__(self, x):
        x = jax.lax.map(lambda v: jnp.tanh(self.inner(v)), x[:, None]).sum(axis=0)
        return x if self.last is None else self.last(x)


def test_parameters_without_kronecker_factors_are_named():
    inner, last = (eqx.nn.Linear(i, 3, key=jax.random.key(0)) for i in (1, 3))
    rng = np.random.default_rng(0)
    data = Shuffled(rng.normal(size=(4, 2)), np.asarray([0, 1, 2, 0]))
    objective, kfac = ClassificationObjective(data), optimizers.get("kfac")
    with pytest.raises(ValueError, match="no layer of the model can be captured"):
        kfac.init(Hidden(inner, None), objective, objective.batch())
    model = Hidden(inner, last)
    with pytest.warns(UserWarning, match=r"get a diagonal block .* \.inner\.weight, \.inner\.bias"):
        state = kfac.init(model, objective, objective.batch())
    assert len(flat(state.previous)) == len(flat(model))
