"""K-FAC, EKFAC and SENG: natural gradients of minibatches, layer by layer, from kept factors."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import Count, Fraction, NonNegative, Positive, Share, check_fields
from ...linalg import AbstractKeptSolver, KroneckerFactored
from ...objectives import AbstractObjective
from ...objectives.batches import Batch
from ..base import GO_ON, AbstractOptimizer, StepInfo, scalar_type
from ..damping import AbstractDamping, LevenbergMarquardt
from ..forms import gradient_of
from .quadratic_model import QuadraticModel, combined, quadratic_model

Fisher = Literal["exact", "mc", "empirical", "ggn"]
CURVATURES: Mapping[str, str] = {
    "exact": "ggn",
    "ggn": "ggn",
    "mc": "mc-fisher",
    "empirical": "empirical-fisher",
}
BURN_IN = 3  # the first factors come from one batch each, and are renewed every time


class Clocks(eqx.Module):
    """When the factors are measured and renewed, and how long they are remembered.

    Every `measure_every` steps the factors of a batch enter a moving average with weight
    1 - min(1 - 1/k, decay) in the k-th measurement. Every `refresh_every` steps, and in the first
    three measurements, the average is decomposed anew. Raises ValueError where these are not whole
    numbers above zero, or the second is no multiple of the first.
    """

    decay: Fraction = eqx.field(static=True, default=0.95)
    measure_every: Count = eqx.field(static=True, default=1)
    refresh_every: Count = eqx.field(static=True, default=10)

    def __check_init__(self):
        check_fields(self)
        if self.refresh_every % self.measure_every:
            msg = (
                f"`refresh_every` is {self.refresh_every}; it must be a multiple of"
                f" `measure_every` = {self.measure_every}, since only measured factors are new."
            )
            raise ValueError(msg)

    def measures(self, count: Int[Array, ""]) -> Bool[Array, ""]:
        """Whether factors are measured in step `count`, from 0."""
        return count % self.measure_every == 0

    def renews(self, count: Int[Array, ""]) -> Bool[Array, ""]:
        """Whether they are decomposed anew."""
        return (count % self.refresh_every == 0) | (count < BURN_IN * self.measure_every)

    def keep(self, count: Int[Array, ""], dtype: Any) -> Float[Array, ""]:
        """The weight of the average before."""
        k = (count // self.measure_every + 1).astype(dtype)
        return jnp.minimum(1 - 1 / k, jnp.asarray(self.decay, dtype))


class LayerwiseMemory(eqx.Module):
    """The kept factors, the last update, the damping of the next step, and the number of steps."""

    factors: PyTree
    previous: PyTree
    damping: Float[Array, ""]
    count: Int[Array, ""]


class LayerwiseNaturalGradient(AbstractOptimizer):
    """theta <- theta + u with u from d = (F + damping)^-1 g, F block diagonal over layers and kept.

    `solver` says how F is made and damped: K-FAC (Martens and Grosse, ICML 2015) or EKFAC (George
    et al., NeurIPS 2018) by `linalg.KroneckerFactored`, SENG (Yang et al., J. Sci. Comput. 2022)
    by `linalg.LayerwiseWoodbury`. `fisher` names the matrix that it approximates:

    - "exact": the Fisher matrix, by one backward sweep for every output; for the losses of this
      package it is the generalized Gauss-Newton matrix, which "ggn" names;
    - "mc": the same in expectation, by one sweep with a label drawn from the model;
    - "empirical": with the labels of the data, a different matrix.

    With `rescale` u = rate (-c_0 d + c_1 p), p being the update before. The c minimize the
    quadratic model of the batch's loss with the exact Gauss-Newton matrix and the same damping,
    c_1 being 0 where `momentum` is. Otherwise u = -rate d + momentum p. `rate` is a number or a
    function of the step. u is shortened until 1/2 |A u|^2 is at most `clip`: to second order the
    Kullback-Leibler divergence of the predictions before and after, in nats. The damping's ratio
    compares the reduction of the batch's loss with that of the quadratic model.

    The factors are those of the first `factor_share` of a batch's examples, and the curvature of
    the quadratic model that of the first `model_share`, which saves time (Martens and Grosse take
    1/8 and 1/4, section 8); two examples at least. Gradient and losses are those of all.

    A step that is not finite is refused; factors that are not finite are forgotten. `check` and
    `init` raise ValueError for an objective without layers, a batch of one example, and, where F is
    made of Kronecker factors, a model of which no layer can be captured. Parameters without a
    Kronecker block then get a diagonal one, and `init` warns with their names (see
    `ClassificationObjective.coverage`).
    """

    solver: AbstractKeptSolver = KroneckerFactored()
    damping: AbstractDamping = LevenbergMarquardt(1.0)
    fisher: Fisher = eqx.field(static=True, default="mc")
    clocks: Clocks = Clocks()
    rate: Positive | Callable[[Any], Any] = eqx.field(static=True, default=1.0)
    momentum: Fraction = eqx.field(static=True, default=0.9)
    rescale: bool = eqx.field(static=True, default=True)
    clip: NonNegative | None = eqx.field(static=True, default=None)
    factor_share: Share = eqx.field(static=True, default=1.0)
    model_share: Share = eqx.field(static=True, default=1.0)
    wants_float64: ClassVar[bool] = False
    shares_examples: ClassVar[bool] = True

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        check_layers(objective, self.fisher)

    def init(self, model: PyTree, objective: AbstractObjective, batch: Any) -> LayerwiseMemory:
        self.check(model, objective)
        check_batch(batch)
        if self.solver.needs_layers:
            check_coverage(model, objective, batch)
        params, _ = _tree.trainable(model)
        shapes = eqx.filter_eval_shape(self._measured, None, model, objective, batch, None, None)
        factors = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        damping = jnp.asarray(self.damping.initial, scalar_type(model))
        zero = jnp.asarray(0, jnp.int32)
        return LayerwiseMemory(factors, _tree.zeros_like(params), damping, zero)

    def step(
        self,
        model: PyTree,
        state: LayerwiseMemory,
        objective: AbstractObjective,
        batch: Any,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, LayerwiseMemory, StepInfo]:
        factors = self._factors(model, state, objective, batch, key)
        system = _curvature(model, objective, batch)
        gradient = gradient_of(system)
        direction = self.solver.compute_kept(factors, gradient, state.damping)[0]
        plane = None
        if self._needs_model:
            operator = system.operator
            if self.model_share < 1:
                operator = _curvature(model, objective, part_of(batch, self.model_share)).operator
            plane = quadratic_model(operator, gradient, direction, state.previous, state.damping)
        c = self._coefficients(plane, state.count, gradient)
        updates = combined(c, direction, state.previous)
        accepted = _tree.all_finite(updates)
        updates = _tree.where(accepted, updates, _tree.zeros_like(updates))
        new = eqx.apply_updates(model, updates)
        before = objective.loss(model, batch)
        predicted = actual = jnp.zeros_like(before)
        damping = state.damping
        if plane is not None:
            predicted = plane.reduction(c)
        if self.damping.watches:
            actual = before - objective.loss(new, batch)
            damping = self.damping.update(damping, actual / predicted)
        info = StepInfo(
            loss=before,
            gradient_norm=_tree.norm(gradient),
            step_length=_tree.norm(updates),
            damping=state.damping,
            predicted=predicted,
            actual=actual,
            accepted=accepted,
            stop=jnp.asarray(GO_ON, jnp.int32),
        )
        factors = _tree.where(_tree.all_finite(factors), factors, state.factors)
        return new, LayerwiseMemory(factors, updates, damping, state.count + 1), info

    @property
    def _needs_model(self) -> bool:
        """Whether anything asks for the quadratic model, which costs two products with A."""
        return self.rescale or self.clip is not None or self.damping.watches

    def _coefficients(
        self, plane: QuadraticModel | None, count: Int[Array, ""], gradient: PyTree[Array]
    ) -> Float[Array, "2"]:
        """What d and the step before are multiplied by."""
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes its counters with floats.
            rate: Any = self.rate(count) if callable(self.rate) else self.rate
        rate = jnp.asarray(rate, scalar_type(gradient))
        if self.rescale and plane is not None:
            c = rate * plane.minimizer(momentum=self.momentum > 0)
        else:
            c = jnp.stack([rate, jnp.asarray(self.momentum, rate.dtype)])
        if self.clip is None or plane is None:
            return c
        found = plane.half_curvature(c)
        return c * jnp.sqrt(jnp.minimum(1, self.clip / jnp.where(found > 0, found, 1)))

    def _factors(
        self,
        model: PyTree,
        state: LayerwiseMemory,
        objective: AbstractObjective,
        batch: Any,
        key: PRNGKeyArray,
    ) -> PyTree:
        """The factors after this step's batch; rows are only formed where they are measured."""

        def measured() -> PyTree:
            return self._measured(state.factors, model, objective, batch, key, state.count)

        if self.clocks.measure_every == 1:  # no branch, so that XLA runs the network once for both
            return measured()
        return jax.lax.cond(self.clocks.measures(state.count), measured, lambda: state.factors)

    def _measured(
        self,
        factors: PyTree,
        model: PyTree,
        objective: AbstractObjective,
        batch: Any,
        key: PRNGKeyArray | None,
        count: Int[Array, ""] | None,
    ) -> PyTree:
        part = part_of(batch, self.factor_share)
        own = eqx.tree_at(
            lambda b: b.key, part, jax.random.key(0) if key is None else key,
            is_leaf=lambda x: x is None,
        )  # fmt: skip
        rows = objective.with_curvature(CURVATURES[self.fisher]).system(model, own).operator
        if count is None:
            return self.solver.refreshed(None, rows)
        keep, renew = self.clocks.keep(count, scalar_type(model)), self.clocks.renews(count)
        drawn = None if key is None else jax.random.fold_in(key, 1)
        return self.solver.refreshed(factors, rows, keep=keep, renew=renew, key=drawn)


