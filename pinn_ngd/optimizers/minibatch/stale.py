"""SP-NGD: natural gradient of large batches by K-FAC with statistics of different ages."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, Scalar

from ... import _tree
from ..._settings import Count, Fraction, NonNegative, Positive
from ...linalg import StaleKronecker, StaleState
from ...linalg.tall import LYING, ROWS, WHOLE, devices
from ...objectives import AbstractObjective
from ...objectives.batches import Batch
from ...objectives.layers import is_convolution, is_dense, is_plain, places_of, stacking_of
from ..base import GO_ON, AbstractOptimizer, StepInfo, scalar_type
from .layerwise import CURVATURES, Fisher, check_batch, check_coverage, check_layers
from .mixup import Mixture, check_inputs, check_targets, mixed, soft


class StaleMemory(eqx.Module):
    """The kept statistics, the last update, the last mixture of batches, and the steps so far."""

    factors: StaleState
    velocity: PyTree
    mixture: Mixture | None
    count: Int[Array, ""]


class StaleNaturalGradient(AbstractOptimizer):
    """v <- m v - rate (F + damping)^-1 g, theta <- theta + v: SP-NGD (Osawa, Tsuji, Ueno, Naruse,
    Foo and Yokota, arXiv:2002.06015).

    F are the Kronecker factors and 2 x 2 blocks of `solver`, each as old as its clock allows.
    `fisher` is that of `LayerwiseNaturalGradient`; "empirical", the published choice, needs no
    sweep for other labels. `rate` is a number or a function of the step; the momentum falls with
    it, m = `momentum` min(1, rate / first rate): a rate above the first, as after a warm-up, has m
    = `momentum`, and so has every step where the first rate is 0.

    - `microbatches`: the batch is cut into so many parts, one after the other, whose gradients and
      statistics are averaged: those of the whole batch to rounding, with the memory of a part.
    - `rescale_weights`: after each step the trained weights of dense and convolution layers get
      the Frobenius norm sqrt(2 outputs), each of layers side by side on its own; not those of
      convolutions with another padding than zeros. It keeps the function only of layers that a
      norm follows.
    - `mixup`: running mixup with weights of Beta(mixup, mixup), none where 0. The loss then is that
      of the mixture.

    On several devices each has a part of the examples; see `spread_spectra` for who decomposes
    what. A step that is not finite is refused, and with it the statistics and the mixture of that
    step. `check` and `init` raise ValueError for an objective or a model without layers, a batch of
    one example, or one that devices and `microbatches` do not divide, and inputs or targets that
    cannot be mixed.
    """

    solver: StaleKronecker = StaleKronecker()
    damping: Positive = eqx.field(static=True, default=1e-2)
    rate: Positive | Callable[[Any], Any] = eqx.field(static=True, default=0.05)
    momentum: Fraction = eqx.field(static=True, default=0.9)
    fisher: Fisher = eqx.field(static=True, default="empirical")
    microbatches: Count = eqx.field(static=True, default=1)
    rescale_weights: bool = eqx.field(static=True, default=False)
    mixup: NonNegative = eqx.field(static=True, default=0.0)
    wants_float64: ClassVar[bool] = False
    shares_examples: ClassVar[bool] = True

    def check(self, model: PyTree, objective: AbstractObjective) -> None:
        super().check(model, objective)
        check_layers(objective, self.fisher)

    def check_parts(self, size: int, devices: int) -> None:
        """Raises ValueError for a batch that devices and microbatches do not divide."""
        parts = self.microbatches * devices
        if size % parts:
            msg = (
                f"a batch of {size} examples cannot be cut into {self.microbatches} microbatches on"
                f" each of {devices} devices: give a size that is a multiple of {parts}."
            )
            raise ValueError(msg)

    def init(self, model: PyTree, objective: AbstractObjective, batch: Any) -> StaleMemory:
        self.check(model, objective)
        check_batch(batch)
        check_coverage(model, objective, batch)
        self.check_parts(batch.size, devices())
        params, _ = _tree.trainable(model)
        mixture = None
        if self.mixup:
            check_inputs(batch)
            check_targets(objective, batch)
            mixture = _tree.zeros_like(self._soft(model, objective, batch))
        shapes = eqx.filter_eval_shape(self._begun, model, objective, self._part(batch))
        factors = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        factors = eqx.tree_at(lambda f: f.intervals, factors, jnp.ones_like(factors.intervals))
        return StaleMemory(factors, _tree.zeros_like(params), mixture, jnp.asarray(0, jnp.int32))

    def step(
        self,
        model: PyTree,
        state: StaleMemory,
        objective: AbstractObjective,
        batch: Any,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, StaleMemory, StepInfo]:
        batch, mixture = self._mixed(model, objective, state, batch, key)
        loss, gradient, factors = self._measured(model, state.factors, objective, batch)
        damping = jnp.asarray(self.damping, scalar_type(gradient))
        direction = self.solver.compute_kept(factors, gradient, damping)[0]
        velocity = self.velocity(direction, state.velocity, state.count)
        new = eqx.apply_updates(model, velocity)
        new = _rescaled(new) if self.rescale_weights else new
        accepted = _tree.all_finite((velocity, new))
        update = _tree.subtract(_tree.trainable(new)[0], _tree.trainable(model)[0])
        info = StepInfo(
            loss=loss,
            gradient_norm=_tree.norm(gradient),
            step_length=jnp.where(accepted, _tree.norm(update), 0),
            damping=damping,
            predicted=jnp.zeros_like(loss),
            actual=jnp.zeros_like(loss),
            accepted=accepted,
            stop=jnp.asarray(GO_ON, jnp.int32),
        )
        params, static = _tree.trainable(new)
        params, factors, velocity, mixture = _tree.where(
            accepted,
            (params, factors, velocity, mixture),
            (_tree.trainable(model)[0], state.factors, state.velocity, state.mixture),
        )
        memory = StaleMemory(factors, velocity, mixture, state.count + 1)
        return eqx.combine(params, static), memory, info

    def velocity(
        self, direction: PyTree[Array], before: PyTree[Array], count: Int[Array, ""]
    ) -> PyTree[Array]:
        """m v - rate d in step `count`."""
        dtype = scalar_type(direction)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes its counters with floats.
            rates: Any = [
                self.rate(c) if callable(self.rate) else self.rate
                for c in (count, jnp.zeros_like(count))
            ]
        rate, first = (jnp.asarray(r, dtype) for r in rates)
        share = jnp.where(first > 0, rate / jnp.where(first > 0, first, 1), 1)
        momentum = self.momentum * jnp.minimum(1, share)
        return jax.tree.map(lambda d, v: momentum * v - rate * d, direction, before)

    def _measured(
        self, model: PyTree, factors: StaleState, objective: AbstractObjective, batch: Batch
    ) -> tuple[Scalar, PyTree, StaleState]:
        """Loss, gradient and statistics of a batch, which the devices of a mesh share."""
        if devices() == 1:
            return self._renewed(model, factors, objective, batch, None)
        arrays, static = eqx.partition((model, objective), eqx.is_array)

        def local(
            arrays: PyTree, factors: StaleState, key: Any, inputs: PyTree, targets: Array
        ) -> Any:
            model, objective = eqx.combine(arrays, static)
            part = Batch(inputs, targets, key)
            return self._renewed(model, factors, objective, part, ROWS)

        mapped = jax.shard_map(
            local,
            in_specs=(WHOLE, WHOLE, WHOLE, LYING, LYING),
            out_specs=WHOLE,
            check_vma=False,  # of what every device gathers it does not know that it is the same
        )
        return mapped(arrays, factors, batch.key, batch.inputs, batch.targets)

    def _renewed(
        self,
        model: PyTree,
        factors: StaleState,
        objective: AbstractObjective,
        batch: Batch,
        axis: str | None,
    ) -> tuple[Scalar, PyTree, StaleState]:
        loss, gradient, statistics = self._accumulated(model, factors, objective, batch, axis)
        if axis is not None:
            loss, gradient = jax.lax.pmean((loss, gradient), axis)
        return loss, gradient, self.solver.renewed(factors, statistics, axis)

    def _accumulated(
        self,
        model: PyTree,
        factors: StaleState,
        objective: AbstractObjective,
        batch: Batch,
        axis: str | None,
    ) -> tuple[Scalar, PyTree, tuple[Array, ...]]:
        """The means over microbatches of loss, gradient and those statistics that are due."""
        params, static = _tree.trainable(model)
        wanted, count = factors.is_due, self.microbatches
        parts = _cut((batch.inputs, batch.targets), count)

        def one(number: Array) -> tuple[Scalar, PyTree, tuple[Array, ...]]:
            inputs, targets = jax.tree.map(lambda x: x[number], parts)
            part = Batch(inputs, targets, _key(batch.key, number, axis))
            loss, gradient = jax.value_and_grad(
                lambda q: objective.loss(eqx.combine(q, static), part)
            )(params)
            measured = jax.lax.cond(
                jnp.any(wanted),
                lambda: self.solver.measure(self._rows(model, objective, part), wanted),
                lambda: tuple(map(jnp.zeros_like, factors.last)),
            )
            return loss, gradient, tuple(map(_wide, measured))

        numbers = jnp.arange(count, dtype=jnp.int32)
        if count == 1:
            return self._narrow(one(numbers[0]), factors)
        start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(one, numbers[0]))
        total, _ = jax.lax.scan(lambda sums, i: (_tree.add(sums, one(i)), None), start, numbers)
        return self._narrow(_tree.scale(1 / count, total), factors)

    def _narrow(self, means: Any, factors: StaleState) -> tuple[Scalar, PyTree, tuple[Array, ...]]:
        """Statistics in the precision in which they are kept."""
        loss, gradient, measured = means
        pairs = zip(measured, factors.last, strict=True)
        return loss, gradient, tuple(x.astype(kept.dtype) for x, kept in pairs)

    def _rows(self, model: PyTree, objective: Any, batch: Batch) -> Any:
        return objective.with_curvature(CURVATURES[self.fisher]).system(model, batch).operator

    def _begun(self, model: PyTree, objective: AbstractObjective, part: Batch) -> StaleState:
        return self.solver.begin(self._rows(model, objective, part))

    def _part(self, batch: Any) -> Batch:
        inputs, targets = jax.tree.map(lambda x: x[:2], (batch.inputs, batch.targets))
        return Batch(inputs, targets, jax.random.key(0))

    def _soft(self, model: PyTree, objective: AbstractObjective, batch: Batch) -> Mixture:
        point = jax.tree.map(lambda x: x[0], batch.inputs)
        outputs = eqx.filter_eval_shape(lambda m, x: jnp.ravel(m(x)), model, point).size
        return soft(objective, batch, outputs, scalar_type(model))

    def _mixed(
        self, model: PyTree, objective: Any, state: StaleMemory, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Batch, Mixture | None]:
        if state.mixture is None:
            return batch, None
        now, kept = self._soft(model, objective, batch), state.factors.count  # accepted steps only
        mixture = mixed(now, state.mixture, kept, self.mixup, jax.random.fold_in(key, 2))
        return Batch(mixture.inputs, mixture.targets, batch.key), mixture


def rescaled(weight: Float[Array, "..."], stacking: int = 0) -> Float[Array, "..."]:
    """sqrt(2 o) W / |W|_F of every layer W (o, ...); zeros stay.

    The first `stacking` axes of the weight number layers side by side.
    """
    axes = tuple(range(stacking, weight.ndim))
    size = jnp.sqrt(jnp.sum(weight**2, axis=axes, keepdims=True))
    wanted = jnp.sqrt(jnp.asarray(2 * weight.shape[stacking], weight.dtype))
    return weight * jnp.where(size > 0, wanted / jnp.where(size > 0, size, 1), 1)


def _rescaled(model: PyTree) -> PyTree:
    params, static = _tree.trainable(model)
    leaves, treedef = jax.tree.flatten(params)
    for node, places in places_of(model):
        if is_plain(node) and (is_dense(node) or is_convolution(node)):
            leaves[places[0]] = rescaled(leaves[places[0]], stacking_of(node))
    return eqx.combine(jax.tree.unflatten(treedef, leaves), static)


def _wide(statistic: Array) -> Array:
    """Means over microbatches are taken in float32 at least."""
    half = statistic.dtype == jnp.dtype(jnp.bfloat16)
    return statistic.astype(jnp.float32) if half else statistic


def _cut(tree: PyTree, count: int) -> PyTree:
    """The examples in `count` parts, one after the other."""
    return jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), tree)


def _key(key: PRNGKeyArray | None, number: Array, axis: str | None) -> PRNGKeyArray | None:
    """Every part of every device draws labels of its own."""
    if key is None:
        return None
    place = jnp.int32(0) if axis is None else jax.lax.axis_index(axis)
    return jax.random.fold_in(jax.random.fold_in(key, number), place)
