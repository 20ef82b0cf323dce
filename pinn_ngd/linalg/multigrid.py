"""A multigrid V-cycle for diffusion with variable coefficients on Cartesian grids."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .operators import HIGHEST

FEW = 32  # cells of a slice that are solved for directly
SWEEPS, RELAXATION = 2, 0.8  # of Jacobi's method, before and after the coarser level
ALIKE = 1.5  # axes whose spacing is within this factor of the finest are made coarser together


class Diffusion(eqx.Module):
    """K u = sum over the axes of the flows out of a cell, and `growth` u: positive semidefinite.

    `faces[k]` are the conductances of all faces across axis `axes[k]`, one more than there are
    cells along it: face i lies between the cells i - 1 and i,

        (K u)_i = w_i (u_i - u_{i-1}) + w_{i+1} (u_i - u_{i+1}) + ... + growth_i u_i.

    Beyond the first and the last face u is zero, so that a closed boundary has faces of
    conductance zero; where `periodic`, the cell beyond is the one at the other end, and the last
    face is the first one again.
    """

    faces: list[Float[Array, "..."]]
    growth: Float[Array, "..."]
    axes: tuple[int, ...] = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    def apply(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """K u."""
        found = self.growth * u
        for axis, w in zip(self.axes, self.faces, strict=True):
            flow = w * jnp.diff(self._padded(u, axis), axis=axis)
            found = found - jnp.diff(flow, axis=axis)
        return found

    def diagonal(self) -> Float[Array, "..."]:
        """The diagonal of K."""
        found = self.growth
        for axis, w in zip(self.axes, self.faces, strict=True):
            n = w.shape[axis]
            if self.periodic and n == 2:  # one cell, which is its own neighbor
                continue
            lower = jax.lax.slice_in_dim(w, 0, n - 1, axis=axis)
            found = found + lower + jax.lax.slice_in_dim(w, 1, n, axis=axis)
        return found

    def _padded(self, u: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
        width = [(0, 0)] * u.ndim
        width[axis] = (1, 1)
        return jnp.pad(u, width, mode="wrap" if self.periodic else "constant")


class Multigrid(eqx.Module):
    """An approximate inverse of a `Diffusion`: symmetric, and as good on fine grids as on coarse.

    Cells are joined in pairs along their axes, those of the finest spacing first, until few are
    left of each slice of the grid (along the axes without faces nothing flows). Conductances of the
    faces between joined cells add up, and their distance doubles. A cycle smooths by damped Jacobi
    sweeps, solves for what is left on the coarser level, and smooths once more (Trottenberg,
    Oosterlee and Schueller, Multigrid, 2001). It costs about a dozen products with K, whatever the
    number of cells, and stores twice what K takes. Where K has constants in its kernel, the
    coarsest level leaves them out.
    """

    levels: list[Diffusion]
    joined: list[tuple[int, ...]] = eqx.field(static=True)
    coarsest: Float[Array, "slices n n"]

    def __init__(self, finest: Diffusion, spacing: Sequence[float]):
        levels, joined, lengths = [finest], [], list(spacing)
        while pairs := _to_join(levels[-1], lengths):
            levels.append(_coarser(levels[-1], pairs))
            joined.append(pairs)
            lengths = [h * 2 if axis in pairs else h for axis, h in enumerate(lengths)]
        self.levels, self.joined = levels, joined
        self.coarsest = _inverse(levels[-1])

    def __call__(self, charge: Float[Array, "..."]) -> Float[Array, "..."]:
        """One cycle from zero."""
        return self._cycle(0, charge)

    def _cycle(self, depth: int, charge: Float[Array, "..."]) -> Float[Array, "..."]:
        level = self.levels[depth]
        if depth == len(self.joined):
            order = _slices_first(level)
            flat = jnp.transpose(charge, order).reshape(len(self.coarsest), -1, 1)
            found = jnp.matmul(self.coarsest, flat, precision=HIGHEST)
            shape = [charge.shape[axis] for axis in order]
            return jnp.transpose(found.reshape(shape), np.argsort(order).tolist())
        inverse = _reciprocal(level.diagonal())
        u = RELAXATION * inverse * charge
        for _ in range(SWEEPS - 1):
            u = u + RELAXATION * inverse * (charge - level.apply(u))
        left = _summed(charge - level.apply(u), self.joined[depth])
        u = u + _spread(self._cycle(depth + 1, left), self.joined[depth], charge.shape)
        for _ in range(SWEEPS):
            u = u + RELAXATION * inverse * (charge - level.apply(u))
        return u


def _to_join(level: Diffusion, spacing: Sequence[float]) -> tuple[int, ...]:
    """The axes along which cells are joined next: those of about the finest spacing."""
    shape = level.growth.shape
    if math.prod(shape[axis] for axis in level.axes) <= FEW:
        return ()
    long = [axis for axis in level.axes if shape[axis] > 1]
    finest = min(spacing[axis] for axis in long)
    return tuple(axis for axis in long if spacing[axis] <= ALIKE * finest)


def _slices_first(level: Diffusion) -> tuple[int, ...]:
    """The axes along which nothing flows, then the others."""
    still = [axis for axis in range(level.growth.ndim) if axis not in level.axes]
    return (*still, *level.axes)


def _coarser(level: Diffusion, joined: tuple[int, ...]) -> Diffusion:
    """The same diffusion for joined cells: conductances add up over faces, divided by distance."""
    faces = []
    for axis, w in zip(level.axes, level.faces, strict=True):
        if axis in joined:
            w = _kept(w, axis) / 2
        faces.append(_summed(w, tuple(other for other in joined if other != axis)))
    return Diffusion(faces, _summed(level.growth, joined), level.axes, level.periodic)


def _kept(w: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Every other face; the last one of an odd number of cells stays the last one."""
    n = w.shape[axis]
    if n % 2 == 0:
        parts = jnp.split(w, [n - 1], axis=axis)
        w = jnp.concatenate([parts[0], jnp.zeros_like(parts[1]), parts[1]], axis=axis)
    return jax.lax.slice_in_dim(w, 0, w.shape[axis], stride=2, axis=axis)


