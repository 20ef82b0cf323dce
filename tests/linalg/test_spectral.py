import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import Spectral, SpectralFactor, spectral_factor

SHAPES = [(16, 8), (8, 16)]
ALL_SHAPES = [*SHAPES, (8, 8)]
METHODS = ["qr", "gram"]

# Compiled once for all tests: compilation is most of what they cost.
factorize = eqx.filter_jit(spectral_factor)


@eqx.filter_jit
def solved(factor, targets, dampings, refine=True):
    one = jax.vmap(lambda b, d: factor.solve(b, d, refine=refine))
    return one(targets, dampings)


@eqx.filter_jit
def solved_gradient(factor, gradient, damping, refine=True):
    return factor.solve_gradient(gradient, damping, refine=refine)


def solve_each(factor, target, dampings, **keywords):
    """Solutions for four dampings, by one compiled function."""
    dampings = jnp.asarray(np.resize(np.asarray(dampings, float), 4))
    return solved(factor, jnp.tile(target, (4, 1)), dampings, **keywords)


@pytest.fixture
def problem(conditioned):
    def build(shape, seed=0):
        matrix = jnp.asarray(conditioned(*shape, np.logspace(0, -3, 8), seed))
        return matrix, jnp.asarray(np.random.default_rng(seed).normal(size=shape[0]))

    return build


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_one_factor_answers_every_damping(shape, method, problem, exact_solution):
    matrix, target = problem(shape)
    dampings = [1e-8, 1e-4, 1.0, 1e4]
    solutions = solve_each(factorize(matrix, method=method), target, dampings)
    for damping, solution in zip(dampings, solutions, strict=True):
        expected = exact_solution(matrix, target, damping)
        np.testing.assert_allclose(solution, expected, rtol=1e-8, atol=1e-10 * abs(expected).max())


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_singular_values_descend_and_agree(shape, problem):
    matrix, _ = problem(shape)
    expected = np.linalg.svd(matrix, compute_uv=False)
    for method, tolerance in (("qr", 1e-14), ("gram", 1e-12)):
        factor = factorize(matrix, method=method)
        np.testing.assert_allclose(factor.singular_values, expected, atol=tolerance)
        np.testing.assert_allclose(factor.condition, 1e3, rtol=1e-6)
        assert factor.rank() == 8
        assert factor.rank(0.5) == int(np.sum(expected > 0.5))


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_solves_the_normal_equations(shape, problem):
    matrix, target = problem(shape)
    factor, damping = factorize(matrix, method="qr"), jnp.asarray(1e-3)
    gram = matrix.T @ matrix + 1e-3 * np.eye(shape[1])
    for gradient in (np.cos(np.arange(shape[1])), matrix.T @ target):
        solution = solved_gradient(factor, jnp.asarray(gradient), damping)
        np.testing.assert_allclose(solution, np.linalg.solve(gram, gradient), rtol=1e-8)


@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize("method", METHODS)
def test_zero_damping_is_the_pseudo_inverse_beside_other_dampings(shape, method):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1]))
    target = jnp.arange(1.0, shape[0] + 1)
    factor = factorize(jnp.asarray(matrix), method=method)
    assert factor.rank() == 3
    zero, one = solve_each(factor, target, [0.0, 1.0])[:2]
    np.testing.assert_allclose(zero, np.linalg.pinv(matrix, 1e-10) @ target, rtol=1e-9)
    damped = np.linalg.solve(matrix.T @ matrix + np.eye(shape[1]), matrix.T @ target)
    np.testing.assert_allclose(one, damped, rtol=1e-9)


def test_rcond_drops_small_directions():
    factor = spectral_factor(jnp.diag(jnp.asarray([1.0, 1e-3, 1e-6])))
    solution = factor.solve(jnp.ones(3), 0, rcond=1e-4)
    np.testing.assert_allclose(solution, [1.0, 1e3, 0.0], atol=1e-9)


