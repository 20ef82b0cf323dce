"""A solver that takes over whole damped systems."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import (
    AbstractSystemSolver,
    Fallback,
    LeastSquaresSystem,
    Normal,
    Solution,
    prepare,
    solve,
    takes_key,
)

ROWS = np.random.default_rng(0).normal(size=(4, 3))


class Inverse(AbstractSystemSolver[Any]):
    """Inverts the Gram matrix, and reports what it was given."""

    matrix_free: ClassVar[bool] = False
    takes_key: ClassVar[bool] = True

    def init(self, operator, options):
        raise AssertionError(f"given {operator} and {options}, and not the system")

    compute = transpose = conj = init

    def assume_full_rank(self):
        return False

    def prepare_system(self, system, smallest_damping=None):
        assert system.damping > smallest_damping
        return smallest_damping

    def solve_system(self, system, options, state=None):
        matrix = system.operator.as_matrix()
        given = system.gradient if system.target is None else matrix.T @ system.target
        square = matrix.T @ matrix + system.damping * jnp.eye(matrix.shape[1])
        stats = {"state": state, "options": options}
        return Solution(jnp.linalg.solve(square, given), lx.RESULTS.successful, stats)


def _expected(gradient, damping):
    return np.linalg.solve(ROWS.T @ ROWS + damping * np.eye(3), gradient)


@pytest.mark.parametrize("wrap", [lambda s: s, Normal])
@pytest.mark.parametrize("form", ["auto", "primal", "dual"])
def test_the_system_is_handed_over_as_it_is(dense, wrap, form):
    operator, target = dense(jnp.asarray(ROWS)), jnp.ones(4)
    system, solver = LeastSquaresSystem(operator, target, damping=0.3), wrap(Inverse())
    found = solve(system, solver, form=form, options={"key": 1})
    np.testing.assert_allclose(found.value, _expected(ROWS.T @ np.ones(4), 0.3), rtol=1e-12)
    assert found.stats == {"state": None, "options": {"key": 1}}
    kept = prepare(system, solver, form=form, smallest_damping=0.1)
    again = kept.solve(damping=0.7, gradient=jnp.arange(3.0))
    np.testing.assert_allclose(again.value, _expected(np.arange(3.0), 0.7), rtol=1e-12)
    assert again.stats == {"state": 0.1, "options": {}}


def test_empty_systems_are_not_handed_over(dense):
    system = LeastSquaresSystem(dense(jnp.zeros((0, 3))), jnp.zeros(0))
    assert prepare(system, Inverse(), smallest_damping=0.1).state is None
    found = solve(system, Inverse())
    np.testing.assert_array_equal(found.value, 0)
    assert found.stats == {}


def test_attributes_of_an_inner_solver_count():
    assert takes_key(Inverse())
    assert takes_key(Normal(Inverse()))
    assert takes_key(Fallback(lx.SVD(), Normal(Inverse())))
    assert not takes_key(Fallback(lx.SVD(), lx.QR()))


class Refusing(lx.SVD):
    """Says that its solutions are no linear maps of the vector."""

    def refusal_of_derivatives(self, options):
        return "not linear" if "start" in options else None


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: Fallback(s, lx.SVD())])
def test_derivatives_that_a_solver_refuses_are_errors(dense, wrap):
    solver, operator = wrap(Refusing()), dense(jnp.asarray(ROWS))

    def run(target, **options):
        return solve(LeastSquaresSystem(operator, target), solver, options=options).value

    ones = jnp.ones(4)
    _, tangent = jax.jvp(run, (ones,), (ones,))
    np.testing.assert_allclose(tangent, np.linalg.pinv(ROWS) @ np.ones(4), rtol=1e-12)
    with pytest.raises(RuntimeError, match="not linear"):
        jax.jvp(lambda b: run(b, start=1.0), (ones,), (ones,))
    with pytest.raises(RuntimeError, match="not linear"):
        jax.grad(lambda b: run(b, start=1.0)[0])(ones)