def _summed(field: Float[Array, "..."], joined: tuple[int, ...]) -> Float[Array, "..."]:
    """Sums over pairs of neighbors along some axes; a last one alone stays alone."""
    for axis in joined:
        n = field.shape[axis]
        if n % 2:
            width = [(0, 0)] * field.ndim
            width[axis] = (0, 1)
            field = jnp.pad(field, width)
        shape = (*field.shape[:axis], (n + 1) // 2, 2, *field.shape[axis + 1 :])
        field = jnp.sum(field.reshape(shape), axis=axis + 1)
    return field


def _spread(
    field: Float[Array, "..."], joined: tuple[int, ...], shape: tuple[int, ...]
) -> Float[Array, "..."]:
    """The transpose of `_summed`: both cells of a pair get its value."""
    for axis in joined:
        field = jnp.repeat(field, 2, axis=axis)
        field = jax.lax.slice_in_dim(field, 0, shape[axis], axis=axis)
    return field


def _inverse(level: Diffusion) -> Float[Array, "slices n n"]:
    """K^-1 of every slice as a matrix, which leaves the kernel out.

    K is scaled to a unit diagonal first, since conductances may differ by more than all digits.
    """
    order = _slices_first(level)
    shape = [level.growth.shape[axis] for axis in order]
    flowing = shape[len(shape) - len(level.axes) :]
    n = math.prod(flowing)

    def image(e: Float[Array, " n"]) -> Float[Array, "slices n"]:
        everywhere = jnp.broadcast_to(e.reshape(flowing), shape)
        applied = level.apply(jnp.transpose(everywhere, np.argsort(order).tolist()))
        return jnp.transpose(applied, order).reshape(-1, n)

    columns = jax.vmap(image, out_axes=-1)(jnp.eye(n, dtype=level.growth.dtype))
    diagonal = jnp.diagonal(columns, axis1=1, axis2=2)
    root = jnp.sqrt(_reciprocal(diagonal))
    scale = root[:, :, None] * root[:, None, :]
    inverse = jax.vmap(lambda matrix: jnp.linalg.pinv(matrix, hermitian=True))
    return inverse(columns * scale) * scale


def _reciprocal(diagonal: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 / diagonal, and zero for a cell without neighbors, which nothing determines."""
    safe = jnp.where(diagonal > 0, diagonal, 1)
    return jnp.where(diagonal > 0, 1 / safe, 0)