def part_of(batch: Any, share: float) -> Any:
    """Every so many of the examples of a batch, which may be sorted, and not less than two."""
    if share == 1:
        return batch
    count = max(2, round(share * batch.size))
    chosen = np.arange(count) * batch.size // count
    inputs, targets = jax.tree.map(lambda x: x[chosen], (batch.inputs, batch.targets))
    return Batch(inputs, targets, batch.key)


def _curvature(model: PyTree, objective: Any, batch: Any) -> Any:
    """The Gauss-Newton system, by products alone."""
    return objective.with_curvature("ggn").system(model, batch, matrix_free=True)


def check_layers(objective: Any, fisher: str) -> None:
    """Raises ValueError for an objective that knows nothing of layers."""
    if CURVATURES[fisher] not in objective.curvatures:
        msg = (
            f"the objective {type(objective).__name__} knows no inputs and cotangents of layers,"
            " which 'kfac', 'ekfac', 'seng' and 'sp-ngd' are made of: they train a"
            " ClassificationObjective (with loss='squared' a regression)."
        )
        raise ValueError(msg)


def check_batch(batch: Any) -> None:
    """Raises ValueError for a batch of one example."""
    if batch.size < 2:
        msg = (
            "the batch has one example, whose curvature has rank one in every layer: give batches"
            " of two examples or more."
        )
        raise ValueError(msg)


def check_coverage(model: PyTree, objective: Any, batch: Any) -> None:
    """Raises ValueError where no layer can be captured; warns of diagonal blocks, with names."""
    found = objective.coverage(model, batch)
    if not found.has_layers:
        msg = (
            "no layer of the model can be captured, so that no parameter gets a Kronecker block:"
            " build it of eqx.nn.Linear and Conv layers that are called outside of a scan, or take"
            " 'ngd-cg'."
        )
        raise ValueError(msg)
    if found.diagonal:
        msg = (
            f"these parameters get a diagonal block and no Kronecker factors:"
            f" {', '.join(found.diagonal)}; `objective.coverage(model, batch)` says why."
        )
        warnings.warn(msg, stacklevel=3)
