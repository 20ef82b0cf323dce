"""Classification and regression from data: minibatch losses with their Gauss-Newton structure."""

from typing import Any, ClassVar, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Scalar

from .. import _tree
from .._names import choose
from ..families import GenerativeClassifier, check_values
from ..linalg import (
    LayerwiseJacobian,
    LeastSquaresSystem,
    ProductOperator,
    WeightedJacobian,
)
from . import layers
from .base import AbstractObjective, Evaluation
from .batches import AbstractBatches, Batch, Shuffled
from .coverage import Coverage, check_norms, coverage
from .losses import LOSSES, AbstractLoss
from .returned import real

Curvature = Literal["ggn", "mc-fisher", "empirical-fisher"]


class ClassificationObjective(AbstractObjective):
    """1/n sum_i loss(model(x_i), y_i) over minibatches, for any Equinox model of one example.

    The targets y_i are classes or, with the loss "squared", any numbers: it then is a regression.
    `loss` is "softmax", "binary", "squared" or an `AbstractLoss`. `curvature` names the matrix
    A^T A of `system`, J_i being the Jacobian of the outputs of example i:

    - "ggn": 1/n sum_i J_i^T H_i J_i with H the loss's Hessian in the outputs (generalized
      Gauss-Newton; the Fisher matrix of these losses; Schraudolph 2002, Martens 2020);
    - "mc-fisher": 1/n sum_i g_i g_i^T, g_i the gradient for one label drawn from the model: one
      row an example, unbiased for the same matrix;
    - "empirical-fisher": the same with the labels of the data: a different matrix (Kunstner,
      Hennig and Balles 2019).

    Raises ValueError for unknown names; `train` does for targets that do not fit the model.
    """

    batches: AbstractBatches
    loss_function: AbstractLoss
    curvature: Curvature = eqx.field(static=True)

    steps_per_batch: ClassVar[int | None] = 1
    curvatures: ClassVar[tuple[str, ...]] = get_args(Curvature)

    def __init__(
        self,
        batches: AbstractBatches,
        *,
        loss: str | AbstractLoss = "softmax",
        curvature: str = "ggn",
    ):
        self.batches = batches
        self.curvature = choose(curvature, get_args(Curvature), "`curvature`")
        is_loss = isinstance(loss, AbstractLoss)
        self.loss_function = loss if is_loss else choose(loss, LOSSES, "`loss`")

    @property
    def resampled(self) -> bool:
        return not getattr(self.batches, "whole", False) or self.curvature == "mc-fisher"

    def with_curvature(self, name: str) -> "ClassificationObjective":
        """The same objective with another curvature; ValueError for an unknown name."""
        return ClassificationObjective(self.batches, loss=self.loss_function, curvature=name)

    def coverage(self, model: PyTree, batch: Batch) -> Coverage:
        """Which parameters are kept as layer inputs and cotangents, and which as rows, and why."""
        return coverage(model, jax.tree.map(lambda x: x[0], batch.inputs), _outputs)

    def batch(self, key: Any = None) -> Batch:
        return self.draw(jax.random.key(0) if key is None else key, 0)

    def draw(self, key: Any, number: int) -> Batch:
        """Minibatch `number` of the sequence that belongs to the key."""
        return self.batches.draw(key, number)

    def check(self, model: PyTree, batch: Batch) -> None:
        """Raises ValueError where targets do not fit the model's outputs, or are not finite, and
        for features that cannot occur in the family of a `families.GenerativeClassifier`.

        Those of all examples, or of the given batch where batches come from a function. A label of
        a later batch that is out of range makes the loss not a number.
        """
        check_norms(model)
        if isinstance(model, GenerativeClassifier):
            self._check_features(model, batch)
        point = jax.tree.map(lambda x: x[0], batch.inputs)
        raw = eqx.filter_eval_shape(lambda m, x: m(x), model, point)
        if jnp.issubdtype(raw.dtype, jnp.complexfloating) and not self.loss_function.takes_complex:
            msg = (
                f"the model returns {raw.dtype} numbers, which {type(self.loss_function).__name__}"
                " does not take: return real ones, such as `jnp.abs(z)`."
            )
            raise ValueError(msg)
        outputs = eqx.filter_eval_shape(_outputs, model, point)
        self.loss_function.check(self.batches.known_targets(batch), outputs.size)
        _check_finite("inputs", batch.inputs)
        _check_finite("targets", batch.targets)

    def _check_features(self, model: GenerativeClassifier, batch: Batch) -> None:
        """Whether features can occur in their families: of all examples where they are known."""
        inputs = batch.inputs
        if isinstance(self.batches, Shuffled) and self.batches.transform is None:
            inputs = self.batches.inputs
        count = jax.tree.leaves(inputs)[0].shape[0]
        check_values(model.family, (inputs, jnp.zeros(count, jnp.int32)))

    def losses(self, model: PyTree, batch: Batch) -> Array:
        """The loss of every example, (n,)."""

        def one(x: PyTree, y: Array) -> Scalar:
            return self.loss_function.value(_outputs(model, x), y)

        return jax.vmap(one)(batch.inputs, batch.targets)

    def evaluate(self, model: PyTree, batch: Batch) -> Evaluation:
        """The mean loss, and the target of `system`, or the gradient where it has none."""
        if self.curvature == "mc-fisher":
            return Evaluation(self.loss(model, batch), self.gradient(model, batch))

        def target(x: PyTree, y: Array) -> Any:
            return self.directions(_outputs(model, x), y, None)[1]

        targets: Array = jax.vmap(target)(batch.inputs, batch.targets)
        return Evaluation(self.loss(model, batch), targets / _root(batch.size, targets.dtype))

    def loss(self, model: PyTree, batch: Batch) -> Scalar:
        return jnp.mean(self.losses(model, batch))

    def gradient(self, model: PyTree, batch: Batch) -> PyTree:
        """The gradient of the mean loss, shaped like the parameters."""
        params, static = _tree.trainable(model)
        return jax.grad(lambda q: self.loss(eqx.combine(q, static), batch))(params)

    def directions(self, z: Array, y: Array, key: Any) -> tuple[Array, Array | None]:
        """Columns C (o, r) of one example, with A = C^T J / sqrt(n), and its target, if there is.

        C C^T is this curvature in the outputs, and C times the target the gradient there.
        """
        loss = self.loss_function
        if self.curvature == "ggn":
            return loss.factor(z), loss.target(z, y)
        if self.curvature == "empirical-fisher":
            return loss.gradient(z, y)[:, None], jnp.ones((1,), z.dtype)
        return loss.gradient(z, loss.sample(key, z))[:, None], None

    def system(
        self, model: PyTree, batch: Batch, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        """A (n, r) <- parameters with A^T A the curvature.

        The Jacobian is layerwise, or with `matrix_free` two derivatives of the model, and nothing
        is stored. Of "ggn" A is a `WeightedJacobian`: S^T J with H = S S^T. The target has
        A^T b = gradient; "mc-fisher" has none, and the system its gradient.
        """
        if matrix_free:
            operator, target = self._products(model, batch)
        else:
            operator, target = self._layerwise(model, batch)
        if target is not None:
            return LeastSquaresSystem(operator, target)
        return LeastSquaresSystem(operator, gradient=self.gradient(model, batch))

    def _keys(self, batch: Batch) -> Array | None:
        if self.curvature != "mc-fisher":
            return None
        if batch.key is None:
            msg = "`batch.key` is None, but 'mc-fisher' draws labels: give Batch(..., key=key)."
            raise ValueError(msg)
        return jax.random.split(batch.key, batch.size)

    def _products(self, model: PyTree, batch: Batch) -> Any:
        params, static = _tree.trainable(model)

        def outputs(q: PyTree) -> Array:
            whole = eqx.combine(q, static)
            return jax.vmap(lambda x: _outputs(whole, x))(batch.inputs)

        z, push = jax.linearize(outputs, params)
        pull = jax.linear_transpose(push, params)
        columns, target = jax.vmap(self.directions)(z, batch.targets, self._keys(batch))
        root = _root(batch.size, z.dtype)
        structure = jax.eval_shape(lambda: params)
        jacobian = ProductOperator(push, lambda w: pull(w)[0], structure)
        operator = WeightedJacobian(jacobian, columns / root)
        if not self._has_outputs:
            operator = ProductOperator(operator.mv, operator.transpose_mv, structure)
        return operator, None if target is None else target / root

    def _layerwise(self, model: PyTree, batch: Batch) -> Any:
        surgery = _Surgery(model, jax.tree.map(lambda x: x[0], batch.inputs))
        root = _root(batch.size, jnp.result_type(*jax.tree.leaves(surgery.params)))

        def example(x: PyTree, y: Array, key: Any) -> Any:
            z, pull = jax.vjp(lambda *parts: surgery.outputs(x, *parts), *surgery.start())
            columns, target = self.directions(z, y, key)
            factor = columns / root
            basis = jnp.eye(z.size, dtype=z.dtype) if self._has_outputs else factor
            axes = [0 for _ in surgery.rest], surgery.axes()
            sweep = jax.vmap(pull, in_axes=1, out_axes=axes)
            return sweep(basis), factor, None if target is None else target / root

        found = jax.vmap(example)(batch.inputs, batch.targets, self._keys(batch))
        (rows, probes), factor, target = found
        operator = surgery.operator(rows, probes)
        return WeightedJacobian(operator, factor) if self._has_outputs else operator, target

    @property
    def _has_outputs(self) -> bool:
        """Whether A is kept as S^T J: as many directions as outputs, so that J costs no more."""
        return self.curvature == "ggn"


class _Surgery:
    """A model taken apart: probed layers, the other parameters, and where all of them lie."""

    def __init__(self, model: PyTree, point: PyTree):
        self.params, _ = _tree.trainable(model)
        self.nodes, self.units = layers.places_of(model), layers.units_of(model)
        self.capture = layers.captured(model, point, _outputs)
        probed = {leaf for place in self.capture.calls for leaf in self.nodes[place][1]}
        count = len(jax.tree.leaves(self.params))
        self.rest = tuple(i for i in range(count) if i not in probed)

    def start(self) -> tuple[list[Array], dict[int, list[layers.Probe]]]:
        """The parameters without layers, and zeros for outputs and inputs of the layers."""
        leaves = jax.tree.leaves(self.params)
        return [leaves[i] for i in self.rest], self.capture.probes()

    def axes(self) -> Any:
        """Where a sweep of many directions puts them: cotangents have each, inputs none."""
        return {
            p: [layers.Probe(0, None) for _ in calls] for p, calls in self.capture.calls.items()
        }

    def outputs(self, x: PyTree, rest: list[Array], probes: dict) -> Array:
        leaves = jax.tree.leaves(self.params)
        for i, leaf in zip(self.rest, rest, strict=True):
            leaves[i] = leaf
        return self.capture.outputs(leaves, x, probes)

    def operator(self, rows: list[Array], probes: dict) -> LayerwiseJacobian:
        n, r = jax.tree.leaves((rows, [[c.delta for c in p] for p in probes.values()]))[0].shape[:2]
        stored_layers = [
            layers.rows_of(*self.nodes[place], calls, probes[place])
            for place, calls in self.capture.calls.items()
        ]
        stored = [part.reshape(n * r, -1) for part in rows]
        structure = jax.eval_shape(lambda: self.params)
        return LayerwiseJacobian(
            stored_layers, stored, self.rest, (n, r), structure, units=self.units
        )


def _outputs(model: PyTree, x: PyTree) -> Array:
    """What the loss sees of an example: a row of real numbers."""
    return real(jnp.ravel(model(x)))


def _check_finite(name: str, data: PyTree) -> None:
    """ValueError where the data of the first batch are not finite, with the first such example."""
    for leaf in jax.tree.leaves(eqx.filter(data, eqx.is_inexact_array)):
        wrong = ~jnp.all(jnp.isfinite(leaf.reshape(leaf.shape[0], -1)), axis=1)
        if bool(jnp.any(wrong)):
            place = int(jnp.argmax(wrong))
            msg = (
                f"`{name}` hold a number that is not finite, in example {place} of the first batch:"
                " leave such examples out, or fill them."
            )
            raise ValueError(msg)


def _root(n: int, dtype: Any) -> Array:
    return jnp.sqrt(jnp.asarray(n, dtype))
