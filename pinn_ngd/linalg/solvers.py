"""Linear solvers by name, and what is known of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import lineax as lx
from lineax import CG as CG
from lineax import QR as QR
from lineax import SVD as SVD
from lineax import Cholesky as Cholesky
from lineax import Normal as Normal

from .._registry import Registry
from .capabilities import is_semidefinite
from .fallback import Fallback as Fallback
from .lsmr import LSMR as LSMR
from .qlp_solver import QLP
from .spectral_solver import Spectral


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


def _cg(eps: float) -> lx.AbstractLinearSolver:
    # 4e-11 in float64: the squared matrix allows little more.
    return Normal(CG(rtol=eps ** (2 / 3), atol=eps ** (3 / 4), max_steps=5000))


def _lsmr(eps: float) -> lx.AbstractLinearSolver:
    # The default `conlim` of 1e8 would end ill-conditioned damped solves early.
    return LSMR(rtol=45 * eps, atol=45 * eps, max_steps=5000, conlim=float("inf"))


class Named(NamedTuple):
    """How a solver is made for a precision eps, and a line that describes it."""

    make: Callable[[float], lx.AbstractLinearSolver]
    description: str


# Iterative solvers stop at tolerances that the precision `eps` allows; the others need none.
_SHIPPED: dict[str, tuple[Callable[[float], lx.AbstractLinearSolver], str]] = {
    "qlp": (
        lambda _: QLP(),
        "two QR factorizations, then a Cholesky factor for each damping above zero",
    ),
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
    "lsmr": (_lsmr, "LSMR on the damped operator; matrix-free"),
}


def register_solver(
    name: str, make: Callable[[float], lx.AbstractLinearSolver], description: str = ""
) -> None:
    """Give a solver a name: for `get_solver`, the optimizers that take one, the command line.

    `make(eps)` returns a Lineax solver of least-squares problems for numbers of the relative
    precision `eps`. Raises ValueError for a name that something else has.
    """
    first = ((make.__doc__ or "").strip().splitlines() or [""])[0]
    SOLVERS.add(name, Named(make, description or first), lambda named: named.make)


SOLVERS: Registry[Named] = Registry("linear solver", "pinn_ngd.solvers", register_solver)
for _name, _solver in _SHIPPED.items():
    register_solver(_name, *_solver)


def solver_names() -> dict[str, str]:
    """Every name that `get_solver` knows, with a line of description."""
    return {name: description for name, (_, description) in SOLVERS.complete().items()}


def get_solver(name: str, *, dtype: Any = None) -> lx.AbstractLinearSolver:
    """A solver for damped least squares by name; raises ValueError for an unknown name.

    `dtype` (default: JAX's default float) sets the tolerances of iterative solvers.
    """
    make = SOLVERS.find(name).make
    eps = jnp.finfo(jnp.result_type(float) if dtype is None else dtype).eps
    return make(float(eps))
