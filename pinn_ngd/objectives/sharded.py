"""An objective of residuals whose points lie on several devices."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Float, PyTree, Scalar

from .. import _tree
from ..geometry.quadrature import AbstractRule, Quadrature
from ..linalg import JacobianRows, LeastSquaresSystem, ProductOperator
from ..linalg.tall import LYING, ROWS, WHOLE
from .base import AbstractObjective, Evaluation
from .residual import ResidualObjective


class Sharded(AbstractObjective):
    """A `ResidualObjective` of which every device of a mesh holds a part of the points.

    Each device has as many points of every term, and evaluates and differentiates its own; the
    parameters are on all of them. The right-hand side (devices, m) and the rows (devices m, p) of
    the Jacobian stay where they were made, a device after the other. They are those of the
    objective itself in another order, with rows of zeros for points that `shared` filled up.
    """

    is_least_squares: ClassVar[bool] = True
    objective: ResidualObjective
    mesh: Mesh = eqx.field(static=True)

    def batch(self, key: Any = None) -> tuple[Quadrature, ...]:
        """The points of the objective, shared among the devices."""
        return shared(self.objective.batch(key), self.mesh)

    @property
    def resampled(self) -> bool:
        return self.objective.resampled

    @property
    def rules(self) -> tuple[AbstractRule, ...]:
        return self.objective.rules

    @property
    def term_names(self) -> tuple[str, ...]:
        return self.objective.term_names

    def evaluate(self, model: PyTree, batch: PyTree) -> Evaluation:
        def local(objective: ResidualObjective, model: PyTree, part: PyTree) -> Array:
            return _flat(objective.residuals(model, part))[None]

        block = self._each(local, LYING, model, batch)
        return Evaluation(0.5 * _tree.dot(block, block), block)

    def system(
        self, model: PyTree, batch: PyTree, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        """A = db/dtheta and target b; with `matrix_free` a product with A^T takes one sum."""
        if matrix_free:
            target = self.evaluate(model, batch).right_hand_side
            return LeastSquaresSystem(self._products(model, batch), target=target)

        def local(objective: ResidualObjective, model: PyTree, part: PyTree) -> Any:
            system = objective.system(model, part)
            return _flat(system.target)[None], system.operator.as_matrix()

        target, matrix = self._each(local, (LYING, LYING), model, batch)
        params, _ = _tree.trainable(model)
        structures = jax.eval_shape(lambda: params), jax.eval_shape(lambda: target)
        return LeastSquaresSystem(JacobianRows(matrix, *structures), target=target)

    def reduction(self, before: Evaluation, after: Evaluation, step: PyTree) -> Scalar:
        """That of the objective itself: it keeps the digits that a difference of losses loses."""
        return self.objective.reduction(before, after, step)

    def _products(self, model: PyTree, batch: PyTree) -> lx.AbstractLinearOperator:
        def operator(objective: ResidualObjective, model: PyTree, part: PyTree) -> Any:
            return objective.system(model, part, matrix_free=True).operator

        def forward(vector: PyTree) -> Array:
            def local(objective: Any, model: PyTree, part: PyTree, v: PyTree) -> Array:
                return _flat(operator(objective, model, part).mv(v))[None]

            return self._each(local, LYING, model, batch, vector)

        def backward(vector: Float[Array, "devices m"]) -> PyTree:
            def local(objective: Any, model: PyTree, part: PyTree, w: Array) -> PyTree:
                mine = operator(objective, model, part)
                blocks = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), mine.out_structure())
                product = mine.T.mv(ravel_pytree(blocks)[1](w[0]))
                return jax.lax.psum(product, ROWS)

            return self._each(local, WHOLE, model, batch, vector, lying=(vector,))

        params, _ = _tree.trainable(model)
        return ProductOperator(forward, backward, jax.eval_shape(lambda: params))

    def _each(
        self, local: Callable[..., Any], out: Any, model: PyTree, batch: PyTree, *more: PyTree,
        lying: Sequence[PyTree] = (),
    ) -> Any:  # fmt: skip
        """What every device makes of its own points: `local(objective, model, part, *more)`."""
        arrays, static = eqx.partition((self.objective, model), eqx.is_array)

        def on_one(arrays: PyTree, part: PyTree, *more: PyTree) -> Any:
            return local(*eqx.combine(arrays, static), part, *more)

        places = (LYING if any(x is y for y in lying) else WHOLE for x in more)
        mapped = jax.shard_map(
            on_one,
            mesh=self.mesh,
            in_specs=(WHOLE, LYING, *places),
            out_specs=out,
            check_vma=False,  # of two QR factorizations of the same matrix it knows no equality
        )
        return mapped(arrays, batch, *more)


def shared(batch: Sequence[Quadrature], mesh: Mesh) -> tuple[Quadrature, ...]:
    """A batch whose points lie on the devices of a mesh, as many of every term on each.

    Where their number is no multiple of that of the devices, the last point is repeated with weight
    zero: it adds nothing to a loss, and a row of zeros to a least-squares problem. Every process
    gives the whole batch, and keeps the part of its own devices.
    """
    return tuple(_shared(rule, mesh) for rule in batch)


def _shared(rule: Quadrature, mesh: Mesh) -> Quadrature:
    missing = -rule.weights.size % mesh.size
    filled = jax.tree.map(lambda array: _filled(np.asarray(array), missing), rule)
    real = np.arange(filled.weights.size) < rule.weights.size
    weights = np.where(real, filled.weights, 0)
    filled = eqx.tree_at(lambda q: q.weights, filled, weights)
    return jax.tree.map(lambda array: put(array, NamedSharding(mesh, LYING)), filled)


def put(array: np.ndarray, sharding: NamedSharding) -> Array:
    """An array that every process has as a whole, on the devices of all."""
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def _filled(array: np.ndarray, missing: int) -> np.ndarray:
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def _flat(tree: PyTree) -> Array:
    return ravel_pytree(tree)[0]
