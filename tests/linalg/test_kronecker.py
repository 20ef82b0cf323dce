"""Kronecker factors, their solvers and K-FAC of a system, against dense matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import (
    BlockDiagonal,
    Blockwise,
    EigenKronecker,
    JacobianRows,
    Kronecker,
    KroneckerFactored,
    LayerRows,
    LayerwiseJacobian,
    LeastSquaresSystem,
    kronecker_blocks,
    prepare,
    solve,
)

LEAVES = [jax.ShapeDtypeStruct(s, jnp.dtype("float64")) for s in ((3, 4), (3,), (5,))]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def semidefinite(n, seed):
    root = normal(n, n + 2, seed=seed)
    return root @ root.T


def rows(n=6, k=2, s=1, *, bias=True, rest=True):
    """A dense or convolution layer (3, 4) with a bias, and stored rows of another leaf."""
    layer = LayerRows(normal(n, s, 4), normal(n, k, s, 3, seed=1), 0, 1 if bias else None)
    others = [normal(n * k, 5, seed=2)] if rest else []
    leaves = [LEAVES[0], *([LEAVES[1]] if bias else []), *([LEAVES[2]] if rest else [])]
    place = [len(leaves) - 1] if rest else []
    return LayerwiseJacobian([layer], others, place, (n, k), leaves)


def dense_block(operator):
    """The exact block of the layer, in the order of its joined matrix (o, i + 1)."""
    matrix = np.asarray(operator.as_matrix())
    weight = matrix[:, :12].reshape(-1, 3, 4)
    joined = np.concatenate([weight, matrix[:, 12:15].reshape(-1, 3, 1)], axis=2)
    flat = joined.reshape(len(matrix), -1)
    return flat.T @ flat


@pytest.fixture(scope="module")
def blocks():
    diagonal = lx.DiagonalLinearOperator(jnp.arange(1.0, 6.0))
    kronecker = Kronecker(semidefinite(3, 3), semidefinite(5, 4))
    return BlockDiagonal([kronecker, diagonal], [(0, 1), (2,)], LEAVES)


@eqx.filter_jit
def linear_solve(operator, vector, solver, damping):
    return lx.linear_solve(operator, vector, solver, options={"damping": damping}, throw=False)


@eqx.filter_jit
def refreshed(solver, state, operator, keep=0.0, renew=True):
    return solver.refreshed(state, operator, keep=keep, renew=renew)


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


def test_exact_damping_is_the_dense_solve(blocks):
    vector = [normal(*leaf.shape, seed=5) for leaf in LEAVES]
    matrix = np.asarray(blocks.as_matrix())
    for damping in (0.0, 1e-6, 0.3):
        found = linear_solve(blocks, vector, Blockwise("exact"), jnp.asarray(damping))
        expected = np.linalg.solve(matrix + damping * np.eye(len(matrix)), flat(vector))
        np.testing.assert_allclose(flat(found.value), expected, rtol=1e-9, atol=1e-11)
        assert found.result == lx.RESULTS.successful
        assert found.stats["clipped"] == 0


def test_factored_damping_is_two_small_solves_and_balanced():
    g, a, d = semidefinite(3, 3), semidefinite(4, 4), normal(3, 4, seed=5)
    pi = np.sqrt(np.trace(a) / 4 / (np.trace(g) / 3))
    root = np.sqrt(0.2)
    left = np.linalg.inv(g + root / pi * np.eye(3))
    right = np.linalg.inv(a + root * pi * np.eye(4))
    for scale in (1.0, 1e6):  # a constant that wanders from one factor to the other changes nothing
        operator = Kronecker(g * scale, a / scale)
        found = linear_solve(operator, d, Blockwise(), jnp.asarray(0.2)).value
        np.testing.assert_allclose(found, left @ d @ right, rtol=1e-10)


def test_a_kronecker_product_in_its_eigenbasis_is_the_same_operator():
    g, a, d = semidefinite(3, 3), semidefinite(4, 4), normal(3, 4, seed=5)
    (sg, u), (sa, v) = np.linalg.eigh(g), np.linalg.eigh(a)
    eigen = EigenKronecker(jnp.asarray(u), jnp.asarray(v), jnp.asarray(np.outer(sg, sa)))
    np.testing.assert_allclose(eigen.as_matrix(), Kronecker(g, a).as_matrix(), atol=1e-12)
    damping = jnp.asarray(0.1)
    first = linear_solve(eigen, d, Blockwise(), damping).value
    other = linear_solve(Kronecker(g, a), d, Blockwise("exact"), damping).value
    np.testing.assert_allclose(first, other, rtol=1e-10)


def test_a_factor_that_is_not_semidefinite_is_clipped_and_reported():
    g, a = jnp.asarray(np.diag([2.0, -1.0])), jnp.asarray(np.eye(3))
    one, zero = jnp.asarray(np.ones((2, 3))), jnp.asarray(0.0)
    solution = linear_solve(Kronecker(g, a), one, Blockwise("exact"), zero)
    assert solution.stats["clipped"] == 1
    np.testing.assert_allclose(solution.value, [[0.5] * 3, [0.0] * 3])  # pseudo-inverse
    broken = Kronecker(jnp.asarray(np.diag([np.nan, 1.0])), a)
    found = linear_solve(broken, one, Blockwise("exact"), zero)
    assert found.result == lx.RESULTS.nonfinite_input


@pytest.mark.parametrize("damping", ["exact", "factored"])
def test_blocks_in_every_circumstance(damping):
    """As tests/linalg/test_conformance.py asks it of solvers of general operators."""
    g, a, d = semidefinite(2, 3), semidefinite(3, 4), jnp.asarray(normal(2, 3, seed=5))

    @jax.jit
    def run(g, a, d):
        found = linear_solve(Kronecker(g, a), d, Blockwise(damping), jnp.asarray(0.3, d.dtype))
        return found.value, found.result == lx.RESULTS.successful

    value, succeeded = run(g, a, d)
    assert succeeded
    single, fine = run(*(x.astype(jnp.float32) for x in (g, a, d)))
    assert fine
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, value, rtol=1e-3, atol=1e-5)
    for shape in ((0, 3), (2, 0)):
        empty, fine = run(g[: shape[0], : shape[0]], a[: shape[1], : shape[1]], jnp.zeros(shape))
        assert fine
        assert empty.shape == shape
    many = jnp.stack([g, g.at[0, 0].set(jnp.nan), g])
    values, fine = jax.vmap(run, (0, None, 0))(many, a, jnp.stack([d, d, d * jnp.nan]))
    assert fine.tolist() == [True, False, False]
    np.testing.assert_allclose(values[0], value, rtol=1e-9)
    pull = jax.vjp(lambda d: run(g, a, d)[0], d)[1]  # symmetric: its own transpose
    np.testing.assert_allclose(pull(d)[0], value, rtol=1e-9)
    pushed = jax.jvp(lambda d: run(g, a, d)[0], (d,), (d,))[1]
    np.testing.assert_allclose(pushed, value, rtol=1e-9)


def test_complex_blocks_are_refused():
    operator = lx.DiagonalLinearOperator(jnp.asarray([1.0 + 0.0j, 2.0]))
    with pytest.raises(ValueError, match="`operator` is complex, but the eigenvectors"):
        Blockwise().init(operator, {})


@pytest.mark.parametrize("sharing", ["expand", "reduce"])
def test_one_example_has_the_dense_block(sharing):
    operator = rows(n=1, k=3)
    block = kronecker_blocks(operator, sharing).blocks[0]
    np.testing.assert_allclose(block.as_matrix(), dense_block(operator), rtol=1e-12, atol=1e-12)


def test_leaves_without_a_layer_have_the_diagonal_of_their_block():
    operator = rows()
    found = kronecker_blocks(operator).blocks[1]
    matrix = np.asarray(operator.as_matrix())[:, 15:]
    np.testing.assert_allclose(lx.diagonal(found), np.sum(matrix**2, axis=0), rtol=1e-12)
    assert lx.is_diagonal(found)
    assert lx.is_positive_semidefinite(kronecker_blocks(operator))


@pytest.mark.parametrize("positions", [1, 4])
def test_ekfac_is_never_further_from_the_block_than_kfac(positions):
    for n, k in ((1, 1), (30, 2)):
        operator = rows(n, k, positions)
        factor = refreshed(KroneckerFactored(corrected=True), None, operator).factors.factors[0]
        block = dense_block(operator)
        basis = np.kron(factor.left, factor.right)
        values = np.asarray(factor.values).reshape(-1)
        error = np.linalg.norm(block - (basis * values) @ basis.T)
        for sharing in ("expand", "reduce"):
            if positions == 1 or sharing == "expand":
                kfac = kronecker_blocks(operator, sharing).blocks[0].as_matrix()
                assert error <= np.linalg.norm(block - kfac) + 1e-14 * np.linalg.norm(block)
        # The values are the diagonal of the block in this basis.
        np.testing.assert_allclose(values, np.diag(basis.T @ block @ basis), atol=1e-11)


@pytest.mark.parametrize("corrected", [False, True])
def test_prepared_systems_answer_other_dampings_and_targets(corrected):
    operator, solver = rows(), KroneckerFactored("exact", corrected=corrected)
    target = normal(6, 2, seed=7)
    system = LeastSquaresSystem(operator, target, damping=0.1)
    prepared = eqx.filter_jit(prepare)(system, solver)
    again = eqx.filter_jit(lambda p, **given: p.solve(**given).value)
    factor = prepared.state.factors.factors[0]
    dense = kronecker_blocks(operator)
    if corrected:
        eigen = EigenKronecker(factor.left, factor.right, factor.values)
        dense = BlockDiagonal([eigen, dense.blocks[1]], [(0, 1), (2,)], LEAVES)
    matrix = np.asarray(dense.as_matrix())
    gradient = flat(operator.T.mv(target))
    expected = np.linalg.solve(matrix + 2 * np.eye(20), gradient)
    np.testing.assert_allclose(flat(again(prepared, damping=2.0)), expected, rtol=1e-10)
    other = [normal(*leaf.shape, seed=9) for leaf in LEAVES]
    expected = np.linalg.solve(matrix + 0.1 * np.eye(20), flat(other))
    np.testing.assert_allclose(flat(again(prepared, gradient=other)), expected, rtol=1e-9)
    plain = linear_solve(operator, target, solver, jnp.asarray(2.0)).value
    np.testing.assert_allclose(flat(plain), flat(again(prepared, damping=2.0)), rtol=1e-12)


def test_factors_are_averaged_and_decomposed_only_where_they_are_renewed():
    first, second = rows(), rows(8)
    solver = KroneckerFactored()
    state = refreshed(solver, None, first)
    kept = refreshed(solver, state, second, 0.75, jnp.asarray(False))
    before, after = (kronecker_blocks(x).blocks[0].left for x in (first, second))
    np.testing.assert_allclose(
        kept.curvature.blocks[0].left, 0.75 * before + 0.25 * after, rtol=1e-12
    )
    assert eqx.tree_equal(kept.factors, state.factors)
    renewed = refreshed(solver, state, second, 0.75, jnp.asarray(True))
    assert not eqx.tree_equal(renewed.factors, state.factors)


def test_a_system_without_layers_and_other_bad_input():
    dense = JacobianRows(normal(2, 3), normal(3), normal(2))
    with pytest.raises(TypeError, match="knows no inputs and cotangents of layers"):
        solve(LeastSquaresSystem(dense, normal(2)), KroneckerFactored())
    with pytest.raises(TypeError, match=r"take Cholesky\(\) for a dense one"):
        Blockwise().init(dense, {})
    with pytest.raises(ValueError, match="`damping` is 'none'; it must be one of factored, exact"):
        Blockwise("none")
    with pytest.raises(ValueError, match="`sharing` is 'sum'"):
        kronecker_blocks(rows(), "sum")
    with pytest.raises(ValueError, match="a Kronecker factor is a square matrix"):
        Kronecker(normal(2, 3), normal(2, 2))
    square = lx.DiagonalLinearOperator(normal(15))
    with pytest.raises(ValueError, match="every leaf needs exactly one block"):
        BlockDiagonal([square], [(0, 1)], LEAVES)
    with pytest.raises(ValueError, match=r"the leaves \(0,\) have 12 numbers"):
        BlockDiagonal([square, square], [(0,), (1, 2)], LEAVES)
    with pytest.raises(NotImplementedError, match="cannot be differentiated in its operator"):
        KroneckerFactored().transpose(None, {})
