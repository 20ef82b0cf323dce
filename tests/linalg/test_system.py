import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd.linalg import (
    CG,
    QR,
    Cholesky,
    JacobianRows,
    LeastSquaresSystem,
    Normal,
    Prepared,
    Spectral,
    get_solver,
    prepare,
    solve,
)

DAMPING = 1e-3
SHAPES = {"tall": (14, 6), "wide": (6, 14)}


@pytest.fixture(params=SHAPES)
def rows(request, dense):
    return dense(_random(*SHAPES[request.param]))


@pytest.fixture
def tall(dense):
    return dense(_random(*SHAPES["tall"]))


def _random(*shape):
    # Not jax.random: every shape would be compiled.
    return jnp.asarray(np.random.default_rng(3).normal(size=shape))


@eqx.filter_jit
def run(operator, solver, form="auto", damping=DAMPING, **right_hand_side):
    """Solve, compiled once for all tests."""
    solver = get_solver(solver) if isinstance(solver, str) else solver
    return solve(
        LeastSquaresSystem(operator, **right_hand_side, damping=damping), solver, form=form
    )


def _reference(matrix, target, damping=DAMPING):
    identity = np.eye(matrix.shape[1])
    return np.linalg.solve(matrix.T @ matrix + damping * identity, matrix.T @ target)


def _target(rows):
    return jnp.cos(jnp.arange(rows.out_size(), dtype=rows.matrix.dtype))


@pytest.mark.parametrize("name", ["qr", "cholesky"])
def test_primal_equals_dual_and_gradient_equals_target(name, rows):
    target = _target(rows)
    expected = _reference(rows.matrix, target)
    for kind, vector in (("target", target), ("gradient", rows.matrix.T @ target)):
        for form in ("primal", "dual"):
            solution = run(rows, name, form, **{kind: vector})
            assert solution.result == lx.RESULTS.successful
            np.testing.assert_allclose(solution.value, expected, rtol=1e-6, atol=1e-9)


def test_auto_takes_the_smaller_side(rows):

    def program(form):
        system = LeastSquaresSystem(rows, _target(rows), damping=DAMPING)
        return str(jax.make_jaxpr(lambda: solve(system, Normal(Cholesky()), form=form).value)())

    programs = {form: program(form) for form in ("auto", "primal", "dual")}
    tall = rows.out_size() > rows.in_size()
    assert "cholesky" in programs["auto"]
    assert (len(programs["auto"]) == len(programs["primal"])) == tall
    assert (len(programs["auto"]) == len(programs["dual"])) == (not tall)


def test_gradient_outside_of_the_row_space(dense):
    rows = dense(_random(3, 8))
    gradient = jnp.arange(8.0)
    expected = np.linalg.solve(rows.matrix.T @ rows.matrix + DAMPING * np.eye(8), gradient)
    for name in ("spectral", "qr"):
        np.testing.assert_allclose(run(rows, name, gradient=gradient).value, expected, rtol=1e-7)


@pytest.mark.parametrize("solver", [Cholesky(), CG(rtol=1e-12, atol=1e-12)])
def test_bare_semidefinite_solvers_are_read_as_normal(solver, tall):
    rows = tall
    expected = _reference(rows.matrix, _target(rows))
    for vector in ({"target": _target(rows)}, {"gradient": rows.matrix.T @ _target(rows)}):
        solution = run(rows, solver, "primal", **vector)
        np.testing.assert_allclose(solution.value, expected, rtol=1e-6)


def test_model_shaped_solutions():
    mlp = eqx.nn.MLP(2, "scalar", 4, 2, key=jax.random.key(0))
    params, _ = eqx.partition(mlp, eqx.is_inexact_array)
    size = ravel_pytree(params)[0].size
    target = (jnp.ones(3), {"boundary": jnp.ones((2, 2))})
    matrix = _random(7, size)
    operator = JacobianRows(matrix, jax.eval_shape(lambda: params), jax.eval_shape(lambda: target))
    expected = _reference(matrix, ravel_pytree(target)[0])
    for name in ("spectral", "qr"):
        solution = run(operator, name, target=target)
        assert jax.tree.structure(solution.value) == jax.tree.structure(params)
        np.testing.assert_allclose(ravel_pytree(solution.value)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["spectral", "cholesky"])
def test_prepared_systems_answer_other_questions(name, tall):
    rows = tall
    target = _target(rows)
    matrix = rows.matrix

    @eqx.filter_jit
    def ask():
        prepared = prepare(LeastSquaresSystem(rows, target, damping=1.0), get_solver(name))
        other = prepared.solve(damping=1e-2, target=2 * target)
        gradient = prepared.solve(damping=1e-2, gradient=matrix.T @ target)
        return prepared.solve().value, other.value, gradient.value

    plain, other, gradient = ask()
    np.testing.assert_allclose(plain, _reference(matrix, target, 1.0), rtol=1e-7)
    np.testing.assert_allclose(other, 2 * _reference(matrix, target, 1e-2), rtol=1e-7)
    np.testing.assert_allclose(gradient, _reference(matrix, target, 1e-2), rtol=1e-7)


