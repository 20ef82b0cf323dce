"""Layers of every kind are captured: sums over uses of g a^T are what jax.grad gives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import _tree
from pinn_ngd.linalg import (
    Blockwise,
    EmbeddingRows,
    KroneckerFactored,
    LayerRows,
    LayerwiseWoodbury,
    LeastSquaresSystem,
    Stacked,
    StackedRows,
    UnitWise,
    kronecker_blocks,
    prepare,
)
from pinn_ngd.objectives import Batch, ClassificationObjective, Generated, coverage

EMPIRICAL = ClassificationObjective(Generated(lambda _: None), curvature="empirical-fisher")
TARGETS = jnp.asarray([0, 2, 1, 2, 0])


class Text(eqx.Module):
    """A table, attention, norms and dense layers at every position, one of them used twice."""

    table: eqx.nn.Embedding
    attention: eqx.nn.MultiheadAttention
    norm: eqx.nn.LayerNorm
    inner: eqx.nn.Linear
    last: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        self.table = eqx.nn.Embedding(6, 4, key=keys[0])
        self.attention = eqx.nn.MultiheadAttention(2, 4, use_query_bias=True, key=keys[1])
        self.norm = eqx.nn.LayerNorm(4)
        self.inner = eqx.nn.Linear(4, 4, key=keys[2])
        self.last = eqx.nn.Linear(4, 3, key=keys[3])

    def __call__(self, tokens):
        x = jax.vmap(self.table)(tokens)
        x = jax.vmap(self.norm)(x + self.attention(x, x, x))
        x = jnp.tanh(jax.vmap(self.inner, in_axes=1, out_axes=1)(x.T).T)
        x = x + self.inner(jnp.mean(x, axis=0))
        return eqx.filter_jit(self.last)(jnp.sum(x, axis=0))


class Pictures(eqx.Module):
    """Convolutions in three axes and in groups, norms, and three networks side by side."""

    volume: eqx.nn.Conv3d
    groups: eqx.nn.GroupNorm
    line: eqx.nn.Conv1d
    norm: eqx.nn.RMSNorm
    heads: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.volume = eqx.nn.Conv3d(1, 4, 2, key=keys[0])
        self.groups = eqx.nn.GroupNorm(2, 4)
        self.line = eqx.nn.Conv1d(4, 6, 2, groups=2, key=keys[1])
        self.norm = eqx.nn.RMSNorm(6, use_bias=False)
        make = eqx.filter_vmap(lambda key: eqx.nn.Linear(6, 3, key=key))
        self.heads = make(jax.random.split(keys[2], 3))

    def __call__(self, x):
        x = self.groups(jnp.tanh(self.volume(x))).reshape(4, -1)
        x = jax.vmap(self.norm)(self.line(x).T)  # (positions, 6)
        apart = eqx.filter_vmap(lambda head, x: jax.vmap(head)(x), in_axes=(0, None))
        alike = jax.vmap(lambda p: eqx.filter_vmap(lambda head: head(p))(self.heads))
        return jnp.mean(jnp.tanh(apart(self.heads, x)), (0, 1)) + jnp.mean(alike(x), (0, 1))


def case(name, key):
    if name == "text":
        return Text(key), jax.random.randint(key, (5, 4), 0, 5)
    return Pictures(key), jax.random.normal(key, (5, 1, 2, 3, 3))


KINDS = {
    "text": [EmbeddingRows, *4 * [LayerRows], LayerRows, LayerRows],
    "pictures": [LayerRows, StackedRows, StackedRows],
}


@pytest.fixture(scope="module", params=["text", "pictures"])
def found(request):
    """What the captured rows and their blocks are, and the gradients of every example by JAX."""
    model, inputs = case(request.param, jax.random.key(3))

    @eqx.filter_jit
    def everything(model, inputs):
        operator = EMPIRICAL.system(model, Batch(inputs, TARGETS)).operator
        assert [type(layer) for layer in operator.layers] == KINDS[request.param]
        params, static = _tree.trainable(model)

        def loss(q, x, y):
            return EMPIRICAL.loss_function.value(eqx.combine(q, static)(x), y)

        gradients = jax.vmap(jax.grad(loss), (None, 0, 0))(params, inputs, TARGETS)
        flat = jnp.concatenate([g.reshape(5, -1) for g in jax.tree.leaves(gradients)], axis=1)
        weights, vector = jnp.linspace(-1, 1, 5)[:, None], jnp.sin(jnp.arange(flat.shape[1]))
        blocks = kronecker_blocks(operator)
        corrected = prepare(
            LeastSquaresSystem(operator, weights), KroneckerFactored(corrected=True)
        )
        woodbury = prepare(LeastSquaresSystem(operator, weights, damping=0.1), LayerwiseWoodbury())
        return blocks, {
            "rows": operator.as_matrix(),
            "expected": flat / 5**0.5,
            "mv": operator.mv(ravel_pytree(params)[1](vector))[:, 0],
            "back": ravel_pytree(operator.T.mv(weights))[0],
            "kernel": operator.kernel_matrix(),
            "weighted": operator.weighted(2 * jnp.ones((5, 1, 1))).as_matrix(),
            "blocks": blocks.as_matrix(),
            "transposed": blocks.transpose().as_matrix(),
            "product": ravel_pytree(blocks.mv(ravel_pytree(params)[1](vector)))[0],
            "solved": ravel_pytree(
                lx.linear_solve(
                    blocks, ravel_pytree(params)[1](vector), Blockwise("exact"),
                    options={"damping": 0.1},
                ).value
            )[0],
            "factors": corrected.state.factors.factors,
            "woodbury": ravel_pytree(woodbury.solve().value)[0],
        }  # fmt: skip

    blocks, numbers = everything(model, inputs)
    return model, inputs, blocks, numbers


def test_sums_over_uses_are_the_gradients_of_every_example(found):
    numbers = found[-1]
    rows, n = numbers["expected"], 5
    close = dict(rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(numbers["rows"], rows, **close)
    vector = np.sin(np.arange(rows.shape[1]))
    np.testing.assert_allclose(numbers["mv"], rows @ vector, **close)
    np.testing.assert_allclose(numbers["back"], rows.T @ np.linspace(-1, 1, n), **close)
    np.testing.assert_allclose(numbers["kernel"], rows @ rows.T, **close)
    np.testing.assert_allclose(numbers["weighted"], 2 * rows, **close)


def test_blocks_act_and_are_solved_as_their_matrices(found):
    numbers = found[-1]
    blocks = np.asarray(numbers["blocks"])
    vector = np.sin(np.arange(len(blocks)))
    np.testing.assert_allclose(numbers["product"], blocks @ vector, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(numbers["transposed"], blocks.T, atol=1e-15)
    expected = np.linalg.solve(blocks + 0.1 * np.eye(len(blocks)), vector)
    np.testing.assert_allclose(numbers["solved"], expected, rtol=1e-9, atol=1e-11)


def test_units_of_norms_and_counts_of_tables_are_the_exact_blocks(found):
    model, inputs, blocks, numbers = found
    rows = np.asarray(numbers["expected"])
    dense = rows.T @ rows
    places = np.concatenate([[0], np.cumsum([x.size for x in jax.tree.leaves(_leaves(model))])])
    units = [pair for pair in zip(blocks.blocks, blocks.layout.leaves, strict=True)
             if isinstance(pair[0], UnitWise)]  # fmt: skip
    assert len(units) == (1 if isinstance(model, Text) else 2)
    for block, leaves in units:
        c, u = block.values.shape[:2]
        assert len(leaves) == u
        of_unit = np.stack([places[leaf] + np.arange(c) for leaf in leaves], axis=1)
        for unit, value in zip(of_unit, block.values, strict=True):
            np.testing.assert_allclose(value, dense[np.ix_(unit, unit)], rtol=1e-11, atol=1e-15)
    if isinstance(model, Text):
        counts = np.bincount(np.asarray(inputs).ravel(), minlength=6)
        np.testing.assert_allclose(blocks.blocks[0].left, counts / 5)
        assert counts[5] == 0  # this word never came
    else:
        assert sum(isinstance(block, Stacked) for block in blocks.blocks) == 2


def _leaves(model):
    return _tree.trainable(model)[0]


def test_eigenvalues_of_ekfac_are_the_diagonal_of_the_block_for_tables_and_stacks(found):
    model, _, _, numbers = found
    rows = np.asarray(numbers["expected"])
    if isinstance(model, Text):
        factor, (o, i) = numbers["factors"][0], (6, 4)
        basis = np.kron(np.eye(o), factor.right)
        block = rows[:, : o * i].T @ rows[:, : o * i]
        diagonal = np.diag(basis.T @ block @ basis)
        np.testing.assert_allclose(factor.values.ravel(), diagonal, atol=1e-13)
        return
    factor = numbers["factors"][2].factor  # heads: (3, 3, 6) weights, then (3, 3) biases
    weight, bias = rows[:, -63:-9].reshape(5, 3, 3, 6), rows[:, -9:].reshape(5, 3, 3, 1)
    joined = np.concatenate([weight, bias], axis=3).reshape(5, 3, -1)
    for head in range(3):
        basis = np.kron(factor.left[head], factor.right[head])
        block = joined[:, head].T @ joined[:, head]
        diagonal = np.diag(basis.T @ block @ basis)
        np.testing.assert_allclose(factor.values[head].ravel(), diagonal, atol=1e-13)


def test_the_report_names_positions_layers_and_units():
    text = {p.parameter: (p.block, p.note) for p in coverage(*one("text")).parameters}
    assert text[".table.weight"] == ("kronecker", "4 positions, counts of rows")
    assert text[".attention.query_proj.bias"] == ("kronecker", "4 positions")
    assert text[".norm.weight"] == ("unit-wise", "2 x 2 for each of 4 units")
    assert text[".inner.weight"] == ("kronecker", "5 positions in 2 calls")
    assert text[".last.bias"] == ("kronecker", "1 position")
    pictures = {p.parameter: (p.block, p.note) for p in coverage(*one("pictures")).parameters}
    assert pictures[".norm.weight"] == ("unit-wise", "1 x 1 for each of 6 units")
    assert pictures[".line.weight"] == ("kronecker", "3 positions, 2 layers side by side")
    assert pictures[".heads.bias"] == ("kronecker", "6 positions in 2 calls, 3 layers side by side")
    assert not coverage(*one("text")).diagonal


def one(name):
    model, inputs = case(name, jax.random.key(3))
    return model, inputs[0]


class Used(eqx.Module):
    """A layer that is used in a way of which products of inputs and cotangents do not tell."""

    layer: eqx.nn.Linear
    way: str = eqx.field(static=True)

    def __call__(self, x):
        layer = self.layer
        if self.way == "scan":
            return jax.lax.scan(lambda x, _: (jnp.tanh(layer(x)), None), x, length=2)[0]
        if self.way == "checkpoint":
            return jax.checkpoint(lambda x: layer(x))(x)
        if self.way == "derivative":
            return jax.grad(lambda x: jnp.sum(jnp.tanh(layer(x))))(x)
        if self.way == "tied":
            return layer.weight @ layer(x)
        if self.way == "scaled":
            return eqx.tree_at(lambda m: m.weight, layer, 2 * layer.weight)(x)
        if self.way == "part":
            return eqx.tree_at(lambda m: m.bias, layer, jnp.zeros(3))(x) + layer.bias
        if self.way == "returned":
            return layer(x) + layer.weight[0]
        if self.way == "bias":
            return jnp.where(x > 0, layer(x), layer.bias)
        return jax.lax.cond(x[0] > 0, lambda x: layer(x), lambda x: x, x)


WAYS = ["scan", "checkpoint", "derivative", "tied", "scaled", "part", "returned", "bias", "cond"]


@pytest.mark.parametrize("way", WAYS)
def test_other_uses_are_stored_rows_and_named(way):
    model = Used(eqx.nn.Linear(3, 3, key=jax.random.key(0)), way)
    report = coverage(model, jnp.ones(3))
    assert report.diagonal == (".layer.weight", ".layer.bias")
    assert "its weight is used directly" in report.parameters[0].note


def test_stored_rows_are_still_the_gradients(key):
    """Of what looks like a call and is none: the weight is twice the parameter."""
    model, inputs = Used(eqx.nn.Linear(3, 3, key=key), "scaled"), jax.random.normal(key, (5, 3))
    system = EMPIRICAL.system(model, Batch(inputs, TARGETS))
    pulled = ravel_pytree(system.operator.T.mv(system.target))[0]
    gradient = ravel_pytree(EMPIRICAL.gradient(model, Batch(inputs, TARGETS)))[0]
    np.testing.assert_allclose(pulled, gradient, rtol=1e-12)


def test_kinds_that_say_so_themselves_and_layers_of_which_a_part_is_trained(key):
    class Own(eqx.Module):
        weight: jax.Array
        bias: jax.Array
        is_dense = True

        def __call__(self, x):
            return x @ self.weight.T + self.bias.astype(x.dtype)

    own = coverage(Own(jnp.ones((2, 3)), jnp.ones(2)), jnp.ones((4, 3)))
    assert own.parameters[0][2:] == ("kronecker", "4 positions")
    half = Own(jnp.ones((2, 3)), jnp.arange(2))
    assert "a part of the layer is not trained" in coverage(half, jnp.ones(3)).parameters[0].note
    circular = eqx.nn.Conv1d(1, 2, 3, padding=1, padding_mode="CIRCULAR", key=key)
    assert "padding" in coverage(circular, jnp.ones((1, 5))).parameters[0].note
    scalar = eqx.nn.Linear("scalar", 2, key=key)
    assert coverage(scalar, jnp.ones(())).parameters[0].block == "kronecker"


class Normed(eqx.Module):
    norm: eqx.nn.BatchNorm
    state: eqx.nn.State

    def __call__(self, x):
        return self.norm(x, self.state)[0]


def test_batch_norm_is_refused_and_with_fixed_averages_a_norm_like_others():
    model = Normed(*eqx.nn.make_with_state(eqx.nn.BatchNorm)(3, "batch", mode="batch"))
    batch = Batch(jnp.ones((5, 3)), TARGETS)
    with pytest.raises(ValueError, match="BatchNorm, which mixes the examples of a batch"):
        EMPIRICAL.check(model, batch)
    fixed = eqx.nn.inference_mode(model)
    EMPIRICAL.check(fixed, batch)
    blocks = {p.parameter: p.block for p in EMPIRICAL.coverage(fixed, batch).parameters}
    assert blocks[".norm.weight"] == blocks[".norm.bias"] == "unit-wise"
