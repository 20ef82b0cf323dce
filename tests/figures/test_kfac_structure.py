"""The Fisher matrix of several layers, its Kronecker products and the bound of their difference."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from figures.kfac_structure import shrunk
from figures.recipes.layer_moments import block_means, layer_moments, share_outside
from pinn_ngd import ClassificationObjective, Shuffled
from pinn_ngd.linalg.kronecker_factors import layerwise_of
from pinn_ngd.models import MLP

N, SIZES = 7, (4, 3, 2, 3)


@pytest.fixture(scope="module")
def case():
    """Moments of the two last layers, and the gradient of every example and label, weighted by the
    root of the label's probability: (n, labels, p), in the order of the moments."""
    rng = np.random.default_rng(0)
    inputs, labels = jnp.asarray(rng.normal(size=(N, 4))), jnp.asarray(rng.integers(0, 3, N))
    model = MLP(SIZES, key=jax.random.key(1), init="glorot")
    objective = ClassificationObjective(Shuffled(inputs, labels))
    rows = {
        kind: layerwise_of(objective.with_curvature(kind).system(model, objective.batch()).operator)
        for kind in ("ggn", "empirical-fisher")
    }

    def gradient(x, label):
        found = jax.grad(lambda m: -jax.nn.log_softmax(m(x))[label])(model)
        each = [jnp.column_stack([a.weight, a.bias]).ravel() for a in found.layers[1:]]
        return jnp.concatenate(each)

    probabilities = jax.nn.softmax(jax.vmap(model)(inputs))
    every = jax.vmap(lambda x: jax.vmap(lambda y: gradient(x, y))(jnp.arange(3)))(inputs)
    moments = {kind: layer_moments(found.layers[1:]) for kind, found in rows.items()}
    return moments, np.asarray(every), np.asarray(probabilities)


def test_the_fisher_matrix_is_that_of_gradients_of_all_labels(case):
    moments, gradients, probabilities = case
    weighted = np.sqrt(probabilities)[..., None] * gradients
    flat = weighted.reshape(-1, gradients.shape[-1])
    np.testing.assert_allclose(moments["ggn"].fisher(), flat.T @ flat / N, rtol=0, atol=1e-14)
    assert moments["ggn"].sizes == (8, 9)


def test_blocks_of_the_approximation_are_kronecker_products(case):
    moments = case[0]["ggn"]
    found = np.asarray(moments.approximation())
    a, g = np.asarray(moments.inputs), np.asarray(moments.cotangents)
    first, second = (a[:, :4], g[..., :2]), (a[:, 4:], g[..., 2:])
    for (row, x), (column, y) in itertools.product([(0, first), (1, second)], repeat=2):
        ends = [slice(0, 8), slice(8, 17)]
        among_outputs = np.einsum("nck,ncl->kl", x[1], y[1]) / N
        expected = np.kron(among_outputs, x[0].T @ y[0] / N)
        np.testing.assert_allclose(found[ends[row], ends[column]], expected, rtol=0, atol=1e-15)


def partitions(items):
    """All partitions of a tuple into groups."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for size in range(len(rest) + 1):
        for others in itertools.combinations(rest, size):
            left = tuple(x for x in rest if x not in others)
            for more in partitions(left):
                yield [(first, *others), *more]


def cumulant(variables, weights):
    """The joint cumulant of variables with the probabilities `weights`, by its definition."""
    total = 0.0
    for parts in partitions(tuple(range(len(variables)))):
        moments = [np.sum(weights * np.prod([variables[i] for i in part], 0)) for part in parts]
        count = len(parts)
        total += (-1) ** (count - 1) * np.prod(np.arange(1, count)) * np.prod(moments)
    return total


def test_the_bound_is_made_of_cumulants_and_holds_for_every_entry(case):
    """Cumulants of the joint distribution of example and label, from all their moments."""
    moments, gradients, probabilities = case
    moments = moments["ggn"]
    weights = (probabilities / N).ravel()
    a = np.repeat(np.asarray(moments.inputs), 3, axis=0)
    biases = [p for p in range(17) if moments.input_of[p] in (3, 6)]  # their inputs are 1
    bias_of = {moments.output_of[p]: p for p in biases}
    flat = gradients.reshape(-1, 17)
    bound = np.asarray(moments.bound())
    for q, r in [(0, 0), (0, 5), (2, 11), (3, 7), (9, 13), (16, 1), (8, 15)]:
        x, y = a[:, moments.input_of[q]], a[:, moments.input_of[r]]
        u, v = flat[:, bias_of[moments.output_of[q]]], flat[:, bias_of[moments.output_of[r]]]
        expected = (
            abs(cumulant([x, y, u, v], weights))
            + abs(np.sum(weights * x) * cumulant([y, u, v], weights))
            + abs(np.sum(weights * y) * cumulant([x, u, v], weights))
        )
        assert bound[q, r] == pytest.approx(expected, rel=1e-10, abs=1e-15)
    error = np.abs(np.asarray(moments.fisher() - moments.approximation()))
    assert np.all(error <= bound + 1e-15)
    assert np.sum(error) > 0.1 * np.sum(bound)


def test_labels_of_the_data_break_the_bound(case):
    """The mean derivative then depends on the example, and more cumulants are left."""
    moments = case[0]["empirical-fisher"]
    error = np.abs(np.asarray(moments.fisher() - moments.approximation()))
    assert np.any(error > 1.1 * np.asarray(moments.bound()))


def test_means_of_blocks_and_what_lies_outside_of_a_band():
    matrix = np.array(
        [[1.0, -3.0, 0.5, 0.0], [5.0, 1.0, 0.5, 2.0], [1.0, 1.0, 4.0, -6.0], [4.0, -4.0, 7.0, 8.0]]
    )
    means = block_means(matrix, (2, 1, 1))
    np.testing.assert_allclose(means, [[2.5, 0.5, 1.0], [1.0, 4.0, 6.0], [4.0, 7.0, 8.0]])
    assert share_outside(means, 0) == pytest.approx(19.5 / 34)
    assert share_outside(means, 1) == pytest.approx(5 / 34)
    assert share_outside(means, 2) == 0


def test_pictures_are_shrunk_by_means_over_areas():
    picture = np.arange(36.0).reshape(1, 6, 6)
    by_hand = picture.reshape(1, 3, 2, 3, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(shrunk(picture, 3), by_hand)
    found = shrunk(picture, 4)
    assert found.mean() == pytest.approx(picture.mean())
    # The first pixel covers a whole one, half of two, and a quarter of one.
    assert found[0, 0, 0] == pytest.approx((0 + 0.5 * 1 + 0.5 * 6 + 0.25 * 7) / 2.25)