def test_prepared_systems_are_pytrees_under_jit_and_vmap(rows):
    target, matrix = _target(rows), rows.matrix
    dampings = jnp.asarray([1e-3, 1e-1, 10.0])

    @eqx.filter_jit
    def begin(operator):
        return prepare(LeastSquaresSystem(operator, target), smallest_damping=1e-3)

    @eqx.filter_jit
    def sweep(prepared):
        return jax.vmap(lambda d: prepared.solve(damping=d))(dampings)

    prepared = begin(rows)
    assert isinstance(prepared, Prepared)
    assert prepared.state.factor.from_gram
    solutions = sweep(prepared)
    assert solutions.stats["rank"].tolist() == [6, 6, 6]
    for damping, value in zip(dampings, solutions.value, strict=True):
        np.testing.assert_allclose(value, _reference(matrix, target, damping), rtol=1e-6)
    each = jax.jit(jax.vmap(lambda b: prepared.solve(target=b, damping=1.0).value))
    both = each(jnp.stack([target, -target]))
    np.testing.assert_allclose(both[0], -both[1], rtol=1e-12)


def test_prepare_without_a_damping_takes_qr(tall):
    rows = tall
    target = _target(rows)
    system = LeastSquaresSystem(rows, target, damping=1.0)
    assert not eqx.filter_jit(prepare)(system).state.factor.from_gram
    assert run(rows, "spectral", target=target).stats["from_gram"]
    assert not run(rows, "spectral-qr", target=target).stats["from_gram"]


def test_a_kept_state_is_used(tall):
    rows = tall
    system = LeastSquaresSystem(rows, _target(rows), damping=DAMPING)
    state = eqx.filter_jit(Spectral().init)(rows, {})
    spoiled = eqx.tree_at(lambda s: s.factor.vectors, state, jnp.zeros_like(state.factor.vectors))
    assert jnp.all(solve(system, state=spoiled).value == 0)


def test_failures_are_reported_not_raised(tall):
    rows = tall
    target = _target(rows).at[0].set(jnp.nan)
    for kind, vector in (("target", target), ("gradient", rows.matrix.T @ target)):
        for name in ("spectral", "qr"):
            assert run(rows, name, "primal", **{kind: vector}).result != lx.RESULTS.successful


@pytest.mark.parametrize("name", ["cg", "lsmr"])
def test_iterative_tolerances_are_relative_to_the_right_hand_side(name, tall):
    rows = tall
    target = _target(rows)
    plain = run(rows, name, target=target)
    tiny = run(rows, name, target=1e-30 * target)
    np.testing.assert_allclose(1e30 * tiny.value, plain.value, rtol=1e-6)
    zero = run(rows, name, target=0 * target)
    np.testing.assert_array_equal(zero.value, jnp.zeros_like(plain.value))
    assert zero.result == lx.RESULTS.successful


def test_differentiates_in_the_damping(tall):
    rows = tall
    target = _target(rows)

    def norm(damping):
        return jnp.sum(solve(LeastSquaresSystem(rows, target, damping=damping), QR()).value ** 2)

    value = [np.sum(_reference(rows.matrix, target, 0.1 + t) ** 2) for t in (1e-6, -1e-6)]
    slope = jax.jit(jax.grad(norm))(0.1)
    np.testing.assert_allclose(slope, (value[0] - value[1]) / 2e-6, rtol=1e-5)


def test_single_precision(dense):
    rows = dense(_random(9, 4).astype(jnp.float32))
    target = jnp.ones(9, jnp.float32)
    expected = _reference(np.asarray(rows.matrix, np.float64), np.ones(9))
    for name in ("spectral", "cg", "lsmr"):
        solution = run(rows, get_solver(name, dtype=jnp.float32), target=target)
        assert solution.result == lx.RESULTS.successful
        assert solution.value.dtype == jnp.float32
        np.testing.assert_allclose(solution.value, expected, rtol=1e-3)


def test_bad_systems(rows):
    target = _target(rows)
    for both in ({}, {"target": target, "gradient": rows.matrix.T @ target}):
        with pytest.raises(ValueError, match="pass exactly one"):
            LeastSquaresSystem(rows, **both)
    with pytest.raises(ValueError, match="`target` has the structure"):
        LeastSquaresSystem(rows, target[1:])
    with pytest.raises(ValueError, match="`target` has the structure"):
        LeastSquaresSystem(rows, (target,))
    with pytest.raises(ValueError, match="`target` has the structure"):
        LeastSquaresSystem(rows, target.astype(jnp.float32))
    with pytest.raises(ValueError, match="`gradient` has the structure"):
        LeastSquaresSystem(rows, gradient=target)
    for damping in (-1.0, float("nan"), jnp.asarray(-1e-3)):
        with pytest.raises(ValueError, match="`damping` is"):
            LeastSquaresSystem(rows, target, damping=damping)


def test_bad_forms(rows, dense):
    system = LeastSquaresSystem(rows, _target(rows), damping=DAMPING)
    for call in (solve, prepare):
        for solver in (Spectral(), get_solver("cholesky"), QR()):
            with pytest.raises(ValueError, match="`form` is 'matrix-free'"):
                call(system, solver, form="matrix-free")
    wide = dense(jnp.ones((2, 3)))
    undamped = LeastSquaresSystem(wide, gradient=jnp.ones(3))
    for solver in (Spectral(), QR()):
        with pytest.raises(ValueError, match="`damping` is 0"):
            solve(undamped, solver)


def test_a_known_damping_may_be_captured_by_a_compiled_function(rows):
    """Its check compares numbers, which within a traced function is not for JAX to do."""
    known, target = jnp.asarray(DAMPING), _target(rows)
    answer = jax.jit(
        lambda b: solve(LeastSquaresSystem(rows, b, damping=known), Normal(Cholesky())).value
    )
    expected = run(rows, Normal(Cholesky()), target=target).value
    np.testing.assert_allclose(answer(target), expected, rtol=1e-12)
    too_small = -known

    def refused(b):
        return LeastSquaresSystem(rows, b, damping=too_small).damping

    with pytest.raises(ValueError, match="it must be a scalar >= 0"):
        jax.jit(refused)(target)
