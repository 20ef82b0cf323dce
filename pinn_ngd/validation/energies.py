"""Errors of minimizers of energies.

An energy does not tell how low it can fall: at a critical point of a network that is too small the
gradient vanishes, and the step in its own tangent space with it. So the step is made in more
functions than the network has: its tangent space and those of networks of the same kind with other
parameters. A second such set tells whether the first was rich enough.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from .. import _tree
from ..linalg import JacobianRows, LeastSquaresSystem, Prepared, Spectral, prepare
from ..objectives import AbstractObjective
from .held_out import FACTOR, HeldOut
from .rounding import moved
from .rows import held_out_gradient, held_out_system
from .spaces import TangentSum, alone, relatives

DAMPING = 1e-18  # relative to s_max^2; below, the rounding of the gradient drowns the step
DIRECTIONS = 64  # the least number of other functions
GROWTH = 1.4  # of the points along every axis
LARGEST_FACTOR = 100.0
INDEPENDENT = 1e-12  # of s_max: singular values above count as a direction
NOISE = 10.0  # times what rounding the parameters changes: not told from zero


def energy_error(
    objective: AbstractObjective, template: AbstractObjective, model: PyTree
) -> tuple[TangentSum, float]:
    """The error of a model trained on the points of `objective`, and what is `unexplained` of it.

    The error is the Newton step in the enriched space, as a function. With g the gradient and
    H = A^T A the metric of a space, the step d = H^-1 g promises a reduction g.d / 2 of the energy.
    Unexplained is the root of the part of it that appears only with the second set of functions, or
    that is not found again at the test points; parts that rounding the parameters of the model
    makes as well are left out. It is infinite where the other models span nothing new, as do those
    of a model that is linear in its parameters.
    """
    count = relatives_needed(model)
    keys = jax.random.split(jax.random.key(0))
    groups = (alone(model), *(relatives(model, count, key) for key in keys))
    made, tested = _points(objective, template, 2 * count + 1, model)
    full = held_out_system(made, model, groups)
    prepared, damping = _prepared(full)
    steps = prepared.solve(damping=damping).value
    error = TangentSum(groups, steps.steps)
    if not _spans_more(full, prepared, _tree.size(model)):
        return error, math.inf
    promised = _reduction(full, steps)
    noise = _tree.subtract(held_out_gradient(made, moved(model), groups), full.gradient)
    rounding = _promise(noise, prepared.solve(damping=damping, gradient=noise).value)
    smaller = _first(full, (1 + count) * _tree.size(model))
    half, damping = _prepared(smaller)
    missed = promised - _promise(smaller.gradient, half.solve(damping=damping).value)
    found_again = _reduction(held_out_system(tested, model, groups), steps)
    left = max(missed, abs(promised - found_again)) - NOISE * rounding
    return error, _root_ratio(left, promised)


def _points(
    objective: AbstractObjective, template: AbstractObjective, spaces: int, model: PyTree
) -> tuple[HeldOut, HeldOut]:
    """Held-out points for the step, more than it has unknowns, and others to test it."""
    factor = FACTOR
    made = HeldOut(objective, factor, template=template)
    while made.size < spaces * _tree.size(model) and factor < LARGEST_FACTOR:
        factor *= GROWTH
        made = HeldOut(objective, factor, template=template)
    return made, HeldOut(objective, factor * GROWTH, template=template)


def relatives_needed(model: PyTree) -> int:
    """How many networks of the same kind one set takes."""
    return max(1, math.ceil(DIRECTIONS / _tree.size(model)))


def _prepared(system: LeastSquaresSystem) -> tuple[Prepared, float]:
    prepared = prepare(system, Spectral(method="qr", refine=False))
    return prepared, DAMPING * float(prepared.state.factor.singular_values[0]) ** 2


def _spans_more(system: LeastSquaresSystem, prepared: Prepared, count: int) -> bool:
    """Whether all columns have a larger rank than the first ones, those of the model itself."""
    assert isinstance(system.operator, JacobianRows)
    whole = np.asarray(prepared.state.factor.singular_values)
    own = np.linalg.svd(np.asarray(system.operator.matrix[:, :count]), compute_uv=False)
    least = INDEPENDENT * whole[0]
    return bool(np.sum(whole > least) > np.sum(own > least))


def _first(system: LeastSquaresSystem, count: int) -> LeastSquaresSystem:
    """The system of the first unknowns alone."""
    assert isinstance(system.operator, JacobianRows)
    gradient, _ = ravel_pytree(system.gradient)
    operator = JacobianRows(
        system.operator.matrix[:, :count],
        jax.ShapeDtypeStruct((count,), gradient.dtype),
        system.operator.out_structure(),
    )
    return LeastSquaresSystem(operator, gradient=gradient[:count])


def _promise(gradient: PyTree, step: PyTree) -> float:
    return 0.5 * float(_tree.dot(gradient, step))


def _reduction(system: LeastSquaresSystem, step: PyTree) -> float:
    """g.d - |A d|^2 / 2, what a quadratic energy falls by."""
    change = system.operator.mv(step)
    return float(_tree.dot(system.gradient, step) - 0.5 * jnp.sum(change**2))


def _root_ratio(left: float, total: float) -> float:
    if left <= 0:
        return 0.0
    return math.sqrt(left / total) if total > 0 else math.inf
