"""Graded Cholesky factors against closed forms and against the other routes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import QLP, LeastSquaresSystem, prepare, qlp_factor, spectral_factor
from pinn_ngd.linalg.qlp import is_graded

SHAPES = [(16, 8), (8, 16), (8, 8)]
factorize = eqx.filter_jit(qlp_factor)


@eqx.filter_jit
def solved(factor, target, dampings):
    return jax.vmap(lambda damping: factor.solve(factor.lower(damping), target, damping))(dampings)


@eqx.filter_jit
def by_svd(matrix, target, dampings, method):
    factor = spectral_factor(matrix, method=method)
    return jax.vmap(lambda damping: factor.solve(target, damping, refine=False))(dampings)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smallest", [-3.0, -12.0], ids=["random", "ill-conditioned"])
def test_all_routes_agree_and_are_right(shape, smallest, conditioned, exact_solution):
    """To the accuracy that each promises: eps s_max / sqrt(damping) of QR and SVD and of the graded
    factor, and of the refined Gram matrix as long as eps s_max^2 / damping is below 1/45."""
    matrix = conditioned(*shape, np.logspace(0, smallest, 8), 0)
    target = np.random.default_rng(1).normal(size=shape[0])
    dampings = jnp.asarray([1e-20, 1e-14, 1e-9, 1e-4, 1.0])
    a, b = jnp.asarray(matrix), jnp.asarray(target)
    graded = solved(factorize(a), b, dampings)
    gram = solved(factorize(a, jnp.asarray(1e3)), b, dampings)
    reference = by_svd(a, b, dampings, "qr")
    for i, damping in enumerate(map(float, dampings)):
        expected = exact_solution(matrix, target, damping)

        def error(found, expected=expected):
            return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))

        bound = 1e-14 * min(damping**-0.5, 10**-smallest)
        assert error(graded[i]) < max(10 * error(reference[i]), 10 * bound)
        if damping >= 1e-14:
            assert error(gram[i]) < 100 * bound


@pytest.mark.parametrize("wide", [False, True], ids=["tall", "wide"])
@pytest.mark.parametrize("size", [1e-8, 1e-6])
def test_a_triangle_that_two_qr_factorizations_do_not_grade(size, wide, exact_solution):
    """A small column in front, which hardly couples with the large one behind it."""
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(6, 2)))
    matrix = basis @ np.asarray([[size, size], [0, 2]]) / np.sqrt(2)
    matrix = matrix.T if wide else matrix
    target = rng.normal(size=len(matrix))
    a, b = jnp.asarray(matrix), jnp.asarray(target)
    dampings = jnp.asarray([1e-20, 1e-18, 1e-16, 1e-12, 1e-4])
    found, reference = solved(factorize(a), b, dampings), by_svd(a, b, dampings, "qr")
    for i, damping in enumerate(map(float, dampings)):
        expected = exact_solution(matrix, target, damping)
        errors = [np.linalg.norm(x[i] - expected) / np.linalg.norm(expected)
                  for x in (found, reference)]  # fmt: skip
        assert errors[0] < max(10 * errors[1], 1e-15 / size)  # eps times the condition number


def test_how_far_a_triangle_is_graded():
    graded = jnp.asarray(np.triu(np.logspace(0, -16, 5)[:, None] * np.ones((5, 5))))
    assert bool(is_graded(graded))
    assert bool(is_graded(graded.at[3].set(0.0)))
    kahan = np.triu(np.full((60, 60), -1.0), 1) + np.eye(60)  # condition 1e18, rows of length one
    assert not bool(is_graded(jnp.asarray(kahan / np.linalg.norm(kahan, axis=1)[:, None])))
    assert not bool(is_graded(graded.at[0, 0].set(jnp.nan)))


@pytest.mark.parametrize("from_gram", [True, False], ids=["gram", "graded"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_solves_the_normal_equations(shape, from_gram, conditioned):
    matrix = conditioned(*shape, np.logspace(0, -3, 8), 0)
    gradient, damping = np.cos(np.arange(shape[1])), jnp.asarray(1e-3)
    factor = factorize(jnp.asarray(matrix), damping if from_gram else None)
    assert bool(factor.from_gram) == from_gram
    found = factor.solve_gradient(factor.lower(damping), jnp.asarray(gradient), damping)
    expected = np.linalg.solve(matrix.T @ matrix + 1e-3 * np.eye(shape[1]), gradient)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
@pytest.mark.parametrize("shape", SHAPES)
def test_gram_route_refined_is_as_accurate_as_the_graded_one(shape, dtype, conditioned):
    """At the smallest damping for which it is taken, with singular values down to eps."""
    eps, rng = float(np.finfo(dtype).eps), np.random.default_rng(3)
    phases = np.exp(1j * rng.normal(size=(2, max(shape))))
    matrix = conditioned(*shape, np.geomspace(1, eps, 8), 0)
    if np.issubdtype(dtype, np.complexfloating):  # unitary factors keep the singular values
        matrix = phases[0][: shape[0], None] * matrix * phases[1][: shape[1]]
    matrix, target = matrix.astype(dtype), rng.normal(size=shape[0]).astype(dtype)
    damping = jnp.asarray(50 * eps * float(np.sum(np.abs(matrix) ** 2)), np.finfo(dtype).dtype)
    gram, graded = factorize(jnp.asarray(matrix), damping), factorize(jnp.asarray(matrix))
    assert bool(gram.from_gram)
    found, expected = (
        f.solve(f.lower(damping), jnp.asarray(target), damping) for f in (gram, graded)
    )
    difference = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert found.dtype == dtype
    assert difference < 20 * (eps / 50) ** 0.5  # eps s_max / sqrt(damping), of QR


@pytest.mark.parametrize("shape", SHAPES)
def test_no_factor_no_solution(shape, conditioned):
    matrix = jnp.asarray(conditioned(*shape, np.logspace(0, -12, 8), 0))
    factor = factorize(matrix, jnp.asarray(1.0))
    lower = jnp.full((8, 8), jnp.nan)  # what Cholesky gives where the damping is too small
    target = jnp.ones(shape[0])
    assert np.all(np.isnan(factor.solve(lower, target, jnp.asarray(1e-30))))


@pytest.mark.parametrize("shape", SHAPES)
def test_route_is_chosen_by_the_damping_and_values_bound_the_condition(shape, conditioned):
    matrix = jnp.asarray(conditioned(*shape, np.logspace(0, -3, 8), 0))
    scale = float(jnp.sum(matrix**2))
    for damping, from_gram in ((1.01e-14 * scale, True), (0.99e-14 * scale, False)):
        factor = factorize(matrix, jnp.asarray(damping))
        assert factor.from_gram == from_gram
        assert 10 < float(factor.condition) < 1001
        assert int(factor.rank()) == 8


def test_rank_of_a_deficient_matrix():
    rng = np.random.default_rng(0)
    matrix = jnp.asarray(rng.normal(size=(16, 3)) @ rng.normal(size=(3, 8)))
    assert int(factorize(matrix).rank()) == 3


def _system(shape=(16, 8), *, gradient=False, damping=1e-6):
    rng = np.random.default_rng(2)
    operator = lx.MatrixLinearOperator(jnp.asarray(rng.normal(size=shape)))
    vector = jnp.asarray(rng.normal(size=shape[1] if gradient else shape[0]))
    sides = {"gradient": vector} if gradient else {"target": vector}
    return LeastSquaresSystem(operator, **sides, damping=jnp.asarray(damping))


@pytest.mark.parametrize("gradient", [False, True], ids=["target", "gradient"])
def test_a_factor_kept_for_one_damping_answers_as_the_system_does(gradient):
    system = _system(gradient=gradient)
    prepared = prepare(system, QLP())
    kept = prepared.at(jnp.asarray(1e-3))
    expected = prepare(system).solve(damping=jnp.asarray(1e-3)).value
    np.testing.assert_allclose(kept.solve().value, expected, rtol=1e-10)
    again = prepared.solve(damping=jnp.asarray(1e-3)).value
    np.testing.assert_allclose(again, kept.solve().value, rtol=1e-14)
    with pytest.raises(ValueError, match="`damping` is that of `at` here"):
        kept.solve(damping=jnp.asarray(1.0))


@pytest.mark.parametrize("smallest", [1e-3, None], ids=["gram", "graded"])
@pytest.mark.parametrize("shape", [(16, 8), (8, 16)], ids=["tall", "wide"])
def test_solution_has_a_reverse_derivative_in_the_gradient(shape, smallest):
    system = _system(shape, gradient=True, damping=1e-3)

    def first(gradient):
        own = LeastSquaresSystem(system.operator, gradient=gradient, damping=system.damping)
        known = None if smallest is None else jnp.asarray(smallest)
        return prepare(own, QLP(), smallest_damping=known).solve().value[0]

    matrix = np.asarray(system.operator.as_matrix())
    inverse = np.linalg.inv(matrix.T @ matrix + 1e-3 * np.eye(shape[1]))
    np.testing.assert_allclose(jax.grad(first)(system.gradient), inverse[0], rtol=1e-8, atol=1e-8)


def test_solution_has_a_forward_derivative_in_the_target():
    system = _system()

    def solution(target):
        return prepare(system, QLP()).solve(target=target).value

    _, slope = jax.jvp(solution, (system.target,), (jnp.ones(16),))
    np.testing.assert_allclose(slope, solution(jnp.ones(16)), rtol=1e-9)


def test_zero_damping_is_refused_with_its_cure():
    with pytest.raises(ValueError, match=r"`damping` is 0.*`Spectral` solves"):
        prepare(_system(), QLP()).solve(damping=0.0)
    for damping, result in ((0.0, lx.RESULTS.singular), (1e-3, lx.RESULTS.successful)):
        options = {"damping": jnp.asarray(damping)}
        operator, ones = _system().operator, jnp.ones(16)
        found = lx.linear_solve(operator, ones, QLP(), options=options, throw=False)
        assert found.result == result


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_system_without_entries(shape):
    system = LeastSquaresSystem(
        lx.MatrixLinearOperator(jnp.zeros(shape)), jnp.zeros(shape[0]), damping=jnp.asarray(1.0)
    )
    assert prepare(system, QLP()).at(jnp.asarray(1.0)).solve().value.shape == (shape[1],)
