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
    Fallback,
    LeastSquaresSystem,
    Normal,
    ProductOperator,
    Spectral,
    get_solver,
    prepare,
    solve,
    solver_names,
)
from pinn_ngd.linalg.capabilities import is_iterative, takes_square_only


@pytest.fixture
def singular(dense):
    """Cholesky of its normal equations breaks down."""
    return dense(jnp.asarray([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]))


def _run(operator, solver, vector):
    return lx.linear_solve(operator, vector, solver, throw=False)


def test_fallback_is_used_and_reported(singular, dense):
    solver = Fallback(Normal(Cholesky()), SVD())
    solution = _run(singular, solver, jnp.ones(3))
    assert solution.stats["fallback"]
    assert solution.result == lx.RESULTS.successful
    np.testing.assert_allclose(solution.value, 0.5, rtol=1e-12)
    regular = _run(dense(jnp.eye(3)[:, :2]), solver, jnp.ones(3))
    assert not regular.stats["fallback"]
    np.testing.assert_allclose(regular.value, 1.0)


def test_fallback_on_an_unsuccessful_result(dense, conditioned):
    operator = dense(jnp.asarray(conditioned(8, 6, np.linspace(1, 0.1, 6))))
    target = jnp.arange(8.0)
    hurried = Normal(CG(rtol=1e-12, atol=1e-12, max_steps=1))
    assert _run(operator, hurried, target).result == lx.RESULTS.max_steps_reached
    solution = _run(operator, Fallback(hurried, QR()), target)
    assert solution.stats["fallback"]
    assert solution.stats["num_steps"] == 1
    assert solution.result == lx.RESULTS.successful
    np.testing.assert_allclose(solution.value, _run(operator, QR(), target).value, rtol=1e-12)


@pytest.mark.parametrize("consistent", [True, False])
@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 6)])
@pytest.mark.parametrize("primary", [QR(), Normal(Cholesky())], ids=["qr", "cholesky"])
def test_a_lost_rank_is_seen(primary, shape, consistent, dense):
    """QR of such a matrix returns rounding over rounding, huge or merely wrong, as a success.

    Rounding sometimes leaves Cholesky with a right answer, and nothing to be seen.
    """
    run = eqx.filter_jit(lambda m, b: _run(dense(m), Fallback(primary, SVD()), b))
    seen = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        matrix = rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1]))
        target = matrix @ rng.normal(size=shape[1]) if consistent else rng.normal(size=shape[0])
        found = run(jnp.asarray(matrix), jnp.asarray(target))
        seen += bool(found.stats["fallback"])
        np.testing.assert_allclose(found.value, np.linalg.pinv(matrix, 1e-10) @ target, rtol=1e-8)
    assert seen == 10 if isinstance(primary, QR) else seen > 7


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (5, 5)])
def test_ill_conditioning_is_no_loss_of_rank(shape, dense, conditioned):
    """QR keeps what a condition number of 1e8 leaves it, and is not accused."""
    run = eqx.filter_jit(lambda m, b: _run(dense(m), Fallback(QR(), SVD()), b))
    for seed in range(5):
        matrix = conditioned(*shape, np.geomspace(1, 1e-8, 5), seed)
        target = matrix @ np.ones(shape[1])
        found = run(jnp.asarray(matrix), jnp.asarray(target))
        assert not found.stats["fallback"]


def test_loose_tolerances_are_no_failure(dense, conditioned):
    """An iterative solver says itself whether it is content."""
    operator = dense(jnp.asarray(conditioned(8, 6, np.linspace(1, 0.1, 6))))
    loose = Fallback(Normal(CG(rtol=1e-2, atol=1e-2)), QR())
    assert not _run(operator, loose, jnp.arange(8.0)).stats["fallback"]


def test_both_failing_reports_the_secondary_result(singular):
    hurried = Normal(CG(rtol=1e-12, atol=1e-12, max_steps=0))
    solution = _run(singular, Fallback(hurried, hurried), jnp.ones(3))
    assert solution.stats["fallback"]
    assert solution.result == lx.RESULTS.max_steps_reached


def test_fallback_under_vmap_decides_for_each(dense, singular):
    solver = Fallback(Normal(Cholesky()), SVD())
    matrices = jnp.stack([singular.matrix, jnp.eye(3)[:, :2]])
    solution = jax.vmap(lambda m: _run(dense(m), solver, jnp.ones(3)))(matrices)
    np.testing.assert_array_equal(solution.stats["fallback"], [True, False])
    np.testing.assert_allclose(solution.value, [[0.5, 0.5], [1.0, 1.0]], rtol=1e-12)


def test_fallback_differentiates_and_transposes(dense):
    matrix = jnp.asarray([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0]])
    solver = Fallback(Normal(Cholesky()), SVD())
    jacobian = jax.jacrev(lambda b: _run(dense(matrix), solver, b).value)(jnp.ones(3))
    np.testing.assert_allclose(jacobian, np.linalg.pinv(matrix), atol=1e-12)
    assert not solver.assume_full_rank()
    assert Fallback(QR(), QR()).assume_full_rank()
    state = solver.init(dense(matrix), {})
    conjugated, _ = solver.conj(state, {})
    np.testing.assert_allclose(conjugated[1].as_matrix(), matrix)


