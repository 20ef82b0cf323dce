"""The one place that calls `lineax.linear_solve`."""

from typing import Any

import equinox.internal as eqxi
import lineax as lx
from jaxtyping import Array, PyTree

from .capabilities import refusal_of_derivatives
from .least_squares import Solution


def linear_solve(
    operator: lx.AbstractLinearOperator,
    vector: PyTree[Array],
    solver: lx.AbstractLinearSolver,
    options: dict[str, Any],
    state: PyTree = None,
) -> Solution:
    """What `lineax.linear_solve` answers, a failure being a result and no error.

    Lineax differentiates x = A^-1 b by another solve, in forward mode without asking the solver.
    Where that is wrong the solver says so (see `refusal_of_derivatives`), and a derivative of the
    value is an error with the solver's sentence, in forward and in reverse mode.
    """
    kept = {} if state is None else {"state": state}
    out = lx.linear_solve(operator, vector, solver, options=options, throw=False, **kept)
    value = nondifferentiable(out.value, refusal_of_derivatives(solver, options))
    return Solution(value, out.result, dict(out.stats))


def nondifferentiable(value: PyTree[Array], refusal: str | None) -> PyTree[Array]:
    """The value, any derivative of which is an error with the sentence, if there is one."""
    return value if refusal is None else eqxi.nondifferentiable(value, msg=refusal)
