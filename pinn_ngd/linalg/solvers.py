"""Linear solvers by name, and a solver that falls back on another."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, PyTree
from lineax import CG as CG
from lineax import QR as QR
from lineax import SVD as SVD
from lineax import Cholesky as Cholesky
from lineax import Normal as Normal

from ._ravel import all_finite
from .guards import is_empty
from .lsmr import LSMR as LSMR
from .spectral import Spectral
from .spu import SPU


class Fallback(lx.AbstractLinearSolver[Any]):
    """Solve with `primary`; where that fails, solve again with `secondary`.

    Failure is a vector or solution with a non-finite entry or an unsuccessful `lineax.RESULTS`;
    operators without rows or columns are left to neither. The secondary solver runs (and factors
    the operator) only then, except under `vmap`, where both run. `stats["fallback"]` tells which
    solution was returned, beside the stats of `primary`.
    """

    primary: lx.AbstractLinearSolver
    secondary: lx.AbstractLinearSolver

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> Any:
        if is_empty(operator):
            return None, operator
        # The secondary's factorization would cost its full price on every success: postponed.
        return self.primary.init(operator, options), operator

    def compute(
        self, state: Any, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        primary_state, operator = state
        if is_empty(operator):
            zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), operator.in_structure())
            return zero, lx.RESULTS.successful, {"fallback": jnp.asarray(False)}
        first, result, stats = self.primary.compute(primary_state, vector, options)
        failed = (result != lx.RESULTS.successful) | ~all_finite((vector, first))

        def again() -> tuple[PyTree[Array], lx.RESULTS]:
            secondary_state = self.secondary.init(operator, options)
            return self.secondary.compute(secondary_state, vector, options)[:2]

        value, result = jax.lax.cond(failed, again, lambda: (first, result))
        return value, result, {**stats, "fallback": failed}

    def transpose(self, state: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        primary_state, operator = state
        if not is_empty(operator):
            primary_state, options = self.primary.transpose(primary_state, options)
        return (primary_state, operator.transpose()), options

    def conj(self, state: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        primary_state, operator = state
        if not is_empty(operator):
            primary_state, options = self.primary.conj(primary_state, options)
        return (primary_state, lx.conj(operator)), options

    def assume_full_rank(self) -> bool:
        return self.primary.assume_full_rank() and self.secondary.assume_full_rank()


def is_semidefinite(solver: lx.AbstractLinearSolver) -> bool:
    """Whether a solver works with the Gram matrix: `Normal`, or a bare Cholesky, CG or SPU."""
    return isinstance(solver, (Normal, Cholesky, CG, SPU))


def is_device(solver: lx.AbstractLinearSolver) -> bool:
    """Whether a solver is a simulated device, bare or in `Normal`."""
    return isinstance(inner(solver), SPU)


def inner(solver: lx.AbstractLinearSolver) -> lx.AbstractLinearSolver:
    """The solver for A^T A that corresponds to a least-squares solver for A."""
    return solver.inner_solver if isinstance(solver, Normal) else solver


def rectangular(solver: lx.AbstractLinearSolver) -> lx.AbstractLinearSolver:
    """The least-squares solver that corresponds to a solver of semidefinite systems."""
    if isinstance(solver, Fallback):
        return Fallback(rectangular(solver.primary), rectangular(solver.secondary))
    if type(solver) is lx.LSMR:  # ours knows every precision
        return LSMR(solver.rtol, solver.atol, solver.norm, solver.max_steps, solver.conlim)
    if isinstance(solver, Normal) or not is_semidefinite(solver):
        return solver
    untyped: Any = solver
    return Normal(untyped)


def is_iterative(solver: lx.AbstractLinearSolver) -> bool:
    """Whether a solver needs products with the operator only, never its matrix."""
    if isinstance(solver, Normal):
        return is_iterative(solver.inner_solver)
    if isinstance(solver, Fallback):
        return is_iterative(solver.primary) and is_iterative(solver.secondary)
    if isinstance(solver, SPU):
        return solver.simulation != "exact" and not solver.device.needs_arrays
    direct = (Spectral, QR, SVD, Cholesky, lx.LU, lx.AutoLinearSolver)
    return not isinstance(solver, direct)


def _cg(eps: float) -> lx.AbstractLinearSolver:
    # 4e-11 in float64: the squared matrix allows little more.
    return Normal(CG(rtol=eps ** (2 / 3), atol=eps ** (3 / 4), max_steps=5000))


def _lsmr(eps: float) -> lx.AbstractLinearSolver:
    # The default `conlim` of 1e8 would end ill-conditioned damped solves early.
    return LSMR(rtol=45 * eps, atol=45 * eps, max_steps=5000, conlim=float("inf"))


# Iterative solvers stop at tolerances that the precision `eps` allows; the others need none.
_SOLVERS: dict[str, tuple[Callable[[float], lx.AbstractLinearSolver], str]] = {
    "spectral": (
        lambda _: Spectral(),
        "one factorization for every damping; QR or Gram matrix, whichever the damping allows",
    ),
    "spectral-gram": (
        lambda _: Spectral("gram"),
        "one factorization for every damping, from the Gram matrix: fast, for larger dampings",
    ),
    "spectral-qr": (
        lambda _: Spectral("qr"),
        "one factorization for every damping, from QR and the SVD of R: safe for every damping",
    ),
    "qr": (lambda _: QR(), "QR of the damped operator; does not square the condition number"),
    "svd": (lambda _: SVD(), "singular values of the damped operator; the slowest and most robust"),
    "cholesky": (
        lambda _: Fallback(Normal(Cholesky()), SVD()),
        "Cholesky of the damped normal equations; falls back on the SVD and reports it",
    ),
    "cg": (_cg, "conjugate gradients on the damped normal equations; matrix-free"),
    "spu": (
        lambda _: SPU(time=1e6),
        "a simulated analog device, without noise, after 1e6 time constants; exact by eigenvalues",
    ),
    "lsmr": (_lsmr, "LSMR on the damped operator; matrix-free"),
}


def solver_names() -> dict[str, str]:
    """Every name that `get_solver` knows, with a line of description."""
    return {name: description for name, (_, description) in _SOLVERS.items()}


def get_solver(name: str, *, dtype: Any = None) -> lx.AbstractLinearSolver:
    """A solver for damped least squares by name; raises ValueError for an unknown name.

    `dtype` (default: JAX's default float) sets the tolerances of iterative solvers.
    """
    if name not in _SOLVERS:
        msg = f"`name` is {name!r}; choose one of {', '.join(map(repr, _SOLVERS))}."
        raise ValueError(msg)
    eps = jnp.finfo(jnp.result_type(float) if dtype is None else dtype).eps
    return _SOLVERS[name][0](float(eps))