def test_registry():
    names = solver_names()
    assert {
        "qlp",
        "spectral",
        "spectral-gram",
        "spectral-qr",
        "qr",
        "svd",
        "cholesky",
        "cg",
        "lsmr",
        "spu",
    } == set(names)
    for name, description in names.items():
        assert isinstance(get_solver(name), lx.AbstractLinearSolver)
        assert description
        assert "\n" not in description
    with pytest.raises(ValueError, match=r"unknown linear solver 'lu'; known are qlp, .*lsmr"):
        get_solver("lu")


DIRECT = [
    lx.LU(),
    lx.Diagonal(),
    lx.Triangular(),
    lx.Tridiagonal(),
    lx.AutoLinearSolver(well_posed=True),
    lx.AutoLinearSolver(well_posed=None),
    QR(),
    SVD(),
    Cholesky(),
    Spectral(),
    Normal(Cholesky()),
    Normal(lx.LU()),
    lx.LU(),
    Fallback(Normal(CG(rtol=1e-6, atol=1e-6)), SVD()),
]
TOLERANCES = {"rtol": 1e-6, "atol": 1e-6}
ITERATIVE = [
    CG(**TOLERANCES),
    Normal(CG(**TOLERANCES)),
    LSMR(**TOLERANCES),
    lx.LSMR(**TOLERANCES),
    lx.GMRES(**TOLERANCES),
    lx.BiCGStab(**TOLERANCES),
    Fallback(Normal(CG(**TOLERANCES)), LSMR(**TOLERANCES)),
]


@pytest.mark.parametrize("solver", DIRECT, ids=lambda s: type(s).__name__)
def test_solvers_that_need_the_matrix(solver):
    assert not is_iterative(solver)


@pytest.mark.parametrize("solver", ITERATIVE, ids=lambda s: type(s).__name__)
def test_solvers_that_need_products_only(solver):
    assert is_iterative(solver)


class Richardson(lx.AbstractLinearSolver):
    """Somebody's own gradient descent on |A x - b|^2, in plain products."""

    rate: float | jax.Array = 0.05

    def init(self, operator, options):
        del options
        return lx.linearise(operator)

    def compute(self, state, vector, options):
        del options
        x = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), state.in_structure())

        def step(_, x):
            residual = jax.tree.map(jnp.subtract, vector, state.mv(x))
            return jax.tree.map(lambda a, g: a + self.rate * g, x, state.T.mv(residual))

        return jax.lax.fori_loop(0, 500, step, x), lx.RESULTS.successful, {}

    def transpose(self, state, options):
        return state.T, options

    def conj(self, state, options):
        return state, options

    def assume_full_rank(self):
        return False


class Dense(Richardson):
    """The same with the matrix."""

    def init(self, operator, options):
        del options
        matrix = operator.as_matrix()
        structure = jax.ShapeDtypeStruct(matrix.shape[1:], matrix.dtype)
        return lx.FunctionLinearOperator(lambda v: matrix @ v, structure)


class Stating(Dense):
    matrix_free: bool = True


def test_a_solver_of_somebody_else_is_known_by_what_it_does():
    assert is_iterative(Richardson())
    assert is_iterative(Stating())
    assert not is_iterative(Dense())
    assert is_iterative(Richardson(jnp.asarray(0.1)))
    assert not is_iterative(Dense(jnp.asarray(0.1)))


class SquareOnly(Richardson):
    semidefinite: bool = True


def test_a_solver_of_square_systems_is_known_by_what_it_does():
    assert all(map(takes_square_only, (lx.LU(), lx.GMRES(**TOLERANCES), SquareOnly())))
    least_squares = (QR(), SVD(), LSMR(**TOLERANCES), Richardson(), Richardson(jnp.asarray(0.1)))
    assert not any(map(takes_square_only, (*least_squares, Spectral(), lx.AutoLinearSolver(None))))


@pytest.mark.parametrize("form", ["primal", "dual"])
@pytest.mark.parametrize("solver", [lx.LU(), lx.GMRES(rtol=1e-12, atol=1e-12)])
def test_a_solver_of_square_systems_is_given_the_normal_equations(solver, form, dense):
    matrix, target = jnp.asarray([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]]), jnp.asarray([1.0, 2.0])
    gram = np.asarray(matrix.T @ matrix + 0.1 * jnp.eye(3))
    expected = np.linalg.solve(gram, matrix.T @ target)
    system = LeastSquaresSystem(dense(matrix), target, damping=0.1)
    np.testing.assert_allclose(solve(system, solver, form=form).value, expected, rtol=1e-9)
    given = LeastSquaresSystem(dense(matrix), gradient=matrix.T @ target, damping=0.1)
    np.testing.assert_allclose(solve(given, solver, form=form).value, expected, rtol=1e-9)


def test_a_matrix_is_formed_for_those_that_need_it_only():
    matrix = jnp.asarray([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0]])
    struct = jax.ShapeDtypeStruct((2,), matrix.dtype)
    products = ProductOperator(lambda v: matrix @ v, lambda w: w @ matrix, struct)
    system = LeastSquaresSystem(products, jnp.ones(3))
    expected = np.linalg.pinv(matrix) @ np.ones(3)
    found = solve(system, Richardson(), form="matrix-free")
    np.testing.assert_allclose(found.value, expected, rtol=1e-9)
    assert prepare(system, Richardson()).system.operator is products
    with pytest.raises(ValueError, match="`solver` Normal needs the matrix"):
        solve(system, Normal(lx.LU()), form="matrix-free")
    direct = prepare(system, Normal(lx.LU()))
    assert direct.system.operator is not products
    np.testing.assert_allclose(direct.solve().value, expected, rtol=1e-12)
