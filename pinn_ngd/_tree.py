"""Small helpers on PyTrees of arrays."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree, Scalar


def trainable(model: PyTree) -> tuple[PyTree, PyTree]:
    """Split a model into its inexact arrays (the parameters) and the rest."""
    return eqx.partition(model, eqx.is_inexact_array)


def add(x: PyTree, y: PyTree) -> PyTree:
    """Leafwise x + y."""
    return jax.tree.map(jnp.add, x, y)


def subtract(x: PyTree, y: PyTree) -> PyTree:
    """Leafwise x - y."""
    return jax.tree.map(jnp.subtract, x, y)


def scale(factor: Any, x: PyTree) -> PyTree:
    """Leafwise factor * x."""
    return jax.tree.map(lambda leaf: factor * leaf, x)


def where(condition: Any, x: PyTree, y: PyTree) -> PyTree:
    """Leafwise selection by one scalar condition."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), x, y)


def dot(x: PyTree, y: PyTree) -> Scalar:
    """Euclidean inner product of two PyTrees of one structure."""
    products = jax.tree.leaves(jax.tree.map(lambda a, b: jnp.sum(a * b), x, y))
    return jax.tree.reduce(jnp.add, products)


def norm(x: PyTree) -> Scalar:
    """Euclidean norm of a PyTree."""
    return jnp.sqrt(dot(x, x))


def zeros_like(x: PyTree) -> PyTree:
    """A PyTree of zeros."""
    return jax.tree.map(jnp.zeros_like, x)


def move(model: PyTree, step: PyTree) -> PyTree:
    """The model with parameters theta - step."""
    return eqx.apply_updates(model, jax.tree.map(jnp.negative, step))


def size(x: PyTree) -> int:
    """Number of scalars in the inexact arrays of a PyTree."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(x, eqx.is_inexact_array)))


def dtypes(x: PyTree) -> str:
    """The types of the inexact arrays of a PyTree, in words."""
    leaves = jax.tree.leaves(eqx.filter(x, eqx.is_inexact_array))
    return ", ".join(sorted({str(leaf.dtype) for leaf in leaves}))


def all_finite(x: PyTree) -> Array:
    """True where no entry of any inexact array is infinite or not a number."""
    leaves = jax.tree.leaves(eqx.filter(x, eqx.is_inexact_array))
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))


def random_direction(structure: PyTree, key: PRNGKeyArray) -> PyTree:
    """A direction of unit length with normal entries, shaped like the leaves of `structure`."""
    leaves, tree = jax.tree.flatten(structure)
    keys = jax.random.split(key, len(leaves))
    pairs = zip(keys, leaves, strict=True)
    draws = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in pairs]
    direction = jax.tree.unflatten(tree, draws)
    return scale(1 / norm(direction), direction)
