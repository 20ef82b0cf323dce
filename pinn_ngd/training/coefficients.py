"""Warnings of numbers in a model that look like unknown coefficients but are not trained."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..models.parameters import fixed_numbers, path_of


def warn_about_fixed(objective: Any, model: PyTree, batch: PyTree) -> None:
    """A warning for every Python number or array of integers that the loss depends on smoothly.

    There is no warning of a number that decides shapes, is an index or counts layers: the loss
    cannot be traced with a float in its place.
    """
    for path, leaf in fixed_numbers(model):
        if not _depends(objective, model, batch, path, leaf):
            continue
        python = isinstance(leaf, int | float | complex)
        what = f"a Python {type(leaf).__name__}" if python else f"an array of {leaf.dtype}"
        value = repr(leaf) if python else "..."
        warnings.warn(
            f"`{path_of(path)}` is {what} and stays fixed: write `jnp.asarray({value}, float)` to "
            "train it, or make it a static field, `equinox.field(static=True)`, as a setting.",
            UserWarning,
            stacklevel=2,
        )


def _depends(objective: Any, model: PyTree, batch: PyTree, path: Any, leaf: Any) -> bool:
    """Whether the loss can be traced with a float in place of the leaf, and uses it."""
    leaves, treedef = jax.tree_util.tree_flatten_with_path(model)
    place = [p for p, _ in leaves].index(path)
    values = [value for _, value in leaves]

    def loss(number: Any) -> Any:
        changed = [*values[:place], number, *values[place + 1 :]]
        return objective.loss(jax.tree.unflatten(treedef, changed), batch)

    number = jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(float))
    try:
        with jax.numpy_dtype_promotion("standard"):
            traced = eqx.filter_make_jaxpr(loss)(number)[0]
    except Exception:  # it decides a shape or a branch, or it is an index
        return False
    return _reaches(traced.jaxpr)


def _reaches(jaxpr: Any) -> bool:
    """Whether an output depends on the first input, judged by whole operations."""
    reached = {jaxpr.invars[0]}
    for eqn in jaxpr.eqns:
        # Literals cannot be hashed and do not depend on the input.
        if any(isinstance(v, type(jaxpr.invars[0])) and v in reached for v in eqn.invars):
            reached.update(eqn.outvars)
    return any(isinstance(v, type(jaxpr.invars[0])) and v in reached for v in jaxpr.outvars)
