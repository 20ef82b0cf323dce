"""Discrete gradients as lists of edges between cells."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

EXTERIOR = -1  # the index of a cell outside


@dataclass(frozen=True, eq=False)
class Edges:
    """A discrete gradient: flat indices of the cells at both ends (-1: outside), and lengths (e,).

    `middle` holds the cell in the middle of an edge where there is one, and else -1: then the
    density on an edge is the mean of its ends. `level` (n,) groups the cells such that edges join
    cells of one level or of neighboring ones.
    """

    left: Int[np.ndarray, " e"]
    right: Int[np.ndarray, " e"]
    middle: Int[np.ndarray, " e"]
    length: Float[np.ndarray, " e"]
    level: Int[np.ndarray, " n"]

    def difference(self, field: Float[Array, "..."]) -> Float[Array, " e"]:
        """u[right] - u[left], the field being zero outside."""
        padded = jnp.append(jnp.ravel(field), jnp.zeros((), field.dtype))
        return padded[self.right] - padded[self.left]

    def gradient(self, field: Float[Array, "..."]) -> Float[Array, " e"]:
        """D u, the difference divided by the length."""
        return self.difference(field) / jnp.asarray(self.length, field.dtype)

    def grounded(self, size: int) -> "Edges":
        """With one more edge of length 1 from every one of `size` cells to the outside."""
        ends = [(self.left, np.arange(size)), (self.right, np.full(size, EXTERIOR))]
        left, right = (np.concatenate(pair) for pair in ends)
        middle = np.concatenate([self.middle, np.full(size, EXTERIOR)])
        return Edges(left, right, middle, np.append(self.length, np.ones(size)), self.level)

    def density(self, field: Float[Array, "..."]) -> Float[Array, " e"]:
        """The field on the edges; an edge to the exterior has the value of its one cell."""
        flat = jnp.ravel(field)
        if np.all(self.middle >= 0):
            return flat[self.middle]
        left = np.where(self.left == EXTERIOR, self.right, self.left)
        right = np.where(self.right == EXTERIOR, self.left, self.right)
        return (flat[left] + flat[right]) / 2
