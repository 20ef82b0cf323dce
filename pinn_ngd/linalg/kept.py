"""Solvers whose factors of one system serve the next ones, and are renewed now and then."""

import abc
from typing import Any, ClassVar, TypeVar

import lineax as lx
from jaxtyping import Array, ArrayLike, Bool, PRNGKeyArray, PyTree, Real

from .least_squares import LeastSquaresSystem, Solution
from .system_solver import AbstractSystemSolver

_State = TypeVar("_State")
Answer = tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]


class AbstractKeptSolver(AbstractSystemSolver[_State]):
    """x = (F + damping)^-1 g with F a kept stand-in for A^T A, made of the rows of an operator.

    x does not solve the system, and Lineax cannot differentiate it in the operator
    (NotImplementedError). `needs_layers` says whether F is a poor one for parameters outside of
    captured layers.
    """

    needs_layers: ClassVar[bool] = False

    @abc.abstractmethod
    def refreshed(
        self,
        state: PyTree | None,
        operator: lx.AbstractLinearOperator,
        *,
        keep: Real[ArrayLike, ""] = 0.0,
        renew: Bool[ArrayLike, ""] = True,
        key: PRNGKeyArray | None = None,
    ) -> PyTree:
        """The factors of `operator`, mixed with those of `state` with weight `keep` for the old.

        What is expensive to make of them is made anew where `renew` says so, with random numbers
        of `key` where some are needed.
        """

    @abc.abstractmethod
    def compute_kept(
        self, state: PyTree, gradient: PyTree[Array], damping: Real[ArrayLike, ""]
    ) -> Answer:
        """x for kept factors, how that went, and statistics."""

    def prepare_system(
        self, system: LeastSquaresSystem, smallest_damping: Real[ArrayLike, ""] | None = None
    ) -> PyTree:
        """The factors of this system alone."""
        del smallest_damping
        return self.refreshed(None, system.operator)

    def solve_system(
        self, system: LeastSquaresSystem, options: dict[str, Any], state: PyTree = None
    ) -> Solution:
        """x for the system's gradient, with kept factors where they are given."""
        state = self.prepare_system(system) if state is None else state
        gradient = system.gradient
        if gradient is None:
            gradient = system.operator.transpose().mv(system.target)
        damping = options.get("damping", system.damping)
        return Solution(*self.compute_kept(state, gradient, damping))

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> Any:
        del options
        return self.refreshed(None, operator), operator

    def compute(self, state: Any, vector: PyTree[Array], options: dict[str, Any]) -> Answer:
        kept, operator = state
        gradient = operator.transpose().mv(vector)
        return self.compute_kept(kept, gradient, options.get("damping", 0.0))

    def transpose(self, state: Any, options: dict[str, Any]) -> Any:
        # Lineax asks for it only to differentiate in the operator, as if x solved the system.
        raise NotImplementedError(self._refusal)

    def conj(self, state: Any, options: dict[str, Any]) -> Any:
        raise NotImplementedError(self._refusal)

    @property
    def _refusal(self) -> str:
        return (
            f"A solution of {type(self).__name__} is an approximation that cannot be differentiated"
            " in its operator: solve with QR()."
        )

    def assume_full_rank(self) -> bool:
        return False
