"""(A^T A + damping I) x = A^T b on the device, with what is known of A and b."""

from collections.abc import Callable
from typing import Any

import equinox.internal as eqxi
import jax
import lineax as lx
from jaxtyping import Array, Inexact, PyTree

from ..damped import gram
from .solver import NO_DERIVATIVE

Answer = tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]
NO_OPERATOR_DERIVATIVE = (
    "What an SPU reads at a time cannot be differentiated in the operator or the damping: use a"
    " digital solver."
)


def prepare_device(
    operator: lx.AbstractLinearOperator, damping: Inexact[Array, ""], device: Any
) -> PyTree:
    """The eigenvalues, which serve every damping; None for simulations that have none."""
    return device.init(gram(operator, damping), {}) if device.simulation == "exact" else None


def solve_on_device(
    system: Any,
    device: Any,
    call: Callable[..., Any],
    options: dict[str, Any],
    state: PyTree = None,
) -> Answer:
    """Value, result and stats of a `LeastSquaresSystem`, `call` being the library's linear solve.

    An error at a derivative of the value that would be wrong.
    """
    gradient = system.gradient
    if system.target is not None:
        gradient = system.operator.transpose().mv(system.target)
    if device.simulation == "exact":
        return _by_eigenvalues(system, gradient, device, options, state)
    operator = gram(system.operator, system.damping)
    out = call(operator, gradient, device, options, None)
    return _undifferentiable(out.value, device.not_linear(options)), out.result, out.stats


def _by_eigenvalues(
    system: Any,
    gradient: PyTree[Array],
    device: Any,
    options: dict[str, Any],
    state: PyTree,
) -> Answer:
    # Not through `linear_solve`, which has no place for the target. JAX then differentiates the
    # filters themselves, correctly in all but the eigenvectors.
    parts = system.operator, system.damping
    operator, damping = eqxi.nondifferentiable(parts, msg=NO_OPERATOR_DERIVATIVE)
    if state is None:
        state = device.init(gram(operator, damping), options)
    else:
        state = device.at_damping(state, damping)
    value, result, stats = device.read(state, gradient, options, system.target)
    return _undifferentiable(value, device.device.falsifies()), result, jax.lax.stop_gradient(stats)


def _undifferentiable(value: PyTree[Array], obstacle: str | None) -> PyTree[Array]:
    if obstacle is None:
        return value
    return eqxi.nondifferentiable(value, msg=NO_DERIVATIVE.format(obstacle))
