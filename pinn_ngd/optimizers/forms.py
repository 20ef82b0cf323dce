"""How the linear system of a step is represented: by stored rows or by products."""

from typing import Any, cast, get_args

import jax
import jax.numpy as jnp
import lineax as lx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .. import _tree
from .._names import choose
from ..linalg import Form, JacobianRows, LeastSquaresSystem, ProductOperator, choose_form, takes_key
from ..metrics import AbstractMetric
from ..objectives import AbstractObjective
from .base import scalar_type

FORMS = get_args(Form)
POWER_ITERATIONS = 3  # of `squared_norm`, where the matrix is not stored


def system_for(
    metric: AbstractMetric,
    objective: AbstractObjective,
    model: PyTree,
    batch: PyTree,
    *,
    form: Form,
) -> LeastSquaresSystem:
    """The metric's system, with stored rows unless they do not fit or the user forbids them."""
    choose(form, FORMS, "`form`")
    if form == "auto":
        form = choose_form(metric.rows(objective, model, batch), _tree.size(model))
    return metric.system(objective, model, batch, matrix_free=form == "matrix-free")


def shape_for(
    metric: AbstractMetric, objective: AbstractObjective, model: PyTree, batch: PyTree
) -> tuple[int, int, int]:
    """Rows and parameters of the metric's system, and the bytes of a number in it."""
    size = jnp.dtype(scalar_type(model)).itemsize
    return metric.rows(objective, model, batch), _tree.size(model), size


def squared_norm(operator: lx.AbstractLinearOperator, gradient: PyTree) -> Float[Array, ""]:
    """|A|_F^2 of stored rows; an estimate of |A|_2^2 where A is never stored.

    The estimate is made by a few power iterations that start at the gradient. The gradient A^T b
    has large components along the leading singular vectors, and only the order of magnitude is
    wanted. Each iteration takes two solves.
    """
    if isinstance(operator, JacobianRows):
        return jnp.sum(operator.matrix**2)
    ones = jax.tree.map(jnp.ones_like, gradient)
    start = _tree.where(_tree.norm(gradient) > 0, gradient, ones)

    def iterate(_, v):
        w = operator.T.mv(operator.mv(_tree.scale(1 / _tree.norm(v), v)))
        return cast(PyTree, w)

    return _tree.norm(jax.lax.fori_loop(0, POWER_ITERATIONS, iterate, start))


def options_for(solver: lx.AbstractLinearSolver, key: PRNGKeyArray) -> dict[str, Any]:
    """What a solver is told in a step: a key, where it draws random numbers."""
    return {"key": key} if takes_key(solver) else {}


def gradient_of(system: LeastSquaresSystem) -> PyTree:
    """The gradient of the loss: A^T b where a target is given."""
    if system.gradient is not None:
        return system.gradient
    return system.operator.T.mv(system.target)


def masked(system: LeastSquaresSystem, free: PyTree) -> LeastSquaresSystem:
    """The system in which only parameters with `free` = 1, not 0, can change."""
    operator = system.operator

    def keep(tree: PyTree) -> PyTree:
        return jax.tree.map(jnp.multiply, free, tree)

    if isinstance(operator, JacobianRows):
        columns, _ = ravel_pytree(free)
        structures = operator.in_structure(), operator.out_structure()
        masked_operator = JacobianRows(operator.matrix * columns, *structures)
    else:
        masked_operator = ProductOperator(
            lambda v: operator.mv(keep(v)),
            lambda w: keep(operator.T.mv(w)),
            operator.in_structure(),
        )
    if system.gradient is None:
        return LeastSquaresSystem(masked_operator, system.target)
    return LeastSquaresSystem(masked_operator, gradient=keep(system.gradient))
