"""The contract of an optimizer and what it reports about a step."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from .._settings import check_fields
from ..objectives import AbstractObjective
from .cost import Cost

GO_ON = 0
NO_DAMPING_HELPS = 1
STATIONARY = 2
NO_STEP_HELPS = 3
STALLED = 4

STOP_REASONS: Mapping[int, str] = {
    NO_DAMPING_HELPS: "no damping gives a step that lowers the loss",
    STATIONARY: "the gradient is zero",
    NO_STEP_HELPS: "no step length of the line search lowers the loss along the direction",
    STALLED: "the loss has not fallen measurably for many steps in a row",
}


class Solves(eqx.Module):
    """How often a step solved the state equation, and its linearized and adjoint equations.

    A forward solve is one evaluation of the state, a linearized solve one product with its
    Jacobian, an adjoint solve one product with the transposed Jacobian. The three cost about the
    same. The rows of a pointwise residual take one reverse sweep over all points, which counts as
    one adjoint solve.
    """

    forward: Int[Array, ""]
    linearized: Int[Array, ""]
    adjoint: Int[Array, ""]

    def __init__(self, forward: Any = 0, linearized: Any = 0, adjoint: Any = 0):
        counts = (jnp.asarray(count, jnp.int32) for count in (forward, linearized, adjoint))
        self.forward, self.linearized, self.adjoint = counts

    def __add__(self, other: "Solves") -> "Solves":
        return jax.tree.map(jnp.add, self, other)


class StepInfo(eqx.Module):
    """Scalars describing one step.

    `loss` belongs to the model that the step returned, except for first-order optimizers, which
    report the loss that their gradient was computed with. `predicted` and `actual` are the
    reductions of the loss by the linear model and in fact; `step_length` is the Euclidean norm of
    the change of the parameters; `stop` is 0, or a key of `STOP_REASONS`. `solves` is None where an
    optimizer does not count them. `rank` and `condition` are those that the solver states of its
    own matrix (A for a factorization, A^T A + damping for a device), None where it states none.
    """

    loss: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    step_length: Float[Array, ""]
    damping: Float[Array, ""]
    predicted: Float[Array, ""]
    actual: Float[Array, ""]
    accepted: Bool[Array, ""]
    stop: Int[Array, ""]
    solves: Solves | None = None
    rank: Int[Array, ""] | None = None
    condition: Float[Array, ""] | None = None


class AbstractOptimizer(eqx.Module):
    """`init` once, then `step` as often as wanted; both are pure functions of their arguments.

    `dtypes` are the types of parameters that it trains. `jittable` says whether `step` can be
    compiled. `stride` is the number of steps that the training loop runs in one compiled call: many
    where a step is cheap. `wants_float64` says whether the method loses its accuracy in single
    precision, `shares_examples` whether several devices may each have a part of a batch of examples
    (`check_parts` then says of which size it is).
    """

    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")
    jittable: ClassVar[bool] = True
    stride: ClassVar[int] = 1
    wants_float64: ClassVar[bool] = True
    shares_examples: ClassVar[bool] = False
    stop_reasons: ClassVar[Mapping[int, str]] = STOP_REASONS

    def __check_init__(self):
        check_fields(self)

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        """Raises ValueError, in one sentence, where it cannot train that model on that objective.

        `init` calls it before anything else.
        """
        del objective
        leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
        for found in sorted({str(leaf.dtype) for leaf in leaves} - set(self.dtypes)):
            msg = (
                f"the model has parameters of type {found}, and {type(self).__name__} trains"
                f" {' and '.join(self.dtypes)}: convert them before training."
            )
            raise ValueError(msg)

    def check_parts(self, size: int, devices: int) -> None:
        """Raises ValueError for a batch of examples that so many devices do not divide."""
        if size % devices:
            raise ValueError(
                f"a batch of {size} examples cannot be cut into equal parts for {devices} devices:"
                f" give a size that is a multiple of {devices}."
            )

    def cost(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> Cost | None:
        """What a step costs, by shapes alone; None where that is not known."""
        del objective, model, batch
        return None

    @abc.abstractmethod
    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> PyTree:
        """The state before the first step."""

    @abc.abstractmethod
    def step(
        self,
        model: PyTree,
        state: PyTree,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, PyTree, StepInfo]:
        """One step: the new model, the new state and what happened."""

    def refreshed(self, state: PyTree) -> PyTree:
        """The state after points were added: earlier losses cannot be compared with later ones."""
        return state

    def answer(self, model: PyTree, state: PyTree) -> PyTree:
        """The model that is evaluated and returned: the last iterate, unless a subclass differs."""
        del state
        return model


def scalar_type(model: PyTree):
    """The dtype of the model's parameters."""
    return jnp.result_type(*jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
