"""Solvers that are given a whole damped system, not an operator and a vector."""

import abc
from typing import Any, TypeVar

import lineax as lx
from jaxtyping import Array, ArrayLike, PyTree, Real

from .capabilities import inner
from .least_squares import LeastSquaresSystem, Solution

_State = TypeVar("_State")


class AbstractSystemSolver(lx.AbstractLinearSolver[_State]):
    """A Lineax solver that takes over the whole of argmin_x 1/2 |A x - b|^2 + damping/2 |x|^2.

    `linalg.solve` gives other solvers a stack or a Gram matrix in which the damping is hidden.
    One of this class, bare or in `lineax.Normal`, is given the `LeastSquaresSystem` as it is,
    whatever the `form`: because a factor of A serves every damping (`Spectral`), or because the
    solver's own state lives in the space of x. Systems without rows or columns are not given to it.
    """

    def check_system(self, system: LeastSquaresSystem) -> None:
        """Raises ValueError, in one sentence, for a system that it cannot solve."""
        del system

    def prepare_system(
        self, system: LeastSquaresSystem, smallest_damping: Real[ArrayLike, ""] | None = None
    ) -> PyTree:
        """What the dampings and right-hand sides to come share, or None for nothing.

        `smallest_damping` is the least damping to come, where the caller knows it.
        """
        del system, smallest_damping
        return None

    def prepare_damping(self, state: PyTree, damping: Real[ArrayLike, ""]) -> PyTree:
        """`state` with what the right-hand sides to come share for one damping; by default nothing
        more."""
        del damping
        return state

    @abc.abstractmethod
    def solve_system(
        self, system: LeastSquaresSystem, options: dict[str, Any], state: PyTree = None
    ) -> Solution:
        """The solution for a target b, or of (A^T A + damping I) x = g for a gradient g.

        `state` is what `prepare_system` returned for the same operator, or `prepare_damping` for
        the same operator and damping, or None.
        """

    def empty_stats(self) -> dict[str, Array]:
        """The statistics of a system without rows or columns."""
        return {}


def system_solver(solver: lx.AbstractLinearSolver) -> AbstractSystemSolver | None:
    """The solver itself, or the one in `lineax.Normal`, if it takes whole systems; else None."""
    found = inner(solver)
    return found if isinstance(found, AbstractSystemSolver) else None
