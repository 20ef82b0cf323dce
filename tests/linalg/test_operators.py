import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import pinn_ngd.linalg
from pinn_ngd.linalg import (
    BlockDiagonal,
    ChunkedJacobian,
    EigenKronecker,
    JacobianRows,
    Kronecker,
    KroneckerSum,
    Stacked,
    StackedOperator,
    UnitWise,
    damped_dual,
    damped_primal,
    dual_gram,
    gram,
    register_operator,
)
from pinn_ngd.linalg.operators import adjoint_matvec

PREDICATES = [
    lx.is_symmetric,
    lx.is_diagonal,
    lx.is_tridiagonal,
    lx.has_unit_diagonal,
    lx.is_lower_triangular,
    lx.is_upper_triangular,
    lx.is_positive_semidefinite,
    lx.is_negative_semidefinite,
]


@pytest.fixture(scope="module")
def params():
    mlp = eqx.nn.MLP(2, "scalar", 3, 1, key=jax.random.key(1))
    return eqx.filter(mlp, eqx.is_inexact_array)


@pytest.fixture(scope="module")
def rows(params):
    """Rows from the parameters of an MLP, with its None leaves, to two blocks of residuals."""
    p = ravel_pytree(params)[0].size
    blocks = {"boundary": jnp.zeros(2), "interior": jnp.zeros((3, 2))}
    matrix = jnp.asarray(np.random.default_rng(2).normal(size=(8, p)))
    return JacobianRows(matrix, jax.eval_shape(lambda: params), jax.eval_shape(lambda: blocks))


def _all(rows, params):
    points = jnp.linspace(0.0, 1.0, 10).reshape(5, 2)

    def fn(q, x):
        return x @ jax.tree.leaves(q)[0].T

    chunked = ChunkedJacobian(fn, params, points, 2)
    return [
        rows,
        chunked,
        chunked.T,
        StackedOperator([rows, chunked]),
        damped_primal(rows, 0.3),
        damped_dual(rows, 0.3),
        gram(rows, 0.3),
        dual_gram(chunked, 0.3),
        *_products_of_kronecker(),
    ]


def _products_of_kronecker():
    rng = np.random.default_rng(8)
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (2, 3))
    kronecker = Kronecker(jnp.asarray(left), jnp.asarray(right), frozenset())  # not symmetric
    values = jnp.asarray(rng.uniform(size=(2, 3)))
    eigen = EigenKronecker(jnp.asarray(left), jnp.asarray(right), values)
    diagonal = lx.DiagonalLinearOperator(jnp.arange(1.0, 5.0))
    leaves = {
        "b": jnp.zeros(2),
        "scale": jnp.zeros(4),
        "v": jnp.zeros((2, 3)),
        "w": jnp.zeros((2, 1, 2)),
    }
    blocks = BlockDiagonal([kronecker, diagonal, eigen], [(3, 0), (1,), (2,)], leaves)
    root = jnp.asarray(rng.normal(size=(3, 3)))
    square = Kronecker(root @ root.T, root.T @ root)
    with_diagonal = Kronecker(jnp.arange(1.0, 4.0), jnp.asarray(right))
    without_left = EigenKronecker(None, jnp.asarray(right), values)
    units = UnitWise(jnp.asarray(rng.normal(size=(2, 2, 2))), frozenset())
    pair = jax.vmap(lambda x: Kronecker(x, x, frozenset()))(jnp.asarray(rng.normal(size=(2, 2, 2))))
    many = [kronecker, eigen, blocks, with_diagonal, without_left, units, Stacked(pair)]
    return [*many, KroneckerSum([square, square])]


def _random(structure, seed):
    # Not jax.random: every shape would be compiled.
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), structure)


def _flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


@eqx.filter_jit
def _products(operators, pairs):
    """All in one compiled program."""

    def products(op, pair):
        transposes = op.T.as_matrix(), op.T.T.as_matrix()
        return op.as_matrix(), op.mv(pair[0]), op.transpose().mv(pair[1]), *transposes

    return [products(op, pair) for op, pair in zip(operators, pairs, strict=True)]


@eqx.filter_jit
def _dispatched(operators):
    def dispatched(op):
        transforms = lx.linearise, lx.materialise, lx.conj
        matrices = [transform(op).as_matrix() for transform in transforms]
        return op.as_matrix(), matrices, lx.diagonal(op), lx.tridiagonal(op)

    return [dispatched(op) for op in operators]


