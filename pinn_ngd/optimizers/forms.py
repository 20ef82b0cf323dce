"""Choosing how a system is represented."""

from typing import cast, get_args

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PyTree

from .. import _tree
from ..linalg import Form, JacobianRows, LeastSquaresSystem, choose_form
from ..metrics import AbstractMetric
from ..objectives import AbstractObjective

FORMS = get_args(Form)


def system_for(
    metric: AbstractMetric,
    objective: AbstractObjective,
    model: PyTree,
    batch: PyTree,
    *,
    form: Form,
) -> LeastSquaresSystem:
    """The metric's system, with stored rows unless they do not fit or the user forbids them."""
    if form not in FORMS:
        msg = f"`form` is {form!r}; it must be one of {', '.join(FORMS)}."
        raise ValueError(msg)
    if form == "auto":
        form = choose_form(metric.rows(objective, model, batch), _tree.size(model))
    return metric.system(objective, model, batch, matrix_free=form == "matrix-free")


def squared_norm(operator: lx.AbstractLinearOperator) -> Float[Array, ""]:
    """|A|_F^2 of stored rows; |A|_2^2 by power iteration where A is never stored."""
    if isinstance(operator, JacobianRows):
        return jnp.sum(operator.matrix**2)
    structure = operator.in_structure()
    start = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), structure)

    def iterate(_, v):
        w = operator.T.mv(operator.mv(_tree.scale(1 / _tree.norm(v), v)))
        return cast(PyTree, w)

    return _tree.norm(jax.lax.fori_loop(0, 10, iterate, start))
