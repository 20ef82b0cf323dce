"""Errors of minimizers of energies.

An energy does not tell how low it can fall: at a critical point of a network that is too small the
gradient vanishes, and the step in its own tangent space with it. So the step is made in more
functions than the network has: its tangent space and those of networks of the same kind with other
parameters. A second such set tells whether the first was rich enough.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .. import _tree
from ..linalg import JacobianRows, LeastSquaresSystem, Prepared, Spectral, prepare
from .held_out import HeldOut
from .rounding import rounded
from .rows import held_out_system
from .spaces import Models, TangentSum, relatives, tangent_sum

DAMPING = 1e-18  # relative to s_max^2; below, the rounding of the gradient drowns the step
DIRECTIONS = 64  # the least number of other functions
NOISE = 10.0  # times what rounding the parameters changes: not told from zero


def energy_error(made: HeldOut, tested: HeldOut, model: PyTree) -> tuple[TangentSum, float]:
    """The Newton step in the enriched space, as a function, and what is `unexplained` of it.

    With g the gradient and H = A^T A the metric of a space, the step d = H^-1 g promises a
    reduction g.d / 2 of the energy. Unexplained is the root of the part of it that appears only
    with the second set of functions, or that is not found again at the test points; parts that
    rounding the parameters of the model makes as well are left out.
    """
    count = relatives_needed(model)
    models = (model, *relatives(model, 2 * count, jax.random.key(0)))
    full = held_out_system(made, models)
    prepared, damping = _prepared(full)
    steps = prepared.solve(damping=damping).value
    promised = _reduction(full, steps)
    params, static = _tree.trainable(model)
    moved = held_out_system(made, (eqx.combine(rounded(params), static), *models[1:]))
    noise = _tree.subtract(moved.gradient, full.gradient)
    rounding = _promise(noise, prepared.solve(damping=damping, gradient=noise).value)
    smaller = _first(full, models[: 1 + count])
    half, damping = _prepared(smaller)
    missed = promised - _promise(smaller.gradient, half.solve(damping=damping).value)
    found_again = _reduction(held_out_system(tested, models), steps)
    print("DBG", full.operator.matrix.shape, promised, missed, found_again, rounding)
    left = max(missed, abs(promised - found_again)) - NOISE * rounding
    return tangent_sum(models, steps.steps), _root_ratio(left, promised)


def relatives_needed(model: PyTree) -> int:
    """How many networks of the same kind one set takes."""
    return max(1, math.ceil(DIRECTIONS / _tree.size(model)))


def _prepared(system: LeastSquaresSystem) -> tuple[Prepared, float]:
    prepared = prepare(system, Spectral(method="qr", refine=False))
    return prepared, DAMPING * float(prepared.state.factor.singular_values[0]) ** 2


def _first(system: LeastSquaresSystem, models: Models) -> LeastSquaresSystem:
    """The system of the first models of all."""
    gradient = system.gradient.steps[: len(models)]
    matrix = system.operator.matrix[:, : sum(_tree.size(model) for model in models)]
    operator = JacobianRows(
        matrix, jax.eval_shape(lambda: gradient), system.operator.out_structure()
    )
    return LeastSquaresSystem(operator, gradient=gradient)


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
