"""Every solver in every circumstance: it agrees with NumPy, or refuses in one sentence."""

import functools
import inspect
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd import linalg, spu
from pinn_ngd.linalg import (
    CG,
    LSMR,
    QLP,
    QR,
    SVD,
    Cholesky,
    Fallback,
    JacobianRows,
    LeastSquaresSystem,
    Normal,
    NystromDual,
    Spectral,
    solve,
    solver_names,
)
from pinn_ngd.spu import SPU

TOLERANCES = {"rtol": 1e-10, "atol": 1e-10, "max_steps": 200}
LOOSE = {"rtol": 1e-5, "atol": 1e-5, "max_steps": 200}
# Each with a single-precision twin where its tolerances need one.
SOLVERS = {
    "qlp": (QLP(),),
    "spectral": (Spectral(),),
    "qr": (QR(),),
    "svd": (SVD(),),
    "cholesky": (Cholesky(),),
    "cg": (CG(**TOLERANCES), CG(**LOOSE)),
    "normal-cg": (Normal(CG(**TOLERANCES)), Normal(CG(**LOOSE))),
    "lsmr": (LSMR(**TOLERANCES), LSMR(**LOOSE)),
    "fallback": (Fallback(Normal(Cholesky()), SVD()),),
    "fallback-iterative": (
        Fallback(Normal(CG(**TOLERANCES)), LSMR(**TOLERANCES)),
        Fallback(Normal(CG(**LOOSE)), LSMR(**LOOSE)),
    ),
    "nystrom": (NystromDual(4),),
    "spu": (SPU(time=1e3),),
    "normal-spu": (Normal(SPU(time=1e3)),),
    "spu-lanczos": (SPU(time=1e3, simulation="lanczos"),),
    "spu-euler": (SPU(time=1e3, simulation="euler-maruyama"),),
}
DEVICES = [name for name in SOLVERS if "spu" in name]
SHAPES = [(4, 3), (3, 4)]
DAMPING = 0.3
REFUSED = {
    ("nystrom", "complex"): "`operator` is complex, and `NystromDual` takes real ones",
    **{(name, "complex"): "`operator` is complex, but voltages are real" for name in DEVICES},
    **{
        (name, "jvp in the operator"): "cannot be differentiated in"
        for name in ("qlp", "spectral", "spu", "normal-spu")
    },
}


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def _solution(matrix, target):
    square = matrix.conj().T @ matrix + DAMPING * np.eye(matrix.shape[1])
    return np.linalg.solve(square, matrix.conj().T @ target)


def _rows(matrix):
    into, out = (jax.ShapeDtypeStruct((n,), matrix.dtype) for n in matrix.shape[::-1])
    return JacobianRows(matrix, into, out)


def _run(solver, matrix, target):
    found = solve(LeastSquaresSystem(_rows(matrix), target, damping=DAMPING), solver)
    return found.value, found.result == lx.RESULTS.successful


def _refused(name, cell, call):
    """Whether the solver has to refuse, and then that it does, in one sentence."""
    if (name, cell) not in REFUSED:
        return False
    with pytest.raises((ValueError, TypeError, NotImplementedError, RuntimeError)) as caught:
        jax.block_until_ready(call())
    assert re.search(REFUSED[name, cell], str(caught.value))
    return True


@functools.cache
def _program(name):
    """Compiled once for all that is asked of real numbers in double precision."""
    return jax.jit(functools.partial(_run, SOLVERS[name][0]))


# Stand-ins for A^T A or for its inverse, which files of their own test.
WITH_STRUCTURE = {
    linalg.Blockwise,
    linalg.ByLayer,
    linalg.InverseJacobian,
    linalg.KroneckerFactored,
    linalg.LayerwiseWoodbury,
    linalg.StaleKronecker,
    linalg.Woodbury,
}

NEEDS_GPUS = {linalg.JAXMg}  # tested with a stand-in


def test_every_exported_solver_is_here():
    exported = [value for module in (linalg, spu) for value in vars(module).values()]
    classes = {value for value in exported if isinstance(value, type)}
    solvers = {one for one in classes if issubclass(one, lx.AbstractLinearSolver)}
    here = {type(solvers[0]) for solvers in SOLVERS.values()} | WITH_STRUCTURE | NEEDS_GPUS
    assert {one for one in solvers if not inspect.isabstract(one)} == here
    assert {name.split("-")[0] for name in solver_names()} <= set(SOLVERS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SOLVERS)
def test_real(name, shape):
    matrix, target = _random(*shape), _random(shape[0], seed=1)
    value, succeeded = _program(name)(jnp.asarray(matrix), jnp.asarray(target))
    assert succeeded
    np.testing.assert_allclose(value, _solution(matrix, target), rtol=1e-7)