def test_products_matrices_and_transposes_agree(rows, params):
    operators = _all(rows, params)
    pairs = [(_random(op.in_structure(), 3), _random(op.out_structure(), 4)) for op in operators]
    results = _products(operators, pairs)
    for operator, (x, y), result in zip(operators, pairs, results, strict=True):
        matrix, image, preimage, *transposes = result
        assert matrix.shape == (operator.out_size(), operator.in_size())
        assert jax.tree.structure(image) == jax.tree.structure(y)
        assert jax.tree.structure(preimage) == jax.tree.structure(x)
        np.testing.assert_allclose(_flat(image), matrix @ _flat(x), atol=1e-12)
        np.testing.assert_allclose(_flat(y) @ _flat(image), _flat(preimage) @ _flat(x), rtol=1e-12)
        np.testing.assert_allclose(transposes[0], matrix.T, atol=1e-13)
        np.testing.assert_allclose(transposes[1], matrix, atol=1e-13)


def test_every_dispatch_function_is_registered(rows, params):
    operators = _all(rows, params)
    for operator, result in zip(operators, _dispatched(operators), strict=True):
        for predicate in PREDICATES:
            assert predicate(operator) in (True, False)
        matrix, transformed, diagonal, bands = result
        for other in transformed:
            np.testing.assert_allclose(other, matrix, atol=1e-13)
        np.testing.assert_allclose(diagonal, np.diagonal(matrix), atol=1e-13)
        for band, offset in zip(bands, (0, -1, 1), strict=True):
            np.testing.assert_allclose(band, np.diagonal(matrix, offset), atol=1e-13)


def test_register_operator_covers_every_predicate_of_lineax():
    public = {name for name in lx.__all__} if hasattr(lx, "__all__") else set(dir(lx))
    names = {name for name in public if name.startswith(("is_", "has_"))}
    assert names == {predicate.__name__ for predicate in PREDICATES}


def _classes(module):
    values = [getattr(module, name) for name in dir(module)]
    return [v for v in values if isinstance(v, type) and issubclass(v, lx.AbstractLinearOperator)]


def test_no_operator_of_the_package_lacks_a_dispatch_function():
    functions = [f for name in dir(lx) if hasattr(f := getattr(lx, name), "registry")]
    assert (
        len(functions) >= len(PREDICATES) + 5
    )  # linearise, materialise, diagonal, tridiagonal, conj
    classes = _classes(pinn_ngd.linalg)
    assert {Kronecker, EigenKronecker, BlockDiagonal, JacobianRows} <= set(classes)
    for function in functions:
        missing = [cls.__name__ for cls in classes if cls not in function.registry]
        assert not missing, (function.__name__, missing)


def test_a_registered_class_needs_its_five_methods_only():
    @register_operator
    class Twice(lx.AbstractLinearOperator):
        tags: frozenset[object] = eqx.field(static=True)

        def mv(self, vector):
            return 2 * vector

        def as_matrix(self):
            return 2 * jnp.eye(3)

        def transpose(self):
            return self

        def in_structure(self):
            return jax.ShapeDtypeStruct((3,), jnp.dtype("float64"))

        def out_structure(self):
            return self.in_structure()

    assert lx.is_positive_semidefinite(Twice(frozenset({lx.positive_semidefinite_tag})))
    assert lx.is_symmetric(Twice(frozenset({lx.diagonal_tag})))
    assert not lx.is_symmetric(Twice(frozenset()))
    dense = lx.materialise(Twice(frozenset({lx.diagonal_tag})))
    assert isinstance(dense, JacobianRows)
    assert lx.is_diagonal(dense)
    solution = lx.linear_solve(Twice(frozenset({lx.diagonal_tag})), jnp.ones(3), lx.Diagonal())
    np.testing.assert_allclose(solution.value, 0.5)


def test_rows_are_not_copied_and_follow_ravel_pytree(rows, params):
    assert rows.as_matrix() is rows.matrix
    vector = _random(params, 5)
    expected = rows.matrix @ ravel_pytree(vector)[0]
    image = rows.mv(vector)
    np.testing.assert_allclose(image["boundary"], expected[:2], rtol=1e-12)
    np.testing.assert_allclose(image["interior"], expected[2:].reshape(3, 2), rtol=1e-12)


