"""Statistics of different ages: packing, clocks, precision, counts of operations and numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import (
    Blockwise,
    LayerRows,
    LayerwiseJacobian,
    StaleKronecker,
    Staleness,
    kronecker_blocks,
    pack,
    unpack,
    work,
)
from pinn_ngd.linalg.packed import Statistic, packed_size
from pinn_ngd.linalg.spectra import rounds

LEAVES = [jax.ShapeDtypeStruct(s, jnp.dtype("float64")) for s in ((3, 4), (3,), (2,), (2,), (5,))]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def rows(n=6, scale=1.0):
    """A dense layer (3, 4) with a bias, a norm of two units, and another leaf."""
    layer = LayerRows(scale * normal(n, 1, 4), normal(n, 1, 1, 3, seed=1), 0, 1)
    others = [normal(n, 2, seed=2), normal(n, 2, seed=3), normal(n, 5, seed=4)]
    return LayerwiseJacobian([layer], others, [2, 3, 4], (n, 1), LEAVES, units=[(2, 3)])


@eqx.filter_jit
def refreshed(solver, state, operator):
    return solver.refreshed(state, operator)


@pytest.mark.parametrize("n", [1, 2, 5, 64])
def test_a_packed_matrix_has_exactly_half_the_entries_and_the_diagonal(n):
    root = np.random.default_rng(n).normal(size=(3, n, n)).astype(np.float32)
    matrix = root + root.swapaxes(1, 2)
    packed = pack(jnp.asarray(matrix))
    assert packed.nbytes == 3 * 4 * n * (n + 1) // 2
    assert packed_size(n) == n * (n + 1) // 2
    np.testing.assert_array_equal(unpack(packed, n), matrix)
    statistic = Statistic((3, n, n))
    assert statistic.pack(jnp.asarray(matrix)).size == statistic.numbers == packed[0].size * 3
    np.testing.assert_array_equal(statistic.unpack(packed.reshape(-1)), matrix)


def test_intervals_of_a_constant_statistic_grow_like_fibonacci_and_a_jump_halves_them():
    """The inputs of the layer are multiplied by 3 from step 13 on, its cotangents stay."""
    solver = StaleKronecker(staleness=Staleness(0.1, longest=1000))
    state, seen = None, ([], [])
    for number in range(30):
        before = [0, 0] if state is None else state.measured.tolist()[:2]
        state = refreshed(solver, state, rows(scale=1.0 if number < 13 else 3.0))
        for statistic, steps in enumerate(seen):
            if int(state.measured[statistic]) > before[statistic]:
                steps.append((number, int(state.intervals[0, statistic])))
    constant = [(0, 1), (1, 2), (3, 3), (6, 5), (11, 8), (19, 13)]
    assert seen[0] == constant
    # Halved; kept, since the one before the last was another; then grown again.
    assert seen[1] == [*constant[:-1], (19, 4), (23, 4), (27, 8)]


def test_the_rule_for_intervals():
    rule = Staleness(longest=10)

    def following(last, before, close, closer):
        given = jnp.int32(last), jnp.int32(before), jnp.asarray(close), jnp.asarray(closer)
        return int(rule.following(*given))

    assert [following(8, 5, *two) for two in ((False, True), (False, False))] == [4, 4]
    assert following(1, 1, False, False) == 1
    assert following(8, 5, True, False) == 8
    assert following(3, 2, True, True) == 5
    assert following(8, 5, True, True) == 10  # the longest
    x = jnp.asarray([3.0, 4.0])
    assert rule.is_close(x + jnp.asarray([0.29, 0.4]), x)
    assert not rule.is_close(x + jnp.asarray([0.31, 0.4]), x)
    assert rule.is_close(0 * x, 0 * x)  # a layer that is dead does not change
    assert not rule.is_close(x * jnp.nan, x)
    for settings, words in (({"shrink": 0}, "`shrink` is 0"), ({"alpha": -1.0}, "`alpha` is -1")):
        with pytest.raises(ValueError, match=words):
            Staleness(**settings)


@pytest.mark.slow
def test_fresh_statistics_solve_as_kronecker_factors_do():
    operator = rows()
    gradient = [normal(*leaf.shape, seed=9) for leaf in LEAVES]
    for damping in ("factored", "exact"):
        solver = StaleKronecker(damping, accumulation="parameters")
        state = refreshed(solver, None, operator)
        found = solver.compute_kept(state, gradient, 0.1)[0]
        blocks = Blockwise(damping).init(kronecker_blocks(operator), {})
        expected = Blockwise(damping).solve_factors(blocks, gradient, 0.1)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_statistics_that_are_not_due_stay_and_cost_nothing():
    solver = StaleKronecker()
    first = refreshed(solver, None, rows())
    later = eqx.tree_at(lambda s: s.due, first, jnp.asarray([1, 9, 1, 9], jnp.int32))
    after = refreshed(solver, later, rows(8, scale=2.0))
    changed = [not np.array_equal(x, y) for x, y in zip(after.last, first.last, strict=True)]
    assert changed == [True, False, True, False]  # G of the layer, A, the units, the diagonal
    assert eqx.tree_equal(after.spectra[1], first.spectra[1])
    assert after.measured.tolist() == [2, 1, 2, 1]
    # Examples times 2 n^2, 9 n^3 for matrices (3, 3), (5, 5) and two (2, 2); a diagonal has none.
    done = [work(state, [6, 6, 6, 6]) for state in (first, after)]
    each = [2 * 6 * 9 + 9 * 27, 2 * 6 * 25 + 9 * 125, 2 * 6 * 8 + 9 * 16, 2 * 6 * 5]
    assert done[0].operations == sum(each)
    assert done[1].operations - done[0].operations == each[0] + each[2]
    assert done[0].reduced == 6 + 15 + 2 * 3 + 5
    assert done[0].gathered == done[0].reduced + (3 + 9) + (5 + 25) + 2 * (2 + 4) + 5
    assert done[1].reduced - done[0].reduced == 6 + 2 * 3


def test_the_count_of_operations_is_that_of_the_compiled_program():
    """Of the products: XLA counts 2 m n^2 for a matrix product; a few additions come with them."""
    big = LayerRows(normal(64, 1, 31), normal(64, 1, 1, 16, seed=1), 0, 1)
    leaves = [jax.ShapeDtypeStruct(s, jnp.dtype("float64")) for s in ((16, 31), (16,))]
    operator = LayerwiseJacobian([big], [], [], (64, 1), leaves)
    solver = StaleKronecker()
    wanted = jnp.asarray([True, True])
    lowered = jax.jit(lambda o: kronecker_blocks(o)).lower(operator)
    counted = lowered.compile().cost_analysis()["flops"]
    state = solver.begin(operator)
    one = eqx.tree_at(lambda s: s.measured, state, jnp.asarray([1, 1], jnp.int32))
    products = work(one, [64, 64]).operations - 9 * (16**3 + 32**3)
    assert products == 2 * 64 * (16**2 + 32**2)
    assert products <= counted <= 1.1 * products
    assert [x.size for x in solver.measure(operator, wanted)] == [16 * 17 / 2, 32 * 33 / 2]


def test_precision_of_the_sums():
    """bfloat16 rounds inputs and result to 8 digits: |error| <= 3.1 2^-8 sqrt(A_ii A_jj)."""
    operator = rows(50)
    exact = kronecker_blocks(operator).blocks[0].right
    bound = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    for accumulation, unit in (("bfloat16", 2.0**-8), ("float32", 2.0**-20)):
        solver = StaleKronecker(accumulation=accumulation)
        state = refreshed(solver, None, operator)
        assert state.last[1].dtype == jnp.dtype(accumulation)
        found = np.asarray(unpack(state.last[1].astype(jnp.float64), 5))
        assert np.all(np.abs(found - exact) <= 3.1 * unit * bound)
        assert state.spectra[1].values.dtype == jnp.float64  # decomposed in higher precision
        rebuilt = state.spectra[1].vectors * state.spectra[1].values @ state.spectra[1].vectors.T
        np.testing.assert_allclose(rebuilt, found, atol=1e-13)
    assert np.abs(found - exact).max() > 0  # float32 is not float64


def test_devices_take_statistics_of_one_size_in_each_round():
    shapes = [(3, 3), (9, 9), (4,), (8, 8), (5, 2, 2)]
    order = rounds([Statistic(s) for s in shapes], 2)
    assert order == [[1, 3], [4, 0], [2]]
    assert rounds([Statistic(s) for s in shapes], 1) == [[1], [3], [4], [0], [2]]


def test_bad_input():
    with pytest.raises(ValueError, match="`accumulation` is 'float16'; it must be one of"):
        StaleKronecker(accumulation="float16")
    with pytest.raises(ValueError, match="has 4 entries, and a symmetric matrix 2 x 2 has 3"):
        unpack(jnp.ones(4), 2)
    wrong = eqx.tree_at(lambda r: r.rows[2], rows(), jnp.full((6, 5), jnp.nan))
    state = refreshed(StaleKronecker(), None, wrong)
    gradient = [jnp.ones(leaf.shape) for leaf in LEAVES]
    assert StaleKronecker().compute_kept(state, gradient, 0.1)[1] == lx.RESULTS.nonfinite_input
