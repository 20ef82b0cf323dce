"""Solvers that factor the rows of a system once and answer dampings and right-hand sides."""

import abc
from typing import Any

import equinox as eqx
import equinox.internal as eqxi
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Inexact, PyTree, Real

from ._ravel import all_finite, hashable, ravel, structure_of, unravel
from .calling import linear_solve
from .least_squares import LeastSquaresSystem, Solution
from .system_solver import AbstractSystemSolver


class FactorState(eqx.Module):
    """The factor of the rows, the structures of both sides, and what one damping shares, if any."""

    factor: Any
    structures: eqxi.Static
    of_damping: Any = None


class AbstractFactorSolver(AbstractSystemSolver[FactorState]):
    """argmin_x 1/2 |A x - b|^2 + damping/2 |x|^2 by a factor of the dense A.

    `damping = options["damping"]`, 0 by default; `options["smallest_damping"]` tells `init` what
    the least of them will be. `stats` says "rank", "condition" and "from_gram" as the factor knows
    them.
    """

    @abc.abstractmethod
    def factored(self, matrix: Inexact[Array, "n p"], smallest_damping: Any) -> Any:
        """The factor of the rows; `smallest_damping` is None where it is not known."""

    @abc.abstractmethod
    def for_target(self, state: FactorState, target: Inexact[Array, " n"], damping: Any) -> Array:
        """x for a target b."""

    @abc.abstractmethod
    def for_gradient(
        self, state: FactorState, gradient: Inexact[Array, " p"], damping: Any
    ) -> Array:
        """(A^H A + damping I)^-1 g."""

    def check_damping(self, damping: Any) -> None:
        """Raises ValueError for a damping that is known and cannot be."""
        del damping

    def rank(self, factor: Any) -> Array:
        """The numerical rank of the rows."""
        return factor.rank()

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> FactorState:
        factor = self.factored(operator.as_matrix(), least(options))
        structures = hashable(operator.in_structure()), hashable(operator.out_structure())
        return FactorState(factor, eqxi.Static(structures))

    def compute(
        self, state: FactorState, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        in_structure, _ = state.structures.value
        target = ravel(vector, state.factor.dtype)
        solution = self.for_target(state, target, options.get("damping", 0.0))
        value = unravel(solution, structure_of(in_structure))
        return value, lx.RESULTS.successful, self.stats(state.factor)

    def prepare_system(
        self, system: LeastSquaresSystem, smallest_damping: Real[ArrayLike, ""] | None = None
    ) -> FactorState:
        """The factor of the rows."""
        known = {} if smallest_damping is None else {"smallest_damping": smallest_damping}
        return self.init(system.operator, known)

    def solve_system(
        self, system: LeastSquaresSystem, options: dict[str, Any], state: PyTree = None
    ) -> Solution:
        """Through Lineax for a target; from the factor for a gradient, which Lineax has not."""
        options = {"damping": system.damping, **options}
        self.check_damping(options["damping"])
        if system.gradient is None:
            return linear_solve(system.operator, system.target, self, options, state)
        state = self.init(system.operator, options) if state is None else state
        flat = ravel(system.gradient, state.factor.dtype)
        value = self.for_gradient(state, flat, options["damping"])
        value = unravel(value, system.operator.in_structure())
        result = lx.RESULTS.where(all_finite(value), lx.RESULTS.successful, lx.RESULTS.singular)
        return Solution(value, result, self.stats(state.factor))

    def stats(self, factor: Any) -> dict[str, Array]:
        """What a solution reports of its factor."""
        return {
            "rank": self.rank(factor),
            "condition": factor.condition,
            "from_gram": factor.from_gram,
        }

    def empty_stats(self) -> dict[str, Array]:
        """What a solution reports of a matrix without entries."""
        return self.stats(self.factored(jnp.zeros((0, 0)), None))

    def assume_full_rank(self) -> bool:
        return False


def least(options: dict[str, Any]) -> Any:
    """The least damping to come, where it is known."""
    return options.get("smallest_damping", options.get("damping"))


def turned(structures: eqxi.Static) -> eqxi.Static:
    """The structures of the two sides of the transposed operator."""
    in_structure, out_structure = structures.value
    return eqxi.Static((out_structure, in_structure))


def no_derivative(solver: str) -> NotImplementedError:
    """The error of a derivative in the operator.

    Lineax asks for `conj` only to differentiate in the operator, by a formula for pseudo-inverses
    that is wrong with damping: better no gradient than a wrong one.
    """
    return NotImplementedError(
        f"A solution of `{solver}` with damping cannot be differentiated in its operator: solve"
        " with `QR()`, which keeps the damping inside of the operator."
    )
