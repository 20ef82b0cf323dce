"""How a damped least-squares system is put to a Lineax solver."""

from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Inexact, PyTree, Real

from .._names import choose
from ._ravel import dtype_of, ravel
from .calling import linear_solve
from .capabilities import inner, is_iterative, is_semidefinite
from .damped import damped_dual, damped_primal, gram
from .guards import SINGULAR, is_empty, judge, solve_empty
from .least_squares import LeastSquaresSystem, Solution
from .operators import adjoint, is_real
from .solvers import rectangular
from .spectral import is_zero
from .spectral_solver import Spectral
from .system_solver import system_solver

Form = Literal["auto", "primal", "dual", "matrix-free"]


class Prepared(eqx.Module):
    """A system whose factorization is kept: a PyTree that answers many dampings and targets."""

    system: LeastSquaresSystem
    solver: lx.AbstractLinearSolver
    state: PyTree
    form: Form = eqx.field(static=True)
    is_for_one_damping: bool = eqx.field(static=True, default=False)

    def solve(
        self,
        *,
        damping: Real[ArrayLike, ""] | None = None,
        target: PyTree[Array] | None = None,
        gradient: PyTree[Array] | None = None,
        options: dict[str, Any] | None = None,
    ) -> Solution:
        """Solve for another damping or right-hand side; what is not given stays as prepared.

        Raises ValueError for another damping than that of `at`.
        """
        old = self.system
        if self.is_for_one_damping and damping is not None:
            raise ValueError("`damping` is that of `at` here: ask what `prepare` returned instead.")
        if target is None and gradient is None:
            target, gradient = old.target, old.gradient
        damping = old.damping if damping is None else damping
        system = LeastSquaresSystem(old.operator, target, gradient=gradient, damping=damping)
        return solve(system, self.solver, form=self.form, options=options, state=self.state)

    def at(self, damping: Real[ArrayLike, ""]) -> "Prepared":
        """The same for one damping, with what its right-hand sides share done once.

        It answers no other damping.
        """
        old, whole = self.system, system_solver(self.solver)
        target, gradient = old.target, old.gradient
        system = LeastSquaresSystem(old.operator, target, gradient=gradient, damping=damping)
        state = self.state
        if whole is not None and state is not None:
            state = whole.prepare_damping(state, damping)
        return Prepared(system, self.solver, state, self.form, is_for_one_damping=True)


def prepare(
    system: LeastSquaresSystem,
    solver: lx.AbstractLinearSolver = Spectral(),  # noqa: B008  (immutable)
    *,
    form: Form = "auto",
    smallest_damping: Real[ArrayLike, ""] | None = None,
) -> Prepared:
    """Do the work that dampings and right-hand sides share.

    `Spectral` factors the rows; tell it the `smallest_damping` to come, and `method="auto"` may
    take the cheaper Gram route. Any other `AbstractSystemSolver` prepares what it likes. For other
    direct solvers the rows are formed once, and each call of `Prepared.solve` factors anew;
    iterative solvers prepare nothing.
    """
    _check_form(form, solver)
    state, whole = None, system_solver(solver)
    if is_empty(system.operator):
        pass  # `solve` asks no solver
    elif whole is not None:
        state = whole.prepare_system(system, smallest_damping)
    elif not is_iterative(solver):
        dense = lx.materialise(system.operator)
        system = eqx.tree_at(lambda s: s.operator, system, dense)
    return Prepared(system, solver, state, form)


def solve(
    system: LeastSquaresSystem,
    solver: lx.AbstractLinearSolver = Spectral(),  # noqa: B008  (immutable)
    *,
    form: Form = "auto",
    options: dict[str, Any] | None = None,
    state: PyTree = None,
) -> Solution:
    """Solve a damped least-squares system with any Lineax solver.

    An `AbstractSystemSolver` such as `Spectral`, bare or in `Normal`, is given the
    system as it is, whatever the form, and may be given a kept `state`. `Spectral` factors A
    itself, on its smaller side. For other solvers, with a target b:

    - "primal": least squares with the tall [A; sqrt(damping) I] and target (b, 0);
    - "dual": the minimum-norm solution of the wide [A, sqrt(damping) I] (x, y) = b;
    - "auto": dual where A has fewer rows than columns;
    - "matrix-free": as "auto", for iterative solvers only (ValueError otherwise), so that the
      matrix of A is never formed.

    With a gradient g: (A^T A + damping I) x = g, or in dual form the Woodbury identity
    x = (g - A^T (A A^T + damping I)^-1 A g) / damping, which loses digits where the damping is
    small. `Normal(inner)` hands the Gram matrix to its inner solver; QR, SVD and LSMR never form
    it and solve one minimum-norm and one least-squares problem instead. A bare `Cholesky` or `CG`
    is read as `Normal` of it.

    The right-hand side is scaled to unit norm for iterative solvers, so that their absolute
    tolerances are relative to it.

    A system without rows has the solution zero (g / damping for a gradient), one without columns an
    empty one; no solver is asked. Infinite numbers and NaN in the system end in a result that is
    not successful, whatever the solver says.
    """
    _check_form(form, solver)
    if is_empty(system.operator):
        whole = system_solver(solver)
        return Solution(*solve_empty(system, {} if whole is None else whole.empty_stats()))
    found = _dispatch(system, solver, form, dict(options or {}), state)
    answer = found.value, found.result, found.stats
    return Solution(*judge(system, answer, products=is_iterative(solver)))