@pytest.mark.parametrize("method", ["qr", "gram", "auto"])
@pytest.mark.parametrize("shape", SHAPES)
def test_zero_matrix(shape, method):
    factor = factorize(jnp.zeros(shape), method=method, smallest_damping=jnp.asarray(0.0))
    assert factor.rank() == 0
    solutions = solve_each(factor, jnp.ones(shape[0]), [0.0, 1.0])
    np.testing.assert_array_equal(solutions, np.zeros((4, shape[1])))


@pytest.mark.parametrize("shape", SHAPES)
def test_auto_picks_the_route_by_damping(shape, problem):
    matrix, _ = problem(shape)
    scale = float(jnp.sum(matrix**2))
    for damping, from_gram in ((1.01e-12 * scale, True), (0.99e-12 * scale, False), (0.0, False)):
        factor = factorize(matrix, method="auto", smallest_damping=jnp.asarray(damping))
        assert factor.from_gram == from_gram
    assert not factorize(matrix, method="auto").from_gram


@pytest.mark.parametrize("shape", SHAPES)
def test_auto_is_accurate_at_its_threshold(shape, conditioned, exact_solution, relative_error):
    """The Gram route alone has lost most digits there; one refinement brings them back."""
    matrix = conditioned(*shape, np.logspace(0, -12, 8))
    target, damping = np.random.default_rng(3).normal(size=shape[0]), 1.1e-12
    damping = damping * float(np.sum(matrix**2))
    factor = factorize(jnp.asarray(matrix), method="auto", smallest_damping=jnp.asarray(damping))
    expected = exact_solution(matrix, target, damping)
    plain = solve_each(factor, jnp.asarray(target), [damping], refine=False)[0]
    refined = solve_each(factor, jnp.asarray(target), [damping])[0]
    assert factor.from_gram
    assert 1e-7 < relative_error(plain, expected) < 1e-3
    assert relative_error(refined, expected) < 1e-7


def test_vmap_over_targets(problem):
    matrix, target = problem((16, 8))
    factor = factorize(matrix, method="qr")
    targets = jnp.stack([target, -2 * target, 0 * target, target])
    both = solved(factor, targets, jnp.full(4, 1e-3))
    np.testing.assert_allclose(both[1], -2 * both[0], rtol=1e-12)
    np.testing.assert_array_equal(both[2], 0)


def test_factors_of_a_batch_of_matrices(problem):
    pairs = [problem((16, 8), seed) for seed in (0, 1)]
    matrices, targets = (jnp.stack(x) for x in zip(*pairs, strict=True))

    def run(matrix, target, smallest):
        factor = spectral_factor(matrix, method="auto", smallest_damping=smallest)
        return factor.solve(target, 1e-3), factor.from_gram

    batch, from_gram = jax.jit(jax.vmap(run))(matrices, targets, jnp.asarray([1e-3, 0.0]))
    assert from_gram.tolist() == [True, False]
    for (matrix, target), solution in zip(pairs, batch, strict=True):
        expected = np.linalg.solve(matrix.T @ matrix + 1e-3 * np.eye(8), matrix.T @ target)
        np.testing.assert_allclose(solution, expected, rtol=1e-9)


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_transposed_factor(shape, problem):
    matrix, _ = problem(shape)
    factor = factorize(matrix, method="qr").transpose()
    assert isinstance(factor, SpectralFactor)
    solution = solve_each(factor, jnp.ones(shape[1]), [1e-4])[0]
    gram = matrix @ matrix.T + 1e-4 * np.eye(shape[0])
    np.testing.assert_allclose(solution, np.linalg.solve(gram, matrix @ np.ones(shape[1])), 1e-8)


def test_float32_stays_float32(problem):
    matrix, target = (np.asarray(x, np.float32) for x in problem((16, 8)))
    auto = factorize(jnp.asarray(matrix), method="auto", smallest_damping=1e-5)
    assert not auto.from_gram  # the threshold of float64 would take the Gram route
    factor = factorize(jnp.asarray(matrix), method="auto", smallest_damping=1e-2)
    solution = eqx.filter_jit(SpectralFactor.solve)(factor, jnp.asarray(target), 1e-2)
    assert factor.singular_values.dtype == solution.dtype == jnp.float32
    gram = matrix.T.astype(float) @ matrix + 1e-2 * np.eye(8)
    np.testing.assert_allclose(solution, np.linalg.solve(gram, matrix.T @ target), rtol=1e-3)


