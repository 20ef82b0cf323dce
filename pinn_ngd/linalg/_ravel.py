"""Flat vectors from PyTrees and back, in the order of `jax.flatten_util.ravel_pytree`."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree, Shaped

HashableStructure = tuple[tuple[jax.ShapeDtypeStruct, ...], Any]


def hashable(structure: PyTree) -> HashableStructure:
    """A hashable form of a PyTree of shapes and dtypes, fit for a static field."""
    leaves, treedef = jax.tree.flatten(structure)
    return tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves), treedef


def structure_of(frozen: HashableStructure) -> PyTree[jax.ShapeDtypeStruct]:
    """Inverse of `hashable`."""
    leaves, treedef = frozen
    return jax.tree.unflatten(treedef, leaves)


def size(structure: PyTree) -> int:
    """Number of scalars in a PyTree of arrays or of their structures."""
    return sum(math.prod(x.shape) for x in jax.tree.leaves(structure))


def dtype_of(structure: PyTree) -> Any:
    """The common dtype of the leaves; an empty PyTree has JAX's default float."""
    leaves = jax.tree.leaves(structure)
    return jnp.result_type(*(x.dtype for x in leaves)) if leaves else jnp.result_type(float)


def real_dtype_of(structure: PyTree) -> Any:
    """The precision of `dtype_of`, without its imaginary part."""
    return jnp.finfo(dtype_of(structure)).dtype


def is_complex(structure: PyTree) -> bool:
    """Whether any leaf is complex."""
    return jnp.issubdtype(dtype_of(structure), jnp.complexfloating)


def check_one_field(*structures: PyTree) -> None:
    """ValueError unless the leaves are all real or all complex."""
    leaves = jax.tree.leaves(structures)
    if len({jnp.issubdtype(x.dtype, jnp.complexfloating) for x in leaves}) > 1:
        msg = (
            "`operator` mixes real and complex vectors, whose adjoint is no matrix: make all leaves"
            " complex, or split complex ones in real and imaginary parts."
        )
        raise ValueError(msg)


def ravel(tree: PyTree[Array], dtype: Any) -> Shaped[Array, " size"]:
    """Concatenate all leaves into one vector of the given dtype."""
    leaves = [x.astype(dtype).reshape(-1) for x in jax.tree.leaves(tree)]
    return jnp.concatenate(leaves) if leaves else jnp.zeros((0,), dtype)


def unravel(vector: Shaped[Array, " size"], structure: PyTree) -> PyTree[Array]:
    """Split a vector into the leaves of a structure, each in its own dtype."""
    leaves, treedef = jax.tree.flatten(structure)
    bounds = np.cumsum([math.prod(x.shape) for x in leaves])[:-1]
    parts = jnp.split(vector, bounds)[: len(leaves)]
    shaped = [part.reshape(x.shape).astype(x.dtype) for part, x in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(treedef, shaped)


def all_finite(tree: PyTree[Array]) -> Bool[Array, ""]:
    """Whether no entry of any leaf is infinite or not a number."""
    found = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(found)) if found else jnp.asarray(True)
