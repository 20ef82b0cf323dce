"""Direct solves with weighted graph Laplacians, in JAX: compiled, batched, differentiable.

K = sum_e w_e (e_left - e_right)(e_left - e_right)^T is block tridiagonal when the vertices are
grouped in levels and edges join vertices of one level or of neighboring ones. A scan of dense
Cholesky factorizations over m levels of k vertices costs O(m k^3) operations and O(m k^2) memory.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

OUTSIDE = -1
LEAK = 50.0  # times eps: relative conductance to the outside that every open component has


class Ordering(NamedTuple):
    """The places of the vertices of a fixed graph in the blocks, found once with NumPy.

    `slot` (n,) numbers the m * width padded places; `left`, `right` (e,) are the ends of the edges,
    -1 for an end outside, where the potential is zero. `components` are the vertices of every
    connected component, and its edges to the outside: none for a closed component.
    """

    slot: Int[np.ndarray, " n"]
    left: Int[np.ndarray, " e"]
    right: Int[np.ndarray, " e"]
    blocks: int
    width: int
    components: tuple[tuple[Int[np.ndarray, " c"], Int[np.ndarray, " x"]], ...]


def ordering(
    level: Int[np.ndarray, " n"], left: Int[np.ndarray, " e"], right: Int[np.ndarray, " e"]
) -> Ordering:
    """Group the vertices by `level` (0, 1, ..., m - 1).

    Raises ValueError where an edge joins levels that are no neighbors.
    """
    inside = (left != OUTSIDE) & (right != OUTSIDE)
    if np.any(np.abs(level[left[inside]] - level[right[inside]]) > 1):
        msg = "an edge joins vertices two levels apart or more: choose coarser levels."
        raise ValueError(msg)
    sizes = np.bincount(level)
    order = np.argsort(level, kind="stable")
    starts = np.cumsum(sizes) - sizes
    slot = np.empty(len(level), int)
    slot[order] = np.arange(len(level)) + level[order] * sizes.max() - starts[level[order]]
    components = _components(len(level), left, right)
    return Ordering(slot, left, right, len(sizes), int(sizes.max()), components)


def _components(
    vertices: int, left: np.ndarray, right: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    inside = (left != OUTSIDE) & (right != OUTSIDE)
    pairs = (left[inside], right[inside])
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs[0])), pairs), shape=(vertices, vertices))
    count, label = connected_components(graph, directed=False)
    exits = np.flatnonzero(~inside)
    owner = label[np.where(left == OUTSIDE, right, left)[exits]]
    return tuple((np.flatnonzero(label == c), exits[owner == c]) for c in range(count))


class LaplacianFactor(eqx.Module):
    """Block Cholesky factor: `lower` (m, k, k) diagonal blocks, `coupling` W_i = L_(i-1)^-1 B_i^T.

    `slot` as in `Ordering`.
    """

    lower: Float[Array, "m k k"]
    coupling: Float[Array, "m k k"]
    slot: Int[Array | np.ndarray, " n"]

    def solve(self, charge: Float[Array, " n"]) -> Float[Array, " n"]:
        """The potential K^-1 z, linear in z. Under `vmap` each level takes one matrix product."""
        blocks, width, _ = self.lower.shape
        places = (
            jnp.zeros(blocks * width, charge.dtype).at[self.slot].set(charge, unique_indices=True)
        )
        zero = jnp.zeros(width, charge.dtype)

        def forward(previous, block):
            lower, coupling, right = block
            y = solve_triangular(lower, right - coupling.T @ previous, lower=True)
            return y, y

        parts = (self.lower, self.coupling, places.reshape(blocks, width))
        _, half = jax.lax.scan(forward, zero, parts)

        def backward(after, block):
            lower, coupling, right = block
            x = solve_triangular(lower, right - after, lower=True, trans="T")
            return coupling @ x, x

        _, potential = jax.lax.scan(backward, zero, (*parts[:2], half), reverse=True)
        return potential.reshape(-1)[self.slot]


def factor_laplacian(order: Ordering, weights: Float[Array, " e"]) -> LaplacianFactor:
    """Factor the graph Laplacian with positive edge weights (e,).

    On a closed component K is singular, and its null space are the constants. There the potential
    of the vertex of largest degree is fixed at zero. A charge z that sums to zero then gives the
    exact solution with that constant; the rest of any other charge leaves through that vertex. An
    open component whose edges to the outside weigh less than 50 eps times that degree gets an edge
    of this weight, which keeps the factorization stable. Weights that are not positive give NaN.
    """
    diagonal, below = _blocks(order, weights)

    def eliminate(previous, block):
        own, coupled = block
        coupling = solve_triangular(previous, coupled.T, lower=True)
        lower = jnp.linalg.cholesky(own - coupling.T @ coupling)
        return lower, (lower, coupling)

    start = jnp.eye(order.width, dtype=weights.dtype)
    _, (lower, coupling) = jax.lax.scan(eliminate, start, (diagonal, below))
    return LaplacianFactor(lower, coupling, order.slot)


def _blocks(
    order: Ordering, weights: Float[Array, " e"]
) -> tuple[Float[Array, "m k k"], Float[Array, "m k k"]]:
    """Diagonal blocks, and the blocks left of them (zero for the first level)."""
    width, zero = order.width, jnp.zeros((order.blocks, order.width, order.width), weights.dtype)
    degree = _degrees(order, weights)
    for vertices, exits in order.components:
        held = jnp.asarray(vertices)[jnp.argmax(degree[vertices])]
        largest = degree[held]
        if len(exits) == 0:
            degree = degree.at[held].add(largest)
        else:
            least = LEAK * float(jnp.finfo(weights.dtype).eps) * largest
            thin = jnp.sum(weights[exits]) < least
            degree = degree.at[held].add(jnp.where(thin, least, jnp.zeros_like(least)))
    occupied = np.zeros(order.blocks * width, bool)
    occupied[order.slot] = True
    padded = jnp.asarray(~occupied, weights.dtype).at[order.slot].set(degree)
    diagonal = jax.vmap(jnp.diag)(padded.reshape(order.blocks, width))

    inside = np.flatnonzero((order.left != OUTSIDE) & (order.right != OUTSIDE))
    low, high = np.sort([order.slot[order.left[inside]], order.slot[order.right[inside]]], axis=0)
    (i, a), (j, b) = np.divmod(low, width), np.divmod(high, width)
    same = i == j
    w = weights[inside]
    diagonal = diagonal.at[i[same], a[same], b[same]].add(-w[same])
    diagonal = diagonal.at[i[same], b[same], a[same]].add(-w[same])
    return diagonal, zero.at[j[~same], b[~same], a[~same]].add(-w[~same])


def _degrees(order: Ordering, weights: Float[Array, " e"]) -> Float[Array, " n"]:
    degree = jnp.zeros(len(order.slot) + 1, weights.dtype)  # the last: the outside
    return degree.at[order.left].add(weights).at[order.right].add(weights)[:-1]
