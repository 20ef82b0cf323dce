"""A patch: the smooth image of a reference box, or of a face of one."""

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..domains import Box, Interval
from ..faces import Face
from ..region import AbstractPiece, check_points
from .function_map import as_map
from .inverse import inverted, sample
from .maps import AbstractMap, InTime

NEARBY = 1e-6  # of the way to the middle of a reference, from where no normal is known
CELL_POINTS = 3  # along an axis of a cell of a mesh, where det J is a polynomial
CHECKED = 9  # points along an axis at which the sign of det J is looked at


@jax.tree_util.register_static
@dataclass(frozen=True, init=False)
class Patch(AbstractPiece):
    """The image of a reference interval or box under a smooth map: one piece of a domain.

    `map` is a function of ONE reference point (k,) that returns a point (d,), written with
    jax.numpy. With k = d the patch is a part of the space, with k = d - 1 a surface (a curve in the
    plane), whose normals are those of the cross product of the columns of J (outward for a curve
    that runs counterclockwise). Quadrature weights are those of the reference times
    sqrt(det J^T J), which is |det J| for k = d.

    The map must be one to one inside; edges of the reference may collapse, as the center of polar
    coordinates does. Either orientation is good. Raises TypeError for anything but a function and a
    reference, ValueError where det J is zero inside, changes its sign, or is not finite.
    """

    map: AbstractMap
    reference: Interval | Box | Face

    def __init__(self, map: Any, reference: Any):
        if not isinstance(reference, Interval | Box | Face):
            raise TypeError(
                f"`reference` of a patch is a {type(reference).__name__}: give an Interval or Box."
            )
        object.__setattr__(self, "map", as_map(map))
        object.__setattr__(self, "reference", reference)
        if not isinstance(reference, Face):
            _check_map(self)

    @cached_property
    def dimension(self) -> int:
        """Number d of coordinates of a point."""
        return self.map(np.asarray(self.corners[:1], float)).shape[1]

    @property
    def free_axes(self) -> tuple[int, ...]:
        return self.reference.free_axes

    @property
    def corners(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.reference.corners

    @property
    def reference_measure(self) -> float:
        return self.reference.measure

    @cached_property
    def measure(self) -> float:
        """Length, area or volume, by a Gauss rule of high order."""
        many = {0: 1, 1: 64, 2: 32}.get(len(self.free_axes), 20)
        points, weights = self._gauss(many if self.string_axis is None else CELL_POINTS)
        return float(np.sum(weights * self._density(points)))

    @property
    def string_axis(self) -> int | None:
        return self.map.string_axis

    def cuts(self, axis: int) -> np.ndarray:
        ends = super().cuts(axis)
        if axis != self.string_axis:
            return ends
        breaks = self.map.breaks()
        inner = breaks[(breaks > ends[0]) & (breaks < ends[1])]
        return np.concatenate([ends[:1], inner, ends[1:]])

    @property
    def axes_to_cut(self) -> tuple[int, ...]:
        """All; but cells of a mesh are first parted from one another, and cut when alone."""
        axis, free = self.string_axis, self.free_axes
        if axis is None or len(self.cuts(axis)) == 2:
            return free
        return tuple(i for i in free if i <= axis)

    def half(self, axis: int, a: float, b: float) -> "Patch":
        return unchecked(self.map, self.reference.half(axis, a, b))

    def contains(self, points: Float[Array | np.ndarray, "*batch d"]) -> Bool[Array, "*batch"]:
        """Whether each point lies on the patch, up to 1e-9 of its size."""
        check_points(points, self.dimension)
        flat = np.asarray(points).reshape(-1, self.dimension)
        inside = ~np.isnan(self.coordinates(flat)[:, 0])
        return jnp.asarray(inside.reshape(points.shape[:-1]))

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        return inverted(self.map, self.corners, self.free_axes, np.asarray(points))

    def placed(
        self, points: Array | np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        try:
            xi = np.asarray(points, float)
        except jax.errors.TracerArrayConversionError as error:
            raise ValueError(
                "`key` is traced, but the points of a curved domain are made on the host. Call "
                "`quadrature(key)` outside `jax.jit` and pass the points in."
            ) from error
        return self.map(xi), weights * self._density(xi), self.normals(xi)

    def normals(self, xi: np.ndarray) -> np.ndarray | None:
        """Unit normals (n, d) at reference points.

        On the face of a patch the outward ones, J (J^T J)^{-1} n with n the normal of the reference
        face; on a surface those of the cross product; None inside.
        """
        if not isinstance(self.reference, Face) and len(self.free_axes) != self.dimension - 1:
            return None
        outward = self._outward(xi)
        flat = np.linalg.norm(outward, axis=1) == 0  # where a side of the reference collapses
        if flat.any():
            lower, upper = (np.asarray(corner, float) for corner in self.corners)
            outward[flat] = self._outward(xi[flat] + NEARBY * ((lower + upper) / 2 - xi[flat]))
        return outward / np.linalg.norm(outward, axis=1, keepdims=True)

    def _outward(self, xi: np.ndarray) -> np.ndarray:
        """Normals (n, d) of any length."""
        jacobian = self.map.jacobian(xi)
        if not isinstance(self.reference, Face):
            # With time in front of the other columns the product points the other way.
            return -_cross(jacobian) if isinstance(self.map, InTime) else _cross(jacobian)
        return np.einsum("ndk,k->nd", _transposed_inverse(jacobian), self.reference.normal)

    def faces(self) -> "list[Patch]":
        """The images of the faces of the reference, those that collapse left out."""
        assert not isinstance(self.reference, Face)
        found = [unchecked(self.map, face) for face in self.reference.boundary().faces]
        return [face for face in found if face.measure > 1e-12 * self.scale]

    @cached_property
    def scale(self) -> float:
        """What the measure of a face is compared with."""
        return self.measure ** ((len(self.free_axes) - 1) / len(self.free_axes))

    def grid(self, n: int) -> np.ndarray:
        """The images of an equispaced grid of the reference, n points along every free axis."""
        lower, upper = (np.asarray(corner) for corner in self.corners)
        return self.map(sample(lower, upper, self.free_axes, n))

    def in_time(self, time: Interval) -> "Patch":
        """The cylinder over the patch; time is the first reference axis."""
        lower, upper = (time.a, *self.reference.lower), (time.b, *self.reference.upper)
        face = self.reference
        box = (
            Face(face.axis + 1, face.value, lower=lower, upper=upper, sign=face.sign)
            if isinstance(face, Face)
            else Box(lower, upper)
        )
        return unchecked(InTime(self.map), box)

    def at_end(self, time: Interval, sign: int) -> "Patch":
        """The patch at the end of a cylinder, with the normal along time."""
        lower, upper = self.reference.lower, self.reference.upper
        face = Face(0, time.a if sign < 0 else time.b, lower=lower, upper=upper, sign=sign)
        return unchecked(InTime(self.map), face)

    def _density(self, xi: np.ndarray) -> np.ndarray:
        """sqrt(det J^T J) of the free columns."""
        columns = self.map.jacobian(xi)[:, :, list(self.free_axes)]
        if columns.shape[1] == columns.shape[2]:
            return np.abs(np.linalg.det(columns))
        return np.sqrt(np.abs(np.linalg.det(np.swapaxes(columns, 1, 2) @ columns)))

    def _gauss(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        nodes, weights = np.polynomial.legendre.leggauss(n)
        lines, sizes = [], []
        for axis in range(len(self.corners[0])):
            cuts = self.cuts(axis)
            if axis not in self.free_axes:
                lines.append(cuts[:1])
                continue
            half = np.diff(cuts)[:, None] / 2
            lines.append((cuts[:-1, None] + half * (nodes + 1)).ravel())
            sizes.append((half * weights).ravel())
        points = np.stack([line.ravel() for line in np.meshgrid(*lines, indexing="ij")], axis=1)
        return points, reduce(np.multiply.outer, sizes, np.asarray(1.0)).reshape(-1)


def unchecked(map_: AbstractMap, reference: Any) -> Patch:
    """A patch whose map was checked before."""
    patch = object.__new__(Patch)
    object.__setattr__(patch, "map", map_)
    object.__setattr__(patch, "reference", reference)
    return patch


def _transposed_inverse(jacobian: np.ndarray) -> np.ndarray:
    """J (J^T J)^{-1}, which is J^{-T} for square J."""
    return np.swapaxes(np.linalg.pinv(jacobian), 1, 2)


def _cross(jacobian: np.ndarray) -> np.ndarray:
    """The vector orthogonal to the d - 1 columns: (y', -x') of a curve, x_u x x_v of a surface."""
    rows = [np.delete(jacobian, i, axis=1) for i in range(jacobian.shape[1])]
    return np.stack([(-1) ** i * np.linalg.det(row) for i, row in enumerate(rows)], axis=1)


def _check_map(patch: Patch) -> None:
    d, k = patch.dimension, len(patch.free_axes)
    if k > d:
        raise ValueError(
            f"`map` takes {k} reference coordinates to points of {d}: a patch has at most as many "
            "as its points."
        )
    xi, _ = patch._gauss(CHECKED)
    jacobian = patch.map.jacobian(xi)
    wrong = ~np.isfinite(jacobian).all(axis=(1, 2))
    if wrong.any():
        raise ValueError(
            f"`map` has no finite derivative at the reference point {xi[_first(wrong)]}: choose a "
            "reference without that point."
        )
    size = np.linalg.det(jacobian) if k == d else patch._density(xi)
    scale = np.max(np.linalg.norm(jacobian, axis=(1, 2))) ** k
    if size.min() < 0 < size.max():
        raise ValueError(
            f"det J of `map` changes its sign at the reference point {xi[np.argmin(size)]}, so the "
            "patch folds over itself: make the map one to one."
        )
    flat = np.asarray(np.abs(size) <= 1e-13 * scale)
    if flat.any():
        raise ValueError(
            f"det J of `map` is zero at the reference point {xi[_first(flat)]}, so the patch is "
            "flat there: let the map depend on every reference coordinate."
        )


def _first(wrong: Any) -> int:
    return int(np.argmax(wrong))
