"""Adapters change nothing at first, are all that is trained, and merge into plain weights."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import _tree
from pinn_ngd.applications.encoders import (
    EncoderConfig,
    SpanFinder,
    TextClassifier,
    add_adapters,
    merge_adapters,
    random_encoder,
)

SMALL = EncoderConfig(vocabulary=20, positions=6, width=8, heads=2, hidden=10, layers=2)
IDS = jnp.asarray([2, 7, 11, 3, 0])


@pytest.fixture
def encoder(key):
    return random_encoder(SMALL, key=key)


def trained(encoder, key):
    """Every adapter moved away from its start."""
    params, static = _tree.trainable(encoder)
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    moved = [x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return eqx.combine(jax.tree.unflatten(treedef, moved), static)


def test_new_adapters_change_nothing(encoder, key):
    assert np.array_equal(add_adapters(encoder, key=key)(IDS), encoder(IDS))


def test_only_adapters_are_parameters(encoder, key):
    adapted = add_adapters(encoder, rank=2, key=key)
    assert _tree.size(adapted) == 2 * 4 * 2 * (8 + 8)
    assert {leaf.shape for leaf in jax.tree.leaves(_tree.trainable(adapted)[0])} == {(2, 8), (8, 2)}


def test_minilm_has_36864_adapter_parameters(key):
    shape = eqx.filter_eval_shape(
        lambda k: add_adapters(random_encoder(EncoderConfig(), key=k), key=k), key
    )
    leaves = jax.tree.leaves(shape)
    assert sum(x.size for x in leaves if jnp.issubdtype(x.dtype, jnp.inexact)) == 36_864


def test_merged_adapters_compute_the_same(encoder, key):
    adapted = trained(add_adapters(encoder, rank=3, alpha=6.0, key=key), key)
    merged = merge_adapters(adapted)
    assert jax.tree.structure(merged) == jax.tree.structure(encoder)
    np.testing.assert_allclose(merged(IDS), adapted(IDS), rtol=1e-12, atol=1e-12)
    assert float(jnp.max(jnp.abs(merged(IDS) - encoder(IDS)))) > 0.01
    block, start = merged.blocks[0], encoder.blocks[0]
    layer = adapted.blocks[0].attention.key
    np.testing.assert_allclose(
        block.attention.key.weight, start.attention.key.weight + 2 * layer.up @ layer.down
    )
    assert np.array_equal(block.inner.weight, start.inner.weight)
    assert np.array_equal(merge_adapters(encoder)(IDS), encoder(IDS))


def test_gradients_reach_every_adapter(encoder, key):
    adapted = trained(add_adapters(encoder, key=key), key)
    gradient = eqx.filter_grad(lambda e: jnp.sum(e(IDS)[:, 0] ** 2))(adapted)
    assert all(float(jnp.max(jnp.abs(g))) > 0 for g in jax.tree.leaves(gradient))


def test_bad_ranks_and_second_adapters_are_refused(encoder, key):
    with pytest.raises(ValueError, match="`rank` is 9; it must be 1 to 8"):
        add_adapters(encoder, rank=9, key=key)
    with pytest.raises(ValueError, match="has adapters already"):
        add_adapters(add_adapters(encoder, key=key), key=key)


def test_heads_do_not_see_padding(encoder, key):
    classifier, finder = TextClassifier(encoder, 3, key=key), SpanFinder(encoder, key=key)
    np.testing.assert_allclose(classifier(IDS), classifier(IDS[:4]), rtol=1e-12)
    logits = finder(IDS)
    assert logits.shape == (2, 5)
    np.testing.assert_allclose(logits[:, :4], finder(IDS[:4]), rtol=1e-12)
    assert np.all(jax.nn.softmax(logits)[:, 4] == 0)
