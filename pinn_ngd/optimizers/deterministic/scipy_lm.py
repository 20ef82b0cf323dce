"""SciPy's Levenberg-Marquardt (MINPACK) as a baseline."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Count
from ...objectives import AbstractObjective
from ..base import GO_ON, NO_STEP_HELPS, AbstractOptimizer, Solves, StepInfo


class ScipyLevenbergMarquardt(AbstractOptimizer):
    """`scipy.optimize.least_squares(method="lm")`, `evaluations` residuals a step.

    MINPACK cannot make single steps. Each step therefore restarts it at the current parameters with
    a budget of residual evaluations. It uses the Jacobian rows of this package and needs at least
    as many rows as parameters.
    """

    evaluations: Count = 50
    jittable: ClassVar[bool] = False

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        if not getattr(objective, "is_least_squares", False):
            msg = (
                "SciPy's Levenberg-Marquardt (scipy-lm) minimizes sums of squared residuals, and"
                f" {type(objective).__name__} is none (`is_least_squares` says so): take 'engd-tr'"
                " or 'lbfgs'."
            )
            raise ValueError(msg)

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> None:
        del batch
        self.check(model, objective)

    def step(
        self,
        model: PyTree,
        state: None,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, None, StepInfo]:
        del key, state
        params, static = _tree.trainable(model)
        theta, unravel = ravel_pytree(params)

        def there(q: np.ndarray) -> PyTree:
            return eqx.combine(unravel(jnp.asarray(q, theta.dtype)), static)

        def residual(q: np.ndarray) -> np.ndarray:
            return np.asarray(_residual(there(q), objective, batch), np.float64)

        def jacobian(q: np.ndarray) -> np.ndarray:
            return np.asarray(_jacobian(there(q), objective, batch), np.float64)

        start = residual(np.asarray(theta))
        # MINPACK would raise without saying what to do.
        if start.size < theta.size:
            msg = (
                f"Levenberg-Marquardt of SciPy needs at least as many rows ({start.size}) as "
                f"parameters ({theta.size}): use more points, a smaller network, or `engd-tr`."
            )
            raise ValueError(msg)
        # The training loop decides when a run ends: MINPACK stops at rounding errors only.
        tolerance = float(np.finfo(start.dtype).eps)
        from scipy.optimize import least_squares

        result = least_squares(
            residual,
            np.asarray(theta),
            jac=jacobian,  # pyright: ignore[reportArgumentType]  (stubs know only names)
            method="lm",
            max_nfev=self.evaluations,
            ftol=tolerance,
            xtol=tolerance,
            gtol=tolerance,
        )
        new = jnp.asarray(result.x, theta.dtype)
        gain = 0.5 * float(start @ start) - float(result.cost)
        accepted = gain > 0
        info = StepInfo(
            loss=jnp.asarray(result.cost if accepted else 0.5 * start @ start),
            gradient_norm=jnp.asarray(np.linalg.norm(result.grad)),
            step_length=jnp.linalg.norm(new - theta),
            damping=jnp.zeros(()),
            predicted=jnp.zeros(()),
            actual=jnp.asarray(max(gain, 0.0)),
            accepted=jnp.asarray(accepted),
            stop=jnp.asarray(GO_ON if accepted else NO_STEP_HELPS, jnp.int32),
            solves=Solves(forward=1 + result.nfev, adjoint=result.njev),
        )
        return eqx.combine(unravel(new if accepted else theta), static), None, info


@eqx.filter_jit
def _residual(model: PyTree, objective: AbstractObjective, batch: PyTree):
    return ravel_pytree(objective.evaluate(model, batch).right_hand_side)[0]


@eqx.filter_jit
def _jacobian(model: PyTree, objective: AbstractObjective, batch: PyTree):
    return objective.system(model, batch).operator.as_matrix()
