"""Natural-gradient steps of the normal distributions in a model, Optax for everything else."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Count, Whole
from ...metrics.normal import AbstractCoordinates, Natural, expectation_gradient, is_proper
from ...models import MultivariateNormal
from ...objectives import AbstractObjective
from ..base import GO_ON, AbstractOptimizer, StepInfo

Gamma = Callable[[Array], Array]


class VariationalState(eqx.Module):
    """The number of the next step, and the state of the transformation of the other parameters."""

    count: Int[Array, ""]
    transformation: PyTree


class Phase(eqx.Module):
    """What a step has changed so far, and what its last gradient told."""

    normals: list[MultivariateNormal]
    others: PyTree
    transformation: PyTree
    loss: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    accepted: Bool[Array, ""]


class VariationalNaturalGradient(AbstractOptimizer):
    """Natural gradients for every `MultivariateNormal` of a model, `transformation` for the rest.

    A step makes `natural_steps` steps zeta <- zeta - gamma F^-1 dL/dzeta of the distributions in
    their `coordinates` (`metrics.normal`), then `other_steps` steps of the other parameters (those
    of a kernel and of a likelihood, inducing inputs) by an Optax transformation; 0 leaves them
    alone. `gamma` is a number or a function of the number of the step, such as `ramp`. A step that
    leaves the positive definite covariances is halved until it does not, at most `halvings` times,
    and then refused: the distribution stays as it is. All of them use one minibatch. The loss that
    a step reports is the one that its last gradient was computed with.

    Raises ValueError, from `check`, for a model without such a distribution, and for gamma > 1.
    """

    transformation: optax.GradientTransformation
    gamma: Gamma | float = 0.1
    coordinates: AbstractCoordinates = Natural()
    natural_steps: Count = eqx.field(static=True, default=1)
    other_steps: Whole = eqx.field(static=True, default=1)
    halvings: Whole = eqx.field(static=True, default=5)
    wants_float64: ClassVar[bool] = True

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        if not Parted(model).normals:
            raise ValueError(
                "this optimizer trains the multivariate normal distributions in a model, and this "
                "model holds none: give one of `applications.gp`, or take another optimizer."
            )
        check_gamma(self.gamma)

    def init(self, model: PyTree, objective: AbstractObjective, batch: PyTree) -> VariationalState:
        del batch
        self.check(model, objective)
        others = Parted(model).others
        return VariationalState(jnp.asarray(0, jnp.int32), self.transformation.init(others))

    def step(
        self,
        model: PyTree,
        state: VariationalState,
        objective: AbstractObjective,
        batch: PyTree,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, VariationalState, StepInfo]:
        del key
        parted = Parted(model)
        gamma = self.gamma(state.count) if callable(self.gamma) else self.gamma

        def loss(normals: list[MultivariateNormal], others: PyTree) -> Array:
            return objective.loss(parted.joined(normals, others), batch)

        start = _started(loss, parted, state.transformation)
        phase = _repeated(lambda p: self._natural(loss, p, gamma), self.natural_steps, start)
        phase = _repeated(lambda p: self._other(loss, p), self.other_steps, phase)
        new = parted.joined(phase.normals, phase.others)
        zero = jnp.zeros_like(phase.loss)
        moved = _tree.subtract(_tree.trainable(new)[0], _tree.trainable(model)[0])
        info = StepInfo(
            loss=phase.loss,
            gradient_norm=phase.gradient_norm,
            step_length=_tree.norm(moved),
            damping=zero,
            predicted=zero,
            actual=zero,
            accepted=phase.accepted,
            stop=jnp.asarray(GO_ON, jnp.int32),
        )
        return new, VariationalState(state.count + 1, phase.transformation), info

    def _natural(self, loss: Callable, phase: Phase, gamma: Any) -> Phase:
        """One natural-gradient step of all distributions."""
        value, gradients = jax.value_and_grad(loss)(phase.normals, phase.others)
        steps = [
            backed_off(self.coordinates, normal, gradient, gamma, self.halvings)
            for normal, gradient in zip(phase.normals, gradients, strict=True)
        ]
        kept = jnp.all(jnp.stack([used > 0 for _, used in steps]))
        return Phase(
            [normal for normal, _ in steps], phase.others, phase.transformation, value,
            _tree.norm(gradients), phase.accepted & kept,
        )  # fmt: skip

    def _other(self, loss: Callable, phase: Phase) -> Phase:
        """One step of the transformation; an update that is not finite is refused
        and leaves its state alone."""
        value, gradient = jax.value_and_grad(loss, argnums=1)(phase.normals, phase.others)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes its counters with floats.
            updates, after = self.transformation.update(
                gradient, phase.transformation, phase.others
            )
        updates, after = _typed(updates, phase.others), _typed(after, phase.transformation)
        finite = _tree.all_finite((updates, value))
        updates = _tree.where(finite, updates, _tree.zeros_like(updates))
        after = _tree.where(finite, after, phase.transformation)  # its moments are not finite too
        others = eqx.apply_updates(phase.others, updates)
        norm = _tree.norm((gradient, jnp.zeros_like(value)))  # there may be no other parameters
        return Phase(phase.normals, others, after, value, norm, phase.accepted & finite)


class Parted:
    """A model taken apart: its normal distributions, its other parameters, and all the rest."""

    def __init__(self, model: PyTree):
        leaves, self.treedef = jax.tree.flatten(model, is_leaf=_is_normal)
        self.normals = [leaf for leaf in leaves if _is_normal(leaf)]
        self.places = [i for i, leaf in enumerate(leaves) if _is_normal(leaf)]
        remaining = [None if _is_normal(leaf) else leaf for leaf in leaves]
        self.others, self.static = eqx.partition(remaining, eqx.is_inexact_array)

    def joined(self, normals: list[MultivariateNormal], others: PyTree) -> PyTree:
        """The model with these distributions and these other parameters."""
        leaves = eqx.combine(others, self.static)
        for place, normal in zip(self.places, normals, strict=True):
            leaves[place] = normal
        return jax.tree.unflatten(self.treedef, leaves)


def backed_off(
    coordinates: AbstractCoordinates,
    normal: MultivariateNormal,
    gradient: MultivariateNormal,
    gamma: Any,
    halvings: int,
) -> tuple[MultivariateNormal, Float[Array, ""]]:
    """The step of the largest of gamma, gamma/2, ..., gamma/2^halvings that stays positive
    definite, and that length; the distribution itself, and zero, where none does."""
    change = coordinates.direction(normal, expectation_gradient(normal, gradient))
    start = coordinates.of(normal)

    def at(length: Array) -> MultivariateNormal:
        return coordinates.back(jax.tree.map(lambda z, d: z - length * d, start, change))

    def goes_on(trial: tuple[Array, MultivariateNormal, Array]) -> Array:
        tried, found, _ = trial
        return ~is_proper(found) & (tried <= halvings)

    def halved(trial: tuple[Array, MultivariateNormal, Array]) -> Any:
        tried, _, length = trial
        return tried + 1, at(length / 2), length / 2

    first = jnp.asarray(gamma, normal.mean.dtype)
    trial = jnp.asarray(1, jnp.int32), at(first), first
    _, found, length = jax.lax.while_loop(goes_on, halved, trial)
    kept = is_proper(found)
    return _tree.where(kept, found, normal), jnp.where(kept, length, jnp.zeros_like(length))


def ramp(first: float, last: float, steps: int) -> Gamma:
    """gamma from `first` to `last` in `steps` steps, evenly in its logarithm, and then constant."""

    def gamma(count: Array) -> Array:
        share = jnp.clip(count / max(steps, 1), 0.0, 1.0) if steps else jnp.asarray(1.0)
        return first * (last / first) ** share

    return gamma


def check_gamma(gamma: Any) -> None:
    """ValueError for a length of steps that is not in (0, 1], or becomes so large."""
    lengths: list[Any] = [gamma(jnp.asarray(n)) for n in (0, 10**6)] if callable(gamma) else [gamma]
    for length in [float(one) for one in lengths]:
        if not 0 < length < math.inf:
            raise ValueError(f"`gamma` is {length:g}; the length of a step is positive.")
        if length > 1:
            raise ValueError(
                f"`gamma` is {length:g}: beyond 1 a natural-gradient step can leave the positive "
                "definite covariances even where the likelihood is log-concave; give at most 1."
            )


def _started(loss: Callable, parted: Parted, transformation: PyTree) -> Phase:
    shape = jax.eval_shape(loss, parted.normals, parted.others)
    zero = jnp.zeros((), shape.dtype)
    return Phase(
        parted.normals, parted.others, transformation, zero, zero, jnp.asarray(True)
    )  # fmt: skip


def _repeated(fn: Callable[[Phase], Phase], count: int, phase: Phase) -> Phase:
    if count == 1:
        return fn(phase)
    return jax.lax.fori_loop(0, count, lambda _, p: fn(p), phase)


def _typed(tree: PyTree, like: PyTree) -> PyTree:
    return jax.tree.map(lambda x, y: jnp.asarray(x, jnp.result_type(y)), tree, like)


def _is_normal(node: Any) -> bool:
    return isinstance(node, MultivariateNormal)