def _dispatch(
    system: LeastSquaresSystem,
    solver: lx.AbstractLinearSolver,
    form: Form,
    options: dict[str, Any],
    state: PyTree,
) -> Solution:
    whole = system_solver(solver)
    if whole is not None:
        return whole.solve_system(system, options, state)
    if is_iterative(solver):
        return _scaled(system, solver, _resolve(form, system.operator), options, state)
    return _solve(system, solver, _resolve(form, system.operator), options, state)


def _scaled(system: LeastSquaresSystem, *args: Any) -> Solution:
    vector = system.gradient if system.target is None else system.target
    norm = jnp.linalg.norm(ravel(vector, dtype_of(vector)))
    norm = jnp.where(norm > 0, norm, 1)
    target, gradient = _scale(system.target, 1 / norm), _scale(system.gradient, 1 / norm)
    unit = LeastSquaresSystem(system.operator, target, gradient=gradient, damping=system.damping)
    solution = _solve(unit, *args)
    return Solution(_scale(solution.value, norm), solution.result, solution.stats)


def _scale(tree: PyTree[Array] | None, factor: Array) -> PyTree[Array]:
    return jax.tree.map(lambda x: x * factor.astype(x.dtype), tree)


def _solve(
    system: LeastSquaresSystem,
    solver: lx.AbstractLinearSolver,
    form: str,
    options: dict[str, Any],
    state: PyTree,
) -> Solution:
    operator, target, damping = system.operator, system.target, system.damping
    solver = rectangular(solver)
    if target is None:
        return _solve_gradient(system, solver, form, options, state)
    if form == "dual" and hasattr(operator, "kernel_matrix") and is_semidefinite(solver):
        flipped = adjoint(operator)  # x = A^H y, with A A^H in the operator's own cheap form
        half = _solve_normal(flipped, target, damping, solver, options, state)
        return Solution(flipped.mv(half.value), half.result, half.stats)
    if form == "dual":
        both = linear_solve(damped_dual(operator, damping), target, solver, options, state)
        return Solution(both.value[0], both.result, both.stats)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), operator.in_structure())
    return linear_solve(damped_primal(operator, damping), (target, zeros), solver, options, state)


def _solve_gradient(
    system: LeastSquaresSystem,
    solver: lx.AbstractLinearSolver,
    form: str,
    options: dict[str, Any],
    state: PyTree,
) -> Solution:
    operator, gradient, damping = system.operator, system.gradient, system.damping
    if form == "primal":
        return _solve_normal(operator, gradient, damping, solver, options, state)
    if is_zero(damping):
        raise ValueError(SINGULAR)
    flipped, vector = adjoint(operator), operator.mv(gradient)
    inside = _solve_normal(flipped, vector, damping, solver, options, state)
    correction = flipped.mv(inside.value)
    value = jax.tree.map(lambda g, x: (g - x) / damping.astype(g.dtype), gradient, correction)
    return Solution(value, inside.result, inside.stats)


def _solve_normal(
    operator: lx.AbstractLinearOperator,
    vector: PyTree[Array],
    damping: Inexact[Array, ""],
    solver: lx.AbstractLinearSolver,
    options: dict[str, Any],
    state: PyTree,
) -> Solution:
    """(A^T A + damping I) x = g, without the Gram matrix unless the solver wants one.

    With D = [A; sqrt(damping) I] the solution is D^+ (D^+)^T g: a minimum-norm and a
    least-squares problem, of the square root of the Gram matrix's condition number.
    """
    if is_semidefinite(solver):
        return linear_solve(gram(operator, damping), vector, inner(solver), options, state)
    tall = damped_primal(operator, damping)
    state = solver.init(tall, options) if state is None else state
    state_h, options_h = (state, options) if is_real(tall) else solver.conj(state, options)
    state_h, options_h = solver.transpose(state_h, options_h)
    half = linear_solve(adjoint(tall), vector, solver, options_h, state_h)
    return _merge(half, linear_solve(tall, half.value, solver, options, state))


def _merge(first: Solution, second: Solution) -> Solution:
    succeeded = first.result == lx.RESULTS.successful
    result = lx.RESULTS.where(succeeded, second.result, first.result)
    stats = dict(second.stats)
    if "fallback" in stats:
        stats["fallback"] = first.stats["fallback"] | stats["fallback"]
    if "num_steps" in stats:
        stats["num_steps"] = first.stats["num_steps"] + stats["num_steps"] + 1  # a start each
    return Solution(second.value, result, stats)


def _resolve(form: Form, operator: lx.AbstractLinearOperator) -> str:
    if form in ("primal", "dual"):
        return form
    return "dual" if operator.out_size() < operator.in_size() else "primal"


def _check_form(form: str, solver: lx.AbstractLinearSolver) -> None:
    choose(form, get_args(Form), "`form`")
    if form == "matrix-free" and not is_iterative(solver):
        msg = (
            f"`form` is 'matrix-free', but `solver` {type(solver).__name__} needs the matrix: use"
            " an iterative solver such as get_solver('lsmr') or get_solver('cg')."
        )
        raise ValueError(msg)
