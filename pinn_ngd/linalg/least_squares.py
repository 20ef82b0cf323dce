"""A damped least-squares problem, and an answer to it."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Inexact, PyTree, Real

from ._ravel import check_one_field, real_dtype_of
from .guards import check_damping, check_structure


class LeastSquaresSystem(eqx.Module):
    """The linear problem of one step: argmin_x 1/2 |A x - b|^2 + damping/2 |x|^2.

    `operator` A maps parameters to residuals. Either the `target` b (shaped like the output of A)
    is given, or a `gradient` g (shaped like its input), which replaces A^T b in the normal
    equations (A^T A + damping I) x = g: for objectives that are no sum of squares. Of complex
    operators read A^H for A^T. Raises ValueError unless exactly one of the two is given, shapes
    fit, all is real or all complex, and `damping` is a scalar >= 0.
    """

    operator: lx.AbstractLinearOperator
    target: PyTree[Array] | None
    gradient: PyTree[Array] | None
    damping: Inexact[Array, ""]

    def __init__(
        self,
        operator: lx.AbstractLinearOperator,
        target: PyTree[Array] | None = None,
        *,
        gradient: PyTree[Array] | None = None,
        damping: Real[ArrayLike, ""] = 0.0,
    ):
        if (target is None) == (gradient is None):
            given = "neither" if target is None else "both"
            msg = (
                f"{given} of `target` and `gradient` given: pass exactly one, `target` where the"
                " gradient is A^T target (more accurate), `gradient` otherwise."
            )
            raise ValueError(msg)
        if target is not None:
            check_structure("target", target, "output", operator.out_structure())
        if gradient is not None:
            check_structure("gradient", gradient, "input", operator.in_structure())
        check_one_field(operator.in_structure(), operator.out_structure())
        check_damping(damping)
        self.operator, self.target, self.gradient = operator, target, gradient
        self.damping = jnp.asarray(damping, dtype=real_dtype_of(operator.in_structure()))


class Solution(eqx.Module):
    """A solution shaped like the parameters, whether it succeeded, and the solver's statistics.

    `result` is a `lineax.RESULTS` (compare with `lineax.RESULTS.successful`, or index
    `lineax.RESULTS[result]` for a sentence); nothing is raised for a failed solve.
    """

    value: PyTree[Array]
    result: lx.RESULTS
    stats: dict[str, Any]
