"""Woodbury's identity layer by layer, against dense solves of every block, and its sketches."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import (
    JacobianRows,
    LayerRows,
    LayerwiseJacobian,
    LayerwiseWoodbury,
    LeastSquaresSystem,
    prepare,
    solve,
)
from pinn_ngd.linalg.column_sketch import SKETCHES, draw_sketch, hadamard
from pinn_ngd.linalg.layer_woodbury import truncated

DAMPING = 0.3
LEAVES = [jax.ShapeDtypeStruct(s, jnp.dtype("float64")) for s in ((3, 4), (3,), (5,))]
PLACES = [range(15), range(15, 20)]  # of the layer with its bias, and of the other leaf


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def rows(n=6, k=1, positions=1, seed=0):
    """A layer (3, 4) with a bias, and stored rows of another leaf."""
    layer = LayerRows(
        normal(n, positions, 4, seed=seed), normal(n, k, positions, 3, seed=seed + 1), 0, 1
    )
    return LayerwiseJacobian([layer], [normal(n * k, 5, seed=seed + 2)], [2], (n, k), LEAVES)


GRADIENT = [normal(*leaf.shape, seed=9) for leaf in LEAVES]


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


@eqx.filter_jit
def found(operator, solver, damping=DAMPING):
    system = LeastSquaresSystem(operator, gradient=GRADIENT, damping=damping)
    return solve(system, solver=solver)


def dense(operator, damping=DAMPING):
    """Every block of A^T A with its damping, inverted."""
    matrix, gradient = np.asarray(operator.as_matrix()), flat(GRADIENT)
    solved = np.zeros(20)
    for places in PLACES:
        block = matrix[:, places].T @ matrix[:, places] + damping * np.eye(len(places))
        solved[places] = np.linalg.solve(block, gradient[places])
    return solved


@pytest.mark.parametrize(("n", "k", "positions"), [(6, 1, 1), (4, 2, 1), (5, 1, 3), (40, 1, 1)])
def test_without_a_sketch_every_block_is_solved_exactly(n, k, positions):
    operator = rows(n, k, positions)
    for damping in (0.3, 1e-4):
        solution = found(operator, LayerwiseWoodbury(), damping)
        expected = dense(operator, damping)
        assert np.linalg.norm(flat(solution.value) - expected) < 1e-10 * np.linalg.norm(expected)
        assert solution.result == lx.RESULTS.successful
    implicit = LayerwiseWoodbury(implicit_above=1, rank=3)  # of full rank: nothing is left out
    np.testing.assert_allclose(flat(found(operator, implicit).value), dense(operator), rtol=1e-10)


def test_more_positions_than_outputs_are_truncated_to_what_counts():
    """Five positions of three outputs have rank three, for several directions and shards too."""
    operator = rows(n=4, k=2, positions=5)
    assert truncated(operator.layers[0], 3).inputs.shape == (8, 3, 4)
    implicit = LayerwiseWoodbury(implicit_above=1, rank=3)
    np.testing.assert_allclose(flat(found(operator, implicit).value), dense(operator), rtol=1e-9)
    plain, cut = (LayerwiseWoodbury(shards=2, **s) for s in ({}, {"implicit_above": 1, "rank": 3}))
    expected = flat(found(operator, plain).value)
    np.testing.assert_allclose(flat(found(operator, cut).value), expected, rtol=1e-9)
    short = LayerwiseWoodbury(implicit_above=1, rank=1)
    assert np.abs(flat(found(operator, short).value) - dense(operator)).max() > 1e-2


def test_means_do_not_depend_on_the_signs_of_singular_vectors():
    layer = LayerRows(normal(2, 5, 4), normal(2, 1, 5, 3, seed=1), 0, None)
    turned = LayerRows(-layer.inputs, -layer.cotangents, 0, None)  # the same rows
    for a, b in zip(jax.tree.leaves(truncated(layer, 2)), jax.tree.leaves(truncated(turned, 2)),
                    strict=True):  # fmt: skip
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_small_layer_needs_no_sketch():
    operator = rows(n=40)  # 15 parameters
    value = found(operator, LayerwiseWoodbury(columns=9)).value
    np.testing.assert_allclose(flat(value), dense(operator), rtol=1e-9)


@pytest.mark.slow
def test_single_precision_keeps_what_the_docstring_says():
    operator = rows(n=4)
    single = jax.tree.map(lambda x: x.astype(jnp.float32), operator)
    structure = [jax.ShapeDtypeStruct(leaf.shape, jnp.dtype("float32")) for leaf in LEAVES]
    single = LayerwiseJacobian(single.layers, single.rows, [2], (4, 1), structure)
    gradient = operator.transpose_mv(normal(4, 1, seed=5))  # in the span of the rows
    largest = np.linalg.eigvalsh(operator.kernel_matrix())[-1]
    for damping in (1.0, 1e-2):
        systems = [
            (one, jax.tree.map(lambda g, dtype=dtype: g.astype(dtype), gradient))
            for one, dtype in ((operator, jnp.float64), (single, jnp.float32))
        ]
        exact, rounded = (
            flat(LayerwiseWoodbury().compute_kept(
                LayerwiseWoodbury().refreshed(None, one), g, jnp.asarray(damping, g[0].dtype)
            )[0])
            for one, g in systems
        )  # fmt: skip
        error = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
        assert error < 10 * np.finfo(np.float32).eps * largest / damping


def test_kept_factors_answer_other_dampings_and_are_renewed_on_demand():
    solver, first, second = LayerwiseWoodbury(), rows(), rows(seed=20)
    system = LeastSquaresSystem(first, gradient=GRADIENT)
    kept = prepare(system, solver)
    for damping in (0.1, 2.0):
        np.testing.assert_allclose(flat(kept.solve(damping=damping).value), dense(first, damping))
    state = solver.refreshed(None, first)
    for renew, expected in ((False, first), (True, second)):
        after = solver.refreshed(state, second, renew=jnp.asarray(renew))
        value = solver.compute_kept(after, GRADIENT, jnp.asarray(DAMPING))[0]
        np.testing.assert_allclose(flat(value), dense(expected), rtol=1e-10)
        assert int(after.count) == renew


@pytest.mark.parametrize("name", SKETCHES)
def test_a_sketch_is_linear_keeps_rows_and_is_unbiased(name):
    shape, columns = (4, 5), 9
    layer = LayerRows(normal(3, 2, 5), normal(3, 1, 2, 4, seed=1), 0, None)
    x, y = normal(*shape, seed=2), normal(*shape, seed=3)

    def drawn(key):
        return draw_sketch(name, shape, columns, key, jnp.dtype("float64"))

    one = drawn(jax.random.key(0))
    assert one.apply(x).shape == (columns,)
    np.testing.assert_allclose(one.apply(2 * x - y), 2 * one.apply(x) - one.apply(y), atol=1e-12)
    whole = layer.columns()[0].reshape(3, *shape)
    np.testing.assert_allclose(one.apply_rows(layer), jax.vmap(one.apply)(whole), atol=1e-12)
    if name == "grid":
        np.testing.assert_allclose(
            one.layer(layer).columns()[0].reshape(3, -1), one.apply_rows(layer), atol=1e-12
        )

    @jax.jit
    def product(key):
        sketch = drawn(key)
        return sketch.apply(x) @ sketch.apply(y)

    products = jax.vmap(product)(jax.random.split(jax.random.key(1), 4000))
    spread = np.std(products) / np.sqrt(len(products))
    assert abs(np.mean(products) - np.sum(x * y)) < 4 * spread
    assert np.std(products) > 0.1  # it is a sketch


def test_the_walsh_hadamard_transform_is_that_of_sylvester():
    matrix = np.ones((1, 1))
    for _ in range(3):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    np.testing.assert_allclose(jax.vmap(hadamard)(jnp.eye(8)), matrix)


@pytest.mark.parametrize("name", SKETCHES)
def test_a_sketched_step_is_the_sketched_ridge_problem(name):
    """x = (g - U^T a) / damping, a = argmin |S (U^T a - g)|^2 + damping |a|^2."""
    operator, columns = rows(), 9
    solver = LayerwiseWoodbury(columns=columns, sketch=name)
    state = solver.refreshed(None, operator)
    (one,) = state.blocks[0]  # of the only shard
    matrix = np.asarray(operator.as_matrix())[:, :15]
    joined = np.concatenate([matrix[:, :12].reshape(-1, 3, 4), matrix[:, 12:, None]], axis=2)
    gradient = np.concatenate([GRADIENT[0], GRADIENT[1][:, None]], axis=1)
    short = np.asarray(jax.vmap(one.sketch.apply)(jnp.asarray(joined)))
    a = np.linalg.solve(
        short @ short.T + DAMPING * np.eye(6), short @ one.sketch.apply(jnp.asarray(gradient))
    )
    expected = (gradient - np.tensordot(a, joined, axes=1)) / DAMPING
    value = solver.compute_kept(state, GRADIENT, jnp.asarray(DAMPING))[0]
    np.testing.assert_allclose(np.column_stack([value[0], value[1]]), expected, rtol=1e-9)
    unsketched = dense(operator)[15:]  # fewer parameters than columns
    np.testing.assert_allclose(value[2], unsketched, rtol=1e-10)


@pytest.mark.parametrize("sketch", ["uniform", "grid"])
def test_the_scaling_of_the_authors_is_a_smaller_inner_damping(sketch):
    """(c K + d)^-1 c = (K + d / c)^-1, with c = o i / s: the outer 1 / damping stays."""
    operator = rows()
    settings = {"columns": 9, "sketch": sketch}
    theirs, ours = (LayerwiseWoodbury(scaling=s, **settings) for s in ("authors", "unbiased"))
    theirs, ours = (solver.refreshed(None, operator).blocks[0][0] for solver in (theirs, ours))
    factor = 15 / 9
    np.testing.assert_allclose(theirs.values, factor * ours.values, atol=1e-12)
    gradient = normal(3, 5, seed=4)
    solved = theirs.solve(gradient, jnp.asarray(DAMPING))
    inner = ours.solve(gradient, jnp.asarray(DAMPING / factor))
    combined = [gradient - DAMPING * solved, gradient - DAMPING / factor * inner]  # U^T a of both
    np.testing.assert_allclose(*combined, rtol=1e-10)


def test_means_of_products_are_products_of_means_for_one_example():
    one = rows(n=1)
    means = LayerwiseWoodbury(implicit_above=1, products="means")
    np.testing.assert_allclose(flat(found(one, means).value), dense(one), rtol=1e-10)
    several = rows(n=4)
    y = normal(4, seed=5)
    (block,) = means.refreshed(None, several).blocks[0]
    layer = several.layers[0]
    d, a = np.asarray(layer.cotangents[:, 0, 0]), np.asarray(layer.inputs[:, 0])
    a = np.column_stack([a, np.ones(4)])
    root = np.sqrt(np.abs(y))
    expected = np.outer(root @ d, (y / root.sum()) @ a)
    np.testing.assert_allclose(block._combined(y), expected, rtol=1e-12)


def test_shards_give_the_mean_of_their_own_inverses():
    operator = rows(n=6)
    solution = flat(found(operator, LayerwiseWoodbury(shards=2)).value)
    matrix, gradient = np.asarray(operator.as_matrix()), flat(GRADIENT)
    expected = np.zeros(20)
    for part in (matrix[:3], matrix[3:]):
        for places in PLACES:
            u = np.sqrt(2) * part[:, places]  # the mean over three examples, not six
            block = u.T @ u + DAMPING * np.eye(len(places))
            expected[places] += np.linalg.solve(block, gradient[places]) / 2
    np.testing.assert_allclose(solution, expected, rtol=1e-10)
    assert np.abs(solution - dense(operator)).max() > 1e-2
    twice = rows(n=3)  # every process has the same batch: the mean is the whole
    layer, (rest,) = twice.layers[0], twice.rows
    root = np.sqrt(0.5)
    inputs = jnp.tile(layer.inputs, (2, 1, 1))
    doubled = LayerRows(inputs, root * jnp.tile(layer.cotangents, (2, 1, 1, 1)), 0, 1)
    same = LayerwiseJacobian([doubled], [root * jnp.tile(rest, (2, 1))], [2], (6, 1), LEAVES)
    for shards in (1, 2):
        value = found(same, LayerwiseWoodbury(shards=shards)).value
        np.testing.assert_allclose(flat(value), dense(twice), rtol=1e-10)


def test_a_truncated_example_is_the_best_of_its_rank():
    layer = LayerRows(normal(2, 4, 4), normal(2, 1, 4, 3, seed=1), 0, None)
    for rank in (1, 2, 4):
        short = truncated(layer, rank)
        assert short.inputs.shape[1] == rank
        for i in range(2):
            w, s, v = np.linalg.svd(layer.cotangents[i, 0], full_matrices=False)
            best = (w[:, :rank] * s[:rank]) @ v[:rank]
            np.testing.assert_allclose(
                short.cotangents[i, 0].T @ short.inputs[i], best.T @ layer.inputs[i], atol=1e-12
            )


def test_bad_input_is_told_in_one_sentence():
    for settings, words in (
        ({"columns": 0}, "`columns` is 0"),
        ({"sketch": "sparse"}, "`sketch` is 'sparse'"),
        ({"scaling": "ours"}, "`scaling` is 'ours'"),
        ({"products": "sums"}, "`products` is 'sums'"),
    ):
        with pytest.raises(ValueError, match=words):
            LayerwiseWoodbury(**settings)
    with pytest.raises(ValueError, match="does not divide the 6 examples"):
        LayerwiseWoodbury(shards=4).refreshed(None, rows())
    state = LayerwiseWoodbury().refreshed(None, rows())
    with pytest.raises(ValueError, match="has rows of 5 examples, and those kept are of another"):
        LayerwiseWoodbury().refreshed(state, rows(n=5))
    with pytest.raises(ValueError, match=r"is 0\.0, by which Woodbury's identity divides"):
        LayerwiseWoodbury().compute_kept(state, GRADIENT, 0.0)
    with pytest.raises(ValueError, match=r"`columns` is 7, and a matrix \(2, 3\) has 6 entries"):
        draw_sketch("srht", (2, 3), 7, jax.random.key(0), jnp.dtype("float64"))
    plain = JacobianRows(normal(4, 20), LEAVES, jax.ShapeDtypeStruct((4,), jnp.dtype("float64")))
    with pytest.raises(TypeError, match="knows no inputs and cotangents"):
        LayerwiseWoodbury().refreshed(None, plain)


def test_a_damping_that_is_a_number_may_stand_in_a_compiled_function():
    operator, solver = rows(), LayerwiseWoodbury()

    @eqx.filter_jit
    def solved(operator):
        return solver.compute_kept(solver.refreshed(None, operator), GRADIENT, DAMPING)[0]

    np.testing.assert_allclose(flat(solved(operator)), dense(operator), rtol=1e-10)


def test_numbers_that_are_not_finite_are_reported():
    operator = rows()
    layer = operator.layers[0]
    broken = LayerwiseJacobian(
        [LayerRows(layer.inputs.at[0].set(jnp.nan), layer.cotangents, 0, 1)],
        operator.rows, [2], (6, 1), LEAVES,
    )  # fmt: skip
    solution = found(broken, LayerwiseWoodbury())
    assert solution.result == lx.RESULTS.nonfinite_input
