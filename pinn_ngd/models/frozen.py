"""Parts of a model that no optimizer trains."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


class Frozen(eqx.Module):
    """A callable module whose parameters stay as they are, whatever the optimizer.

    The parameters of a model are its floating-point arrays, for every optimizer. A frozen module
    keeps its own as integers of the same bits, which are no parameters, and calls the module with
    the floats that they stand for: checkpoints keep every bit, nothing is masked, and systems have
    no columns for them.
    """

    bits: PyTree
    rest: PyTree
    dtypes: tuple[Any, ...] = eqx.field(static=True)

    def __init__(self, module: Any):
        params, self.rest = eqx.partition(module, eqx.is_inexact_array)
        self.bits = jax.tree.map(_as_bits, params)
        self.dtypes = tuple(leaf.dtype for leaf in jax.tree.leaves(params))

    def thaw(self) -> Any:
        """The module with its parameters as floats again."""
        leaves, treedef = jax.tree.flatten(self.bits)
        floats = map(jax.lax.bitcast_convert_type, leaves, self.dtypes)
        return eqx.combine(jax.tree.unflatten(treedef, list(floats)), self.rest)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.thaw()(*args, **keywords)


def freeze(model: PyTree, where: Callable[[Any], Any]) -> PyTree:
    """The model with the module (or modules) `where(model)` frozen: train only the others.

        model = freeze(model, lambda m: [m.convolution, m.hidden])

    `where` selects as in `equinox.tree_at`. Raises ValueError where it selects what cannot be
    called: freeze the module that holds an array, not the array.
    """
    chosen = where(model)
    for part in chosen if isinstance(chosen, list | tuple) else [chosen]:
        if not callable(part):
            msg = (
                f"`where` selects {type(part).__name__}, which is no callable module: select the"
                " layer that holds it."
            )
            raise ValueError(msg)
    return eqx.tree_at(where, model, replace_fn=Frozen)


def _as_bits(x: Array) -> Array:
    return jax.lax.bitcast_convert_type(x, jnp.dtype(f"int{8 * x.dtype.itemsize}"))
