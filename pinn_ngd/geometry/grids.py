"""Cartesian grids on boxes: points, difference operators, and functions of the Laplacian.

A field on a grid is an array of the grid's shape. The discrete gradient is a list of *edges*: each
joins two cells (or a cell and the exterior, where the field is zero), and

    (D u)_e = (u[right] - u[left]) / length,    -Laplacian = D^T D.

D is one flat vector of all edges, axis after axis, so that one code serves every dimension and
every boundary condition.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .domains import Domain
from .edges import EXTERIOR, Edges

Boundary = Literal["neumann", "dirichlet", "periodic"]
FAST = 256  # points along an axis from which on a matrix of all modes costs more than FFTs


@jax.tree_util.register_static
@dataclass(frozen=True)
class Grid:
    """A uniform grid of `shape` cells or nodes on a box, in any dimension.

    - "neumann", "periodic": cell centers a + (i + 1/2) h, h = (b - a) / n;
    - "dirichlet": interior nodes a + (i + 1) h, h = (b - a) / (n + 1); fields vanish outside.

    Points along a `decoupled` axis are no neighbors: it has no differences (traces of a recording).
    Raises ValueError for fewer than two points along another axis or a number of axes that is not
    the dimension of the domain.
    """

    domain: Domain
    shape: tuple[int, ...]
    boundary: Boundary = "neumann"
    decoupled: tuple[int, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if self.domain.pieces != (self.domain,):
            raise ValueError(
                f"`domain` is a {type(self.domain).__name__}, and a grid fills a box: give the Box "
                "around it, or train with a metric that needs no grid."
            )
        if len(self.shape) != self.domain.dimension:
            msg = (
                f"`shape` {self.shape} has {len(self.shape)} axes, but the domain has"
                f" {self.domain.dimension}: give a number of points for every axis."
            )
            raise ValueError(msg)
        if min(n for axis, n in enumerate(self.shape) if axis not in self.decoupled) < 2:
            msg = f"`shape` is {self.shape}: at least 2 points are needed along every axis."
            raise ValueError(msg)
        if self.boundary not in ("neumann", "dirichlet", "periodic"):
            msg = f"`boundary` is {self.boundary!r}; choose 'neumann', 'dirichlet' or 'periodic'."
            raise ValueError(msg)

    @property
    def size(self) -> int:
        """Number of points n."""
        return math.prod(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """h for every axis."""
        extra = 1 if self.boundary == "dirichlet" else 0
        extents = zip(self.domain.extents, self.shape, strict=True)
        return tuple(extent / (n + extra) for extent, n in extents)

    @property
    def cell_volume(self) -> float:
        """The quadrature weight of every point."""
        return math.prod(self.spacing)

    @property
    def has_constants(self) -> bool:
        """Whether constants are in the kernel of the gradient."""
        return self.boundary != "dirichlet"

    @property
    def coupled(self) -> tuple[int, ...]:
        """The axes that have differences."""
        return tuple(axis for axis in range(len(self.shape)) if axis not in self.decoupled)

    def totals(self, field: Float[Array, "..."]) -> Float[Array, "..."]:
        """Sums over the coupled axes, which are kept with length one: of each slice its own.

        Nothing flows between the slices of a grid with decoupled axes, so that each has a mass.
        """
        return jnp.sum(field, axis=self.coupled, keepdims=True)

    @property
    def slices(self) -> int:
        """Number of slices along the coupled axes: one where no axis is decoupled."""
        return math.prod(self.shape[axis] for axis in self.decoupled)

    @property
    def axes(self) -> tuple[Float[np.ndarray, " k"], ...]:
        """Coordinates along every axis."""
        offset = 1.0 if self.boundary == "dirichlet" else 0.5
        corners = zip(self.domain.lower, self.spacing, self.shape, strict=True)
        return tuple(a + (np.arange(n) + offset) * h for a, h, n in corners)

    @property
    def points(self) -> Float[Array, "n d"]:
        """All points, the last axis running fastest."""
        mesh = np.meshgrid(*self.axes, indexing="ij")
        return jnp.asarray(np.stack([x.ravel() for x in mesh], axis=-1))

    @property
    def edges(self) -> Edges:
        """The staggered gradient: an edge between neighbors (and to the exterior, if Dirichlet)."""
        return _staggered(self)

    def faces(self, values: Float[Array, " e"]) -> list[Float[Array, "..."]]:
        """Values on the staggered edges as an array of faces for each coupled axis.

        Along its axis it has one more face than cells: those of a closed boundary are zero, and
        those of a periodic axis are the same at both ends.
        """
        found, begin = [], 0
        for axis in self.coupled:
            n, other = self.shape[axis], self.size // self.shape[axis]
            ends = {"neumann": 0, "periodic": 1, "dirichlet": 2}[self.boundary]
            parts = values[begin : begin + (n - 1 + ends) * other]
            begin += parts.size
            end = list(self.shape)
            end[axis] = 1
            inner = [*self.shape[:axis], n - 1, *self.shape[axis + 1 :]]
            before = other if self.boundary == "dirichlet" else 0
            middle = parts[before : before + (n - 1) * other].reshape(inner)
            last = (
                parts[before + (n - 1) * other :].reshape(end)
                if ends
                else jnp.zeros(end, values.dtype)
            )
            first = parts[:before].reshape(end) if before else last
            found.append(jnp.concatenate([first, middle, last], axis))
        return found

    @property
    def central_edges(self) -> Edges:
        """Central differences over 2 h with the exterior set to zero: an edge in every point.

        D is antisymmetric along every axis, as in the code of Nurbekyan, Lei and Yang. It couples
        next-but-one neighbors only, and along an axis with an odd number n of points it has the
        kernel (1, 0, 1, ..., 0, 1). Raises ValueError where all axes are odd, and for a periodic
        grid.
        """
        if self.boundary == "periodic":
            msg = "central differences are defined with a zero exterior: use a staggered operator."
            raise ValueError(msg)
        if all(self.shape[axis] % 2 for axis in self.coupled):
            msg = (
                f"central differences are rank deficient on a grid of odd shape {self.shape}: they"
                " skip every other point and cannot see the checkerboard (1, 0, 1, ..., 0, 1). Use"
                " an even number of points along one axis, or the staggered operator."
            )
            raise ValueError(msg)
        return _central(self)

    def spectral(
        self, field: Float[Array, "..."], function: Callable[[Array], Array]
    ) -> Float[Array, "..."]:
        """function(-Laplacian) applied to a field, by fast diagonalization.

        -Laplacian = D^T D of the staggered gradient has the cosines (Neumann), sines (Dirichlet)
        or Fourier modes (periodic) as eigenvectors; an axis of n points costs n products a field
        value, in matrix products (Lynch, Rice and Thomas, Numer. Math. 1964), and one of more than
        256 points log n by FFT. `function` is given all eigenvalues, in an array of the grid's
        shape.
        """
        eigenvalues, coefficients = np.zeros(self.shape), field
        for axis in self.coupled:
            n = self.shape[axis]
            values = eigenvalues_1d(n, self.spacing[axis], self.boundary, fast=n > FAST)
            shape = [1] * len(self.shape)
            shape[axis] = -1
            eigenvalues = eigenvalues + values.reshape(shape)
            transform = _transform(n, self.boundary, field.dtype)
            coefficients = _along(transform, coefficients, axis)
        coefficients = coefficients * function(jnp.asarray(eigenvalues, field.dtype))
        for axis in self.coupled:
            transform = _transform(self.shape[axis], self.boundary, field.dtype)
            back = jax.linear_transpose(transform, jnp.zeros(self.shape[axis], field.dtype))
            coefficients = _along(lambda x, back=back: back(x)[0], coefficients, axis)
        return coefficients


def _along(transform: Callable[[Array], Array], field: Array, axis: int) -> Array:
    lines = jnp.moveaxis(field, axis, -1)
    flat = jax.vmap(transform)(lines.reshape(-1, lines.shape[-1]))
    return jnp.moveaxis(flat.reshape(lines.shape), -1, axis)


def _transform(n: int, boundary: Boundary, dtype: np.dtype) -> Callable[[Array], Array]:
    """The coefficients of a line in the orthonormal modes, in the order of `eigenvalues_1d`."""
    if n > FAST:
        return functools.partial(fast_coefficients, boundary=boundary)
    basis = jnp.asarray(modes(n, boundary).T, dtype)
    return lambda line: jnp.matmul(basis, line, precision=jax.lax.Precision.HIGHEST)


def eigenvalues_1d(n: int, h: float, boundary: Boundary, *, fast: bool) -> np.ndarray:
    """Those of the 1-d -Laplacian (n,), in the order of the `fast` or the dense coefficients."""
    i = np.arange(n)
    if boundary == "dirichlet":
        frequency = (i + 1) / (2 * (n + 1))
    elif boundary == "neumann":
        frequency = i / (2 * n)
    else:
        frequency = (i if fast else (i + 1) // 2) / n
    return (2 / h * np.sin(np.pi * frequency)) ** 2


@functools.lru_cache(maxsize=64)
def modes(n: int, boundary: Boundary) -> np.ndarray:
    """The orthonormal eigenvectors (n, n) of the 1-d -Laplacian, as columns."""
    i = np.arange(n)
    if boundary == "dirichlet":
        vectors = np.sin(np.pi * np.outer(i + 1, i + 1) / (n + 1))
    elif boundary == "neumann":
        vectors = np.cos(np.pi * np.outer(i + 0.5, i) / n)
    else:  # 1, cos, sin, cos, sin, ..., and the sawtooth for even n
        angle = 2 * np.pi * np.outer(i, (i + 1) // 2) / n
        vectors = np.where(i % 2 == 1, np.cos(angle), np.sin(angle))
        vectors[:, 0] = 1.0
    return vectors / np.linalg.norm(vectors, axis=0)


def fast_coefficients(line: Float[Array, " n"], boundary: Boundary) -> Float[Array, " n"]:
    """The coefficients of a line by one FFT, orthonormal: the transpose is the inverse.

    DCT-II and DST-I as the FFT of the even and odd extensions of the line. Periodic lines have
    their Hartley transform: cos + sin of every frequency, real as the line is.
    """
    n = line.size
    if boundary == "periodic":
        found = jnp.fft.fft(line, norm="ortho")
        return found.real - found.imag
    if boundary == "dirichlet":
        zero = jnp.zeros(1, line.dtype)
        odd = jnp.concatenate([zero, line, zero, -line[::-1]])
        return -jnp.fft.rfft(odd).imag[1:-1] / math.sqrt(2 * (n + 1))
    even = jnp.fft.rfft(jnp.concatenate([line, line[::-1]]))[:n]
    k = np.arange(n)
    scale = np.where(k == 0, math.sqrt(0.5), 1.0) / math.sqrt(2 * n)
    turn = (scale * np.exp(-0.5j * np.pi * k / n)).astype(even.dtype)
    return jnp.real(turn * even)


@functools.lru_cache(maxsize=64)
def _staggered(grid: Grid) -> Edges:
    index = np.arange(grid.size).reshape(grid.shape)
    parts = []
    for axis in grid.coupled:
        h = grid.spacing[axis]
        first, last = (np.take(index, [end], axis) for end in (0, -1))
        outside = np.full_like(first, EXTERIOR)
        lefts, rights = [np.delete(index, -1, axis)], [np.delete(index, 0, axis)]
        if grid.boundary == "periodic":
            lefts, rights = [*lefts, last], [*rights, first]
        elif grid.boundary == "dirichlet":
            lefts, rights = [outside, *lefts, last], [first, *rights, outside]
        parts.append((_flat(lefts), _flat(rights), h))
    return _joined(parts, _levels(grid))


@functools.lru_cache(maxsize=64)
def _central(grid: Grid) -> Edges:
    index = np.pad(np.arange(grid.size).reshape(grid.shape), 1, constant_values=EXTERIOR)
    inner = tuple(slice(1, -1) for _ in grid.shape)
    parts = []
    for axis in grid.coupled:
        h = grid.spacing[axis]
        left, right = (np.roll(index, shift, axis)[inner].ravel() for shift in (1, -1))
        parts.append((left, right, 2 * h))
    return _joined(parts, _levels(grid) // 2, np.tile(np.arange(grid.size), len(grid.coupled)))


def _levels(grid: Grid) -> np.ndarray:
    """Slices across the longest axis, those of a periodic axis folded in pairs."""
    axis = int(np.argmax(grid.shape))
    n = grid.shape[axis]
    slice_ = np.arange(n)
    if grid.boundary == "periodic":
        slice_ = np.minimum(slice_, n - slice_)
    shape = [1] * len(grid.shape)
    shape[axis] = n
    return np.broadcast_to(slice_.reshape(shape), grid.shape).ravel()


def _flat(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([part.ravel() for part in parts])


def _joined(
    parts: Sequence[tuple[np.ndarray, np.ndarray, float]],
    level: np.ndarray,
    middle: np.ndarray | None = None,
) -> Edges:
    left, right = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    length = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    middle = np.full_like(left, EXTERIOR) if middle is None else middle
    return Edges(left, right, middle, length, level)
