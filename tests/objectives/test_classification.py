"""Losses, curvatures and systems of classification, against dense matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import _tree
from pinn_ngd.models import MLP
from pinn_ngd.objectives import (
    Batch,
    BinaryCrossEntropy,
    ClassificationObjective,
    Generated,
    Shuffled,
    SoftmaxCrossEntropy,
    SquaredError,
)

SOFTMAX, BINARY, SQUARED = SoftmaxCrossEntropy(), BinaryCrossEntropy(), SquaredError()


def _close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance, atol=tolerance)


class ConvNet(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.LayerNorm
    dense: eqx.nn.Linear
    out: eqx.nn.Linear

    def __init__(self, key):
        k1, k2, k3 = jax.random.split(key, 3)
        self.conv = eqx.nn.Conv2d(2, 3, 3, stride=2, padding=1, dilation=2, key=k1)
        self.norm = eqx.nn.LayerNorm(12)
        self.dense = eqx.nn.Linear(12, 5, key=k2)
        self.out = eqx.nn.Linear(5, 4, use_bias=False, key=k3)

    def __call__(self, x):
        x = jnp.tanh(self.conv(x)).reshape(-1)
        return self.out(jnp.tanh(self.dense(self.norm(x))))


class Tokens(eqx.Module):
    """A layer inside a vmap, one called twice, one used by its weight, and one that is plain."""

    inner: eqx.nn.Linear
    twice: eqx.nn.Linear
    tied: eqx.nn.Linear
    last: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        self.inner, self.twice, self.tied = (eqx.nn.Linear(3, 3, key=k) for k in keys[:3])
        self.last = eqx.nn.Linear(3, 4, key=keys[3])

    def __call__(self, x):
        x = jnp.sum(jax.vmap(self.inner)(x), axis=0)
        x = self.twice(jnp.tanh(self.twice(x)))
        return self.last(jnp.tanh(self.tied.weight @ self.tied(x)))


def _case(name, key):
    if name == "conv":
        model, inputs = ConvNet(key), jax.random.normal(key, (6, 2, 6, 6))
        assert model.conv(inputs[0]).size == 12
        return model, inputs
    if name == "tokens":
        return Tokens(key), jax.random.normal(key, (6, 5, 3))
    if name == "own":
        return MLP((3, 7, 4), key=key), jax.random.normal(key, (6, 3))
    return eqx.nn.MLP(3, 4, 7, 2, key=key), jax.random.normal(key, (6, 3))


def _jacobian(model, inputs):
    params, static = _tree.trainable(model)
    flat, unravel = ravel_pytree(params)

    def outputs(q):
        return jax.vmap(eqx.combine(unravel(q), static))(inputs)

    return outputs(flat), jax.jacrev(outputs)(flat)


def _objective(curvature="ggn", loss="softmax"):
    return ClassificationObjective(Generated(lambda _: None), loss=loss, curvature=curvature)


TARGETS = jnp.asarray([0, 3, 1, 2, 2, 0])


def test_a_label_out_of_range_has_no_loss():
    z = jnp.asarray([0.3, -0.8, 0.5])
    for y in (-1, 3, 7):
        assert jnp.isnan(SOFTMAX.value(z, jnp.asarray(y)))
    for y in (-0.1, 1.1):
        assert jnp.isnan(BINARY.value(z, jnp.full(3, y)))


def test_probabilities_as_labels_mix_the_losses_of_labels(key):
    z, y = jax.random.normal(key, (3,)), jnp.asarray([0.25, 0.0, 0.75])
    mixed = 0.25 * SOFTMAX.value(z, jnp.asarray(0)) + 0.75 * SOFTMAX.value(z, jnp.asarray(2))
    _close(SOFTMAX.value(z, y), mixed)
    _close(SOFTMAX.gradient(z, y), jax.grad(SOFTMAX.value)(z, y))
    _close(SOFTMAX.factor(z) @ SOFTMAX.target(z, y), SOFTMAX.gradient(z, y))
    SOFTMAX.check(jnp.eye(3), 3)
    with pytest.raises(ValueError, match="rows of probabilities, which sum to 1"):
        SOFTMAX.check(jnp.ones((2, 3)), 3)
    with pytest.raises(ValueError, match="hold 2 numbers an example, but the model has 3"):
        SOFTMAX.check(jnp.eye(2), 3)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([[0], [1]], "hold 1 numbers an example, but the model has 4 .*`targets\\[:, 0\\]`"),
        ([[0, 1], [1, 1]], "hold 2 numbers an example, but the model has 4"),
        ([[1, 1, 0, 0], [0, 0, 1, 0]], "rows of probabilities, which sum to 1: divide"),
        ([[1, 0, 0, 0], [0, 0, 0, 0]], "rows of probabilities, which sum to 1: divide"),
        ([[2, -1, 0, 0], [0, 0, 1, 0]], "rows of probabilities, which sum to 1: divide"),
        ([[1j, 0, 0, 0], [0, 0, 1j, 0]], "are complex128; .* needs real probabilities"),
    ],
)
def test_rows_of_the_softmax_loss_are_probabilities_of_any_type(targets, words, key):
    model, inputs = MLP((3, 4), key=key), jnp.ones((2, 3))
    with pytest.raises(ValueError, match=words):
        _objective().check(model, Batch(inputs, jnp.asarray(targets)))
    one_hot = Batch(inputs, jnp.asarray([[0, 1, 0, 0], [0, 0, 0, 1]]))
    _objective().check(model, one_hot)
    labels = Batch(inputs, jnp.asarray([1, 3]))
    _close(_objective().loss(model, one_hot), _objective().loss(model, labels))


@pytest.mark.parametrize("spread", [1.0, 30.0, 300.0])
def test_the_factor_of_softmax_and_its_target(key, spread):
    z = spread * jax.random.normal(key, (5,))
    p, s = jax.nn.softmax(z), SOFTMAX.factor(z)
    _close(s @ s.T, jnp.diag(p) - jnp.outer(p, p))
    for y in range(5):
        gradient = jax.grad(SOFTMAX.value)(z, jnp.asarray(y))
        _close(SOFTMAX.gradient(z, jnp.asarray(y)), gradient)
        _close(s @ SOFTMAX.target(z, jnp.asarray(y)), gradient)


@pytest.mark.parametrize("loss", [SOFTMAX, BINARY, SQUARED], ids=lambda v: type(v).__name__)
def test_factor_is_the_hessian_and_target_the_shortest(loss, key):
    @jax.jit
    def everything(z, y):
        derivatives = jax.grad(loss.value)(z, y), jax.hessian(loss.value)(z, y)
        return loss.factor(z), loss.gradient(z, y), loss.target(z, y), *derivatives

    z = jax.random.normal(key, (4,))
    y = jnp.asarray(2) if loss is SOFTMAX else jnp.asarray([0.0, 1.0, 1.0, 0.0])
    s, found, target, gradient, hessian = map(np.asarray, everything(z, y))
    _close(s @ s.T, hessian)
    _close(found, gradient)
    _close(target, np.linalg.lstsq(s, gradient, rcond=1e-14)[0], 1e-10)


def test_the_target_survives_single_precision_and_certain_mistakes():
    z = jnp.asarray([300.0, 0.0, -300.0], jnp.float32)
    s, b = SOFTMAX.factor(z), SOFTMAX.target(z, jnp.asarray(2))
    assert bool(jnp.all(jnp.isfinite(b)))
    np.testing.assert_allclose(s @ b, [1.0, 0.0, -1.0], rtol=1e-5)


def test_ggn_is_the_fisher_matrix_of_the_models_own_labels(key):
    z = jax.random.normal(key, (4,))
    p, s = jax.nn.softmax(z), SOFTMAX.factor(z)
    gradients = jnp.stack([SOFTMAX.gradient(z, jnp.asarray(y)) for y in range(4)])
    _close(jnp.einsum("y,yi,yj->ij", p, gradients, gradients), s @ s.T)


@pytest.mark.parametrize("loss", [SOFTMAX, BINARY, SQUARED], ids=lambda v: type(v).__name__)
def test_sampled_labels_give_an_unbiased_fisher_matrix(loss, key):
    z, draws = jnp.asarray([0.3, -0.8, 0.5]), 40_000
    keys = jax.random.split(key, draws)
    g = jax.vmap(lambda k: loss.gradient(z, loss.sample(k, z)))(keys)
    s = loss.factor(z)
    np.testing.assert_allclose(g.T @ g / draws, s @ s.T, atol=5 * 2 / draws**0.5)


@pytest.mark.parametrize("name", ["conv", "mlp", "own", "tokens"])
@pytest.mark.parametrize("matrix_free", [False, True])
def test_ggn_system_against_the_dense_jacobian(name, matrix_free, key):
    @eqx.filter_jit
    def pairs(model, inputs):
        """What the system says, and what the dense Jacobian says, as one compiled program."""
        batch, objective = Batch(inputs, TARGETS), _objective()
        system = objective.system(model, batch, matrix_free=matrix_free)
        z, jacobian = _jacobian(model, inputs)
        s = jax.vmap(SOFTMAX.factor)(z)
        rows = jnp.einsum("nor,nop->nrp", s, jacobian).reshape(24, -1) / 6**0.5
        gradient, _ = ravel_pytree(objective.gradient(model, batch))
        operator = system.operator
        hessian = jax.vmap(jax.hessian(SOFTMAX.value))(z, TARGETS)
        ggn = jnp.einsum("nop,noq,nqr->pr", jacobian, hessian, jacobian) / 6
        flat = jax.random.normal(key, gradient.shape)
        vector = ravel_pytree(_tree.trainable(model)[0])[1](flat)
        return {
            "matrix": (operator.as_matrix(), rows),
            "target": (objective.evaluate(model, batch).right_hand_side, system.target),
            "gradient": (ravel_pytree(operator.T.mv(system.target))[0], gradient),
            "curvature": (ravel_pytree(operator.T.mv(operator.mv(vector)))[0], ggn @ flat),
        }

    for found, expected in pairs(*_case(name, key)).values():
        _close(found, expected)


@pytest.mark.parametrize("name", ["conv", "mlp", "own", "tokens"])
def test_kernel_matrix_is_that_of_the_rows(name, key):
    @eqx.filter_jit
    def matrices(model, inputs):
        operator = _objective().system(model, Batch(inputs, TARGETS)).operator
        layers = {"conv": 3, "mlp": 3, "own": 2, "tokens": 3}[name]
        assert len(operator.operator.layers) == layers
        return operator.as_matrix(), operator.kernel_matrix()

    rows, kernel = matrices(*_case(name, key))
    _close(kernel, rows @ rows.T)


@pytest.mark.parametrize("matrix_free", [False, True])
def test_jacobian_and_curvature_are_known_apart(matrix_free, key):
    @eqx.filter_jit
    def everything(model, inputs):
        batch = Batch(inputs, TARGETS)
        operator = _objective().system(model, batch, matrix_free=matrix_free).operator
        z, jacobian = _jacobian(model, inputs)
        hessian = jax.vmap(jax.hessian(SOFTMAX.value))(z, TARGETS)
        return operator.operator.as_matrix(), operator.curvature(), jacobian, hessian

    matrix, curvature, jacobian, hessian = everything(*_case("mlp", key))
    _close(matrix, jacobian.reshape(24, -1))
    _close(curvature, hessian / 6)


def test_empirical_fisher_has_one_row_an_example(key):
    @eqx.filter_jit
    def everything(model, inputs):
        batch, objective = Batch(inputs, TARGETS), _objective("empirical-fisher")
        system = objective.system(model, batch)
        z, jacobian = _jacobian(model, inputs)
        gradients = jnp.einsum("no,nop->np", jax.vmap(SOFTMAX.gradient)(z, TARGETS), jacobian)
        pulled, _ = ravel_pytree(system.operator.T.mv(system.target))
        return system.operator.as_matrix(), pulled, gradients

    matrix, pulled, gradients = map(np.asarray, everything(*_case("mlp", key)))
    _close(matrix, gradients / 6**0.5)
    _close(pulled, np.mean(gradients, axis=0))


def test_mc_fisher_draws_from_the_batchs_key(key):
    model, inputs = _case("mlp", key)
    batch, objective = Batch(inputs, TARGETS, key), _objective("mc-fisher")

    @eqx.filter_jit
    def everything(model, batch):
        system = objective.system(model, batch)
        assert system.operator.shape == (6, 1)
        again = objective.system(model, batch, matrix_free=True).operator
        gradients = system.gradient, objective.gradient(model, batch)
        flat = [ravel_pytree(gradient)[0] for gradient in gradients]
        return *flat, system.operator.as_matrix(), again.as_matrix()

    found, gradient, matrix, again = everything(model, batch)
    _close(found, gradient)
    _close(matrix, again)
    with pytest.raises(ValueError, match="is None, but 'mc-fisher' draws labels"):
        objective.system(model, Batch(inputs, TARGETS))


def test_binary_and_squared_losses_have_systems_too(key):
    model = eqx.nn.MLP(3, "scalar", 5, 1, key=key)
    inputs = jax.random.normal(key, (6, 3))

    @eqx.filter_jit
    def gradients(model, batch, objective):
        system = objective.system(model, batch)
        found, expected = system.operator.T.mv(system.target), objective.gradient(model, batch)
        return ravel_pytree(found)[0], ravel_pytree(expected)[0]

    for loss in ("binary", "squared"):
        _close(*gradients(model, Batch(inputs, TARGETS % 2), _objective(loss=loss)))


def test_an_epoch_sees_every_example_once_and_is_shuffled(key):
    batches = Shuffled(jnp.arange(12)[:, None], jnp.arange(12), 4)
    epochs = [jnp.concatenate([batches.draw(key, 3 * e + i).targets for i in range(3)])
              for e in range(2)]  # fmt: skip
    assert all(sorted(epoch.tolist()) == list(range(12)) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    again = batches.draw(key, 4)
    _close(again.inputs[:, 0], again.targets)
    assert again.targets.tolist() == epochs[1][4:8].tolist()


def test_the_whole_batch_is_not_resampled(key):
    objective = ClassificationObjective(Shuffled(jnp.ones((5, 3)), jnp.arange(5)))
    assert not objective.resampled
    assert objective.batch(key).size == 5
    mc = ClassificationObjective(Shuffled(jnp.ones((5, 3)), jnp.arange(5)), curvature="mc-fisher")
    assert mc.resampled


def test_a_generator_and_a_transform_get_keys(key):
    def fn(key):
        return np.asarray(jax.random.normal(key, (4, 3))), np.zeros(4, int)

    generated = Generated(fn)
    first, second = generated.draw(key, 0), generated.draw(key, 1)
    assert not np.allclose(first.inputs, second.inputs)
    _close(first.inputs, generated.draw(key, 0).inputs)
    flipped = Shuffled(jnp.ones((4, 3)), jnp.zeros(4), 2, transform=lambda _, x: -x)
    _close(flipped.draw(key, 0).inputs, -jnp.ones((2, 3)))


def test_bad_input_is_named(key):
    with pytest.raises(ValueError, match="`curvature` is 'fisher'; it must be one of ggn"):
        _objective("fisher")
    with pytest.raises(ValueError, match="`loss` is 'hinge'"):
        _objective(loss="hinge")
    with pytest.raises(ValueError, match="`targets` are empty"):
        Shuffled(jnp.ones((0, 3)), jnp.ones((0,)))
    with pytest.raises(ValueError, match="`inputs` have \\[3\\] examples and `targets` 4"):
        Shuffled(jnp.ones((3, 3)), jnp.ones(4))
    with pytest.raises(ValueError, match="give 1 to 4"):
        Shuffled(jnp.ones((4, 3)), jnp.ones(4), 5)
    with pytest.raises(ValueError, match="`targets` are empty"):
        Generated(lambda _: (np.ones((0, 3)), np.ones(0))).draw(key, 0)
    model, inputs = _case("mlp", key)
    with pytest.raises(ValueError, match="run from 0 to 4, but the model has 4 outputs"):
        _objective().check(model, Batch(inputs, jnp.asarray([0, 1, 2, 3, 4, 0])))
    with pytest.raises(ValueError, match="needs integers"):
        _objective().check(model, Batch(inputs, jnp.ones(6)))
    with pytest.raises(ValueError, match="must lie in"):
        _objective(loss="binary").check(model, Batch(inputs, 2 * jnp.ones((6, 4))))
    everything = ClassificationObjective(Shuffled(inputs, TARGETS.at[5].set(-1), 2))
    with pytest.raises(ValueError, match="run from -1 to 3"):
        everything.check(model, Batch(inputs[:2], TARGETS[:2]))
    with pytest.raises(ValueError, match="1 numbers an example, but the model has 4"):
        _objective(loss="squared").check(model, Batch(inputs, jnp.ones((6, 1))))


@pytest.mark.parametrize("name", ["inputs", "targets"])
def test_data_that_are_not_finite_are_refused(name, key):
    data = {"inputs": jnp.ones((4, 2)), "targets": jnp.ones((4, 1))}
    data[name] = data[name].at[2, 0].set(jnp.nan)
    objective = ClassificationObjective(Shuffled(**data), loss="squared")
    with pytest.raises(ValueError, match=f"`{name}` hold a number .* in example 2 of the first"):
        objective.check(MLP((2, 1), key=key), objective.batch())