def test_rows_of_two_dtypes_keep_the_dtype_of_each_leaf():
    struct = jax.ShapeDtypeStruct
    structure = (struct((1,), jnp.dtype("float32")), struct((2,), jnp.dtype("float64")))
    operator = JacobianRows(jnp.ones((4, 3)), structure, struct((4,), jnp.dtype("float64")))
    image = operator.T.mv(jnp.ones(4))
    assert [x.dtype for x in image] == [jnp.float32, jnp.float64]
    np.testing.assert_allclose(operator.mv(image), 12.0)


def test_mismatched_rows():
    struct = jax.ShapeDtypeStruct((3,), jnp.dtype("float64"))
    with pytest.raises(ValueError, match=r"`matrix` has shape \(3, 2\)"):
        JacobianRows(jnp.ones((3, 2)), struct, struct)


@pytest.mark.parametrize("where", ["inside", "before a loop", "argument"])
def test_rows_are_multiplied_from_the_left_as_they_lie(where):
    """No program makes a transposed copy, whose product would take several times as long."""
    matrix, vector = np.random.default_rng(0).normal(size=(40, 30)), np.ones(40)
    structures = [jax.ShapeDtypeStruct((size,), jnp.dtype("float64")) for size in (30, 40)]
    rows = JacobianRows(jnp.asarray(matrix), *structures)

    def product(operator, vector):
        transposed = operator if where == "argument" else operator.T
        if where == "before a loop":
            first = vector[:30]
            return jax.lax.fori_loop(0, 1, lambda _, w: w + transposed.mv(vector), 0 * first)
        return transposed.mv(vector)

    given = rows.T if where == "argument" else rows
    program = jax.jit(product).lower(given, jnp.asarray(vector)).compile()
    assert "transpose(" not in program.as_text()
    np.testing.assert_allclose(program(given, vector), matrix.T @ vector, rtol=1e-12)


def test_a_transpose_has_the_tags_of_the_transpose():
    square = jax.ShapeDtypeStruct((3,), jnp.dtype("float64"))
    rows = JacobianRows(jnp.eye(3), square, square, tags=frozenset([lx.lower_triangular_tag]))
    assert lx.is_upper_triangular(rows.T)
    assert not lx.is_lower_triangular(rows.T)
    assert lx.is_lower_triangular(rows.T.T)


def test_gram_and_kernel_are_tagged_and_damped(rows):
    matrix = rows.matrix
    for operator, expected in (
        (gram(rows, 0.1), matrix.T @ matrix),
        (dual_gram(rows, 0.1), matrix @ matrix.T),
    ):
        assert lx.is_positive_semidefinite(operator)
        assert lx.is_symmetric(operator)
        assert lx.is_positive_semidefinite(lx.materialise(operator))
        identity = 0.1 * np.eye(len(expected))
        np.testing.assert_allclose(operator.as_matrix(), expected + identity, atol=1e-12)


def test_materialised_damped_operators_keep_the_identity_implicit(rows):
    dense = lx.materialise(damped_primal(rows, 0.1))
    assert not isinstance(dense, JacobianRows)
    expected = gram(rows, 0.1).as_matrix()
    np.testing.assert_allclose((dense.T @ dense).as_matrix(), expected, atol=1e-12)


def test_stack_of_different_domains(rows):
    with pytest.raises(ValueError, match="`operators` have 2 different input structures"):
        StackedOperator([rows, rows.T])
    with pytest.raises(ValueError, match="at least one operator"):
        StackedOperator([])


def test_operators_pass_through_jit_and_derivatives(rows):
    vector = _random(rows.in_structure(), 6)
    compiled = eqx.filter_jit(lambda op, x: op.mv(x))
    np.testing.assert_allclose(_flat(compiled(rows, vector)), _flat(rows.mv(vector)), rtol=1e-12)

    def norm(damping):
        return jnp.sum(ravel_pytree(damped_primal(rows, damping).mv(vector))[0] ** 2)

    np.testing.assert_allclose(jax.jit(jax.grad(norm))(0.5), np.sum(_flat(vector) ** 2), rtol=1e-12)


@pytest.mark.parametrize("imaginary", [0.0, 1.0])
def test_adjoint_products_are_those_of_the_adjoint_matrix(imaginary):
    rng = np.random.default_rng(5)
    matrix, vector = rng.normal(size=(5, 3)), rng.normal(size=5)
    if imaginary:
        matrix, vector = matrix + 1j * rng.normal(size=(5, 3)), vector + 1j * rng.normal(size=5)
    found = adjoint_matvec(jnp.asarray(matrix), jnp.asarray(vector))
    np.testing.assert_allclose(found, matrix.conj().T @ vector, rtol=1e-14)
