"""What of a model can be trained, looked at before training."""

import functools
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .. import _tree
from .frozen import Frozen


def check_parameters(model: PyTree) -> None:
    """ValueError for a model without a trainable leaf, and for one that is complex or not finite,
    named by its path."""
    params = _tree.trainable(model)[0]
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if not leaves:
        raise ValueError(_nothing_to_train(model))
    for path, leaf in leaves:
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            msg = (
                f"`{path_of(path)}` is {leaf.dtype}, but parameters are real: keep its real and "
                "imaginary parts as two arrays, and join them with `jax.lax.complex` where the "
                "model is called."
            )
            raise ValueError(msg)
        if not np.isfinite(np.asarray(leaf)).all():
            msg = f"`{path_of(path)}` holds a number that is not finite: start from finite ones."
            raise ValueError(msg)


def path_of(path: Any) -> str:
    """A leaf as one would write it: model.layers[0].weight."""
    return f"model{jax.tree_util.keystr(path)}"


def fixed_numbers(model: PyTree) -> Iterator[tuple[Any, Any]]:
    """Path and value of every leaf that is a number, or an array of integers, and stays fixed.

    Not those of frozen modules, and not the settings of Equinox's own layers.
    """
    leaves = jax.tree_util.tree_leaves_with_path(model, is_leaf=_is_closed)
    for path, leaf in leaves:
        if _is_closed(leaf) or isinstance(leaf, bool | np.generic):
            continue
        if isinstance(leaf, int | float | complex) or _is_integers(leaf):
            yield path, leaf


def _is_closed(node: Any) -> bool:
    """Modules whose leaves are nobody's coefficients."""
    own = type(node).__module__.startswith("equinox.") and isinstance(node, eqx.Module)
    return isinstance(node, Frozen) or (own and not _tree.size(node))


def _is_integers(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray) and jnp.issubdtype(leaf.dtype, jnp.integer)


def _nothing_to_train(model: PyTree) -> str:
    what = f"a {type(model).__name__}"
    if isinstance(model, functools.partial):
        cure = "write `equinox.Partial(...)` for `functools.partial(...)`, or an `equinox.Module`"
    elif callable(model) and not isinstance(model, eqx.Module):
        cure = (
            "let it be an `equinox.Module` with its arrays as fields, or, where it makes a model "
            "of a key, call it: `model(jax.random.key(0))`"
        )
    else:
        cure = "make its parameters floating-point arrays, such as `jnp.asarray(2.0)`"
    return f"`model` is {what} without a floating-point array among its leaves to train: {cure}."