def test_a_diverging_refinement_is_not_taken(problem):
    matrix, target = problem((8, 16))
    factor = factorize(matrix * jnp.logspace(0, -8, 16), method="gram")
    gradient, damping = matrix.T @ target, jnp.asarray(1e-25)
    plain = solved_gradient(factor, gradient, damping, refine=False)
    refined = solved_gradient(factor, gradient, damping)
    assert jnp.linalg.norm(refined) <= 1.5 * jnp.linalg.norm(plain)


def test_errors(problem):
    matrix, target = problem((8, 16))
    # The type checker of the tests sees it before the function does.
    with pytest.raises((ValueError, TypeError), match="method"):
        spectral_factor(matrix, method="lu")
    factor = factorize(matrix, method="qr")
    with pytest.raises(ValueError, match="`damping` is 0"):
        factor.solve_gradient(matrix.T @ target, 0)
    assert jnp.isnan(solved_gradient(factor, matrix.T @ target, jnp.asarray(0.0))).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_lineax_solver_with_a_kept_state(shape, problem, dense):
    matrix, target = problem(shape)
    operator, solver = dense(matrix), Spectral()

    @eqx.filter_jit
    def run(dampings):
        state = solver.init(operator, {"smallest_damping": 1e-4})

        def kept(damping):
            options = {"damping": damping}
            return lx.linear_solve(operator, target, solver, options=options, state=state)

        return [kept(damping) for damping in dampings], lx.linear_solve(operator, target, solver)

    dampings = jnp.asarray([1e-4, 1e-2])
    solutions, plain = run(dampings)
    for damping, solution in zip(dampings, solutions, strict=True):
        gram = matrix.T @ matrix + damping * np.eye(shape[1])
        expected = np.linalg.solve(gram, matrix.T @ target)
        np.testing.assert_allclose(solution.value, expected, rtol=1e-7)
        assert solution.stats["rank"] == 8
        assert solution.stats["from_gram"]
        np.testing.assert_allclose(solution.stats["condition"], 1e3, rtol=1e-6)
    np.testing.assert_allclose(plain.value, np.linalg.pinv(matrix) @ target, rtol=1e-8)
    assert not plain.stats["from_gram"]


def test_lineax_solver_transposes_and_conjugates(problem, dense):
    matrix, _ = problem((16, 8))
    operator, solver, options = dense(matrix), Spectral(), {"damping": 1e-3}

    @eqx.filter_jit
    def run(vector):
        state, options_t = solver.transpose(solver.init(operator, options), options)
        return solver.compute(state, vector, options_t)[0]

    gram = matrix @ matrix.T + 1e-3 * np.eye(16)
    expected = np.linalg.solve(gram, matrix @ np.ones(8))
    np.testing.assert_allclose(run(jnp.ones(8)), expected, rtol=1e-8)
    state = solver.init(operator, {})
    assert solver.conj(state, {})[0] is state


def test_derivatives(problem, dense):
    matrix, target = problem((16, 8))
    direction = jnp.ones_like(matrix)

    def value(t, target, options):
        operator = dense(matrix + t * direction)
        return lx.linear_solve(operator, target, Spectral("qr"), options=options).value

    slope = jax.jit(jax.jacrev(lambda b: value(0.0, b, {"damping": 1e-2})))(target)
    expected = np.linalg.solve(matrix.T @ matrix + 1e-2 * np.eye(8), matrix.T)
    np.testing.assert_allclose(slope, expected, atol=1e-9)

    def plain(t):
        return value(t, target, {})

    slope = jax.jit(jax.jacfwd(plain))(0.0)
    inverses = [np.linalg.pinv(matrix + t * direction) for t in (1e-6, -1e-6)]
    np.testing.assert_allclose(slope, (inverses[0] - inverses[1]) @ target / 2e-6, rtol=1e-4)
    with pytest.raises(NotImplementedError, match="differentiated in its operator"):
        jax.make_jaxpr(jax.jacfwd(lambda t: value(t, target, {"damping": 1e-2})))(0.0)