@pytest.mark.parametrize("name", SOLVERS)
def test_complex(name):
    matrix = _random(4, 3) + 1j * _random(4, 3, seed=2)
    target = _random(4, seed=1) + 1j * _random(4, seed=3)
    arguments = jnp.asarray(matrix), jnp.asarray(target)
    if _refused(name, "complex", lambda: _run(SOLVERS[name][0], *arguments)):
        return
    value, succeeded = _program(name)(*arguments)
    assert succeeded
    np.testing.assert_allclose(value, _solution(matrix, target), rtol=1e-7)


@pytest.mark.parametrize("name", SOLVERS)
def test_single_precision(name):
    matrix, target = (x.astype(np.float32) for x in (_random(4, 3), _random(4, seed=1)))
    run = jax.jit(functools.partial(_run, SOLVERS[name][-1]))
    value, succeeded = run(jnp.asarray(matrix), jnp.asarray(target))
    assert succeeded
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, _solution(*map(np.float64, (matrix, target))), rtol=1e-3)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("name", SOLVERS)
def test_no_rows_or_no_columns(name, shape):
    value, succeeded = _program(name)(jnp.zeros(shape), jnp.ones(shape[0]))
    assert succeeded
    np.testing.assert_array_equal(value, np.zeros(shape[1]))


@pytest.mark.parametrize("name", SOLVERS)
def test_a_number_that_is_none_in_a_batch(name):
    """One member has it in the target, one in the matrix, and the third is none the worse."""
    matrices = jnp.asarray(np.stack([_random(4, 3)] * 3)).at[1, 2, 1].set(jnp.nan)
    targets = jnp.asarray(np.stack([_random(4, seed=1)] * 3)).at[0, 2].set(jnp.nan)
    values, succeeded = jax.jit(jax.vmap(functools.partial(_run, SOLVERS[name][0])))(
        matrices, targets
    )
    assert succeeded.tolist() == [False, False, True]
    expected = _solution(_random(4, 3), _random(4, seed=1))
    np.testing.assert_allclose(values[2], expected, rtol=1e-7)


# Lineax's own, where they are asked without us: stopped at once, with zeros for a success.
CONTENT = ("cg", "normal-cg")


@pytest.mark.parametrize("name", SOLVERS)
def test_nothing_is_raised_by_plain_lineax_unless_asked_for(name):
    """On a singular semidefinite operator of NaN, where every solver fails."""
    solver = SOLVERS[name][0]

    @eqx.filter_jit
    def run(matrix, vector):
        operator = lx.MatrixLinearOperator(matrix, lx.positive_semidefinite_tag)
        found = lx.linear_solve(operator, vector, solver, throw=False)
        return found.result == lx.RESULTS.successful

    succeeded = run(jnp.full((3, 3), jnp.nan), jnp.ones(3))
    assert bool(succeeded) == (name in CONTENT)


@pytest.mark.parametrize("name", SOLVERS)
def test_derivatives_in_the_target(name):
    matrix, target = _random(4, 3), jnp.asarray(_random(4, seed=1))
    run = functools.partial(_run, SOLVERS[name][0], jnp.asarray(matrix))

    @jax.jit
    def both(target, tangent, cotangent):
        pull = jax.vjp(lambda b: run(b)[0], target)[1]
        return jax.jvp(lambda b: run(b)[0], (target,), (tangent,))[1], pull(cotangent)[0]

    tangent, cotangent = _random(4, seed=2), _random(3, seed=3)
    pushed, pulled = both(target, jnp.asarray(tangent), jnp.asarray(cotangent))
    inverse = _solution(matrix, np.eye(4))
    np.testing.assert_allclose(pushed, inverse @ tangent, rtol=1e-7)
    np.testing.assert_allclose(pulled, inverse.T @ cotangent, rtol=1e-7)


@pytest.mark.parametrize("name", SOLVERS)
def test_derivative_in_the_operator(name):
    """(A^T A + c) x' = B^T b - (B^T A + A^T B) x along the change B of A."""
    matrix, change, target = _random(4, 3), _random(4, 3, seed=4), _random(4, seed=1)

    def pushed():
        def run(t):
            return _run(SOLVERS[name][0], matrix + t * change, jnp.asarray(target))[0]

        return jax.jit(lambda t: jax.jvp(run, (t,), (jnp.ones(()),))[1])(jnp.zeros(()))

    if _refused(name, "jvp in the operator", pushed):
        return
    x = _solution(matrix, target)
    right = change.T @ target - (change.T @ matrix + matrix.T @ change) @ x
    expected = np.linalg.solve(matrix.T @ matrix + DAMPING * np.eye(3), right)
    np.testing.assert_allclose(pushed(), expected, rtol=1e-6)
