"""Complex operators: adjoints instead of transposes, everywhere."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import (
    CG,
    LSMR,
    QR,
    SVD,
    Cholesky,
    ChunkedJacobian,
    Fallback,
    JacobianRows,
    LayerRows,
    LayerwiseJacobian,
    LeastSquaresSystem,
    Normal,
    ProductOperator,
    Spectral,
    StackedOperator,
    WeightedJacobian,
    damped_dual,
    damped_primal,
    dual_gram,
    get_solver,
    gram,
    kernel_matrix,
    prepare,
    sketch,
    solve,
    solver_names,
)
from pinn_ngd.linalg.operators import adjoint
from pinn_ngd.spu import SPU

NAMES = [name for name in solver_names() if name != "spu"]
DAMPING = 0.1
TIGHT = {"rtol": 1e-12, "atol": 1e-12, "max_steps": 500}


def _random(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def _damped(matrix, target, damping=DAMPING):
    square = matrix.conj().T @ matrix + damping * np.eye(matrix.shape[1])
    return np.linalg.solve(square, matrix.conj().T @ target)


@eqx.filter_jit
def _run(operator, solver, form="auto", **right):
    return solve(LeastSquaresSystem(operator, **right, damping=DAMPING), solver, form=form)


@pytest.mark.parametrize("shape", [(6, 3), (3, 6)])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_damped_least_squares(name, shape, dense):
    matrix, target = _random(*shape), _random(shape[0], seed=1)
    operator, expected = dense(jnp.asarray(matrix)), _damped(matrix, target)
    gradient = jnp.asarray(matrix.conj().T @ target)
    for form in ("primal", "dual"):
        for right in ({"target": jnp.asarray(target)}, {"gradient": gradient}):
            found = _run(operator, get_solver(name), form, **right)
            assert found.result == lx.RESULTS.successful
            np.testing.assert_allclose(found.value, expected, rtol=1e-8)


@pytest.mark.parametrize("shape", [(6, 3), (3, 6)])
@pytest.mark.parametrize(
    "solver",
    [
        Spectral("qr"),
        Spectral("gram"),
        QR(),
        SVD(),
        Normal(Cholesky()),
        Normal(CG(**TIGHT)),
        LSMR(**TIGHT),
        Fallback(QR(), SVD()),
    ],
    ids=lambda s: type(getattr(s, "inner_solver", s)).__name__,
)
@pytest.mark.slow
def test_plain_lineax_and_derivatives(solver, shape, dense):
    matrix, target = _random(*shape), jnp.asarray(_random(shape[0], seed=1))
    change = jnp.asarray(_random(*shape, seed=2))

    @jax.jit
    def run(t, b):
        operator = dense(jnp.asarray(matrix) + t.astype(jnp.complex128) * change)
        return lx.linear_solve(operator, b, solver).value

    inverse = np.linalg.pinv(matrix)
    zero = jnp.zeros(())
    np.testing.assert_allclose(run(zero, target), inverse @ target, rtol=1e-8)
    _, pull = jax.vjp(lambda b: run(zero, b), target)
    unit = jnp.zeros(shape[1], jnp.complex128).at[0].set(1j)
    np.testing.assert_allclose(pull(unit)[0], 1j * inverse[0], rtol=1e-7, atol=1e-9)
    _, slope = jax.jvp(lambda t: run(t, target), (zero,), (jnp.ones(()),))
    step = 1e-6
    ends = [np.linalg.pinv(matrix + t * change) @ target for t in (step, -step)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-7)


def test_one_factor_answers_every_damping(dense):
    matrix, target = _random(5, 3), _random(5, seed=1)
    kept = prepare(LeastSquaresSystem(dense(jnp.asarray(matrix)), jnp.asarray(target)))
    for damping in (0.0, 1e-3, 10.0):
        expected = _damped(matrix, target, damping)
        np.testing.assert_allclose(kept.solve(damping=damping).value, expected, rtol=1e-10)


def _operators():
    struct = jax.ShapeDtypeStruct((3,), jnp.complex128)
    matrix = jnp.asarray(_random(4, 3))
    rows = JacobianRows(matrix, struct, jax.ShapeDtypeStruct((4,), jnp.complex128))
    product = ProductOperator(lambda v: matrix @ v, lambda w: w @ matrix, struct)
    points = jnp.asarray(0.3 * _random(5, 3, seed=1))
    params = jnp.asarray(_random(3, seed=2))
    chunked = ChunkedJacobian(lambda q, x: jnp.sin(x @ q), params, points, 2)
    layer = LayerRows(jnp.asarray(_random(2, 1, 2)), jnp.asarray(_random(2, 2, 1, 3)), 0, 1)
    into = [jax.ShapeDtypeStruct(s, jnp.complex128) for s in ((3, 2), (3,))]
    layers = LayerwiseJacobian([layer], [], [], (2, 2), into)
    weighted = WeightedJacobian(layers, jnp.asarray(_random(2, 2, 3, seed=3)))
    stack = StackedOperator([rows, chunked])
    return [rows, product, chunked, layers, weighted, stack, damped_primal(stack, 0.3),
            damped_dual(rows, 0.3), gram(chunked, 0.3), dual_gram(weighted, 0.3)]  # fmt: skip


def _flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


def _vector(structure, seed):
    return jax.tree.map(lambda x: jnp.asarray(_random(*x.shape, seed=seed)), structure)


@pytest.mark.parametrize("index", range(10))
def test_operators(index):
    operator = _operators()[index]
    x, y = _vector(operator.in_structure(), 5), _vector(operator.out_structure(), 6)

    @eqx.filter_jit
    def parts(op):
        forms = op, op.T, lx.conj(op), adjoint(op), gram(op), dual_gram(op), gram(op).T
        products = op.mv(x), op.T.mv(y), lx.conj(op).mv(x), adjoint(op).mv(y), gram(op).mv(x)
        linear = lx.conj(lx.linearise(op)), lx.conj(lx.materialise(op))
        return [f.as_matrix() for f in forms + linear], products, kernel_matrix(op)

    matrices, products, small = parts(operator)
    a = np.asarray(matrices[0])
    h = a.conj().T
    expected = [a, a.T, a.conj(), h, h @ a, a @ h, (h @ a).T, a.conj(), a.conj()]
    for found, wanted in zip(matrices, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    x, y = _flat(x), _flat(y)
    for found, wanted in zip(
        products, (a @ x, a.T @ y, a.conj() @ x, h @ y, h @ a @ x), strict=True
    ):
        np.testing.assert_allclose(_flat(found), wanted, atol=1e-11)
    np.testing.assert_allclose(small, a @ h, atol=1e-11)


def test_a_layerwise_kernel_by_either_way():
    inputs, cotangents = jnp.asarray(_random(2, 3, 2)), jnp.asarray(_random(2, 2, 3, 3, seed=1))
    layer = LayerRows(inputs, cotangents, 0, 1)
    rows = np.concatenate(layer.columns(), axis=1)
    np.testing.assert_allclose(layer.kernel_matrix(), rows @ rows.conj().T, atol=1e-12)
    object.__setattr__(layer, "_rows_are_cheaper", lambda: False)
    np.testing.assert_allclose(layer.kernel_matrix(), rows @ rows.conj().T, atol=1e-12)


def test_a_complex_semidefinite_operator_is_not_symmetric():
    operator = gram(_operators()[0], 0.1)
    assert lx.is_positive_semidefinite(operator)
    assert not lx.is_symmetric(operator)


def test_a_sketch_is_unbiased_and_keeps_the_gradient(dense, key):
    matrix, target = _random(4, 3), _random(4, seed=1)
    system = LeastSquaresSystem(dense(jnp.asarray(matrix)), jnp.asarray(target))
    small = sketch(system, 20_000, key)
    rows = np.asarray(small.operator.as_matrix())
    np.testing.assert_allclose(small.gradient, matrix.conj().T @ target, rtol=1e-12)
    expected = matrix.conj().T @ matrix
    assert np.linalg.norm(rows.conj().T @ rows - expected) < 0.05 * np.linalg.norm(expected)


def test_what_is_refused(dense):
    operator = dense(jnp.asarray(_random(4, 3)))
    system = LeastSquaresSystem(operator, jnp.asarray(_random(4)), damping=0.1)
    for simulation in ("exact", "lanczos", "euler-maruyama"):
        with pytest.raises(ValueError, match="`operator` is complex, but voltages are real"):
            solve(system, SPU(time=1.0, simulation=simulation))
    real = jax.ShapeDtypeStruct((3,), jnp.float64)
    with pytest.raises(ValueError, match="`operator` mixes real and complex"):
        JacobianRows(operator.matrix, real, operator.out_structure())
    mixed = ProductOperator(lambda v: v.astype(jnp.complex128), lambda w: w.real, real)
    with pytest.raises(ValueError, match="`operator` mixes real and complex"):
        LeastSquaresSystem(mixed, jnp.asarray(_random(3)))
