"""Tensor-product rules: Gauss-Legendre, trapezoidal, equispaced."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Literal, TypeAlias

import equinox as eqx
import numpy as np
from jaxtyping import PRNGKeyArray

from ..domains import Region
from ..faces import Boundary, Face
from .base import AbstractRule, Quadrature, as_counts
from .regions import Piece, halves, is_one_piece, pieces, placed, reference_axes, strands_of

_Nodes: TypeAlias = tuple[np.ndarray, np.ndarray]


class _TensorRule(AbstractRule):
    """What tensor rules share: `n` points an axis, the same ones at every call."""

    if TYPE_CHECKING:

        @property
        def region(self) -> Region: ...
        @property
        def n(self) -> int | tuple[int, ...]: ...
    else:
        region: eqx.AbstractVar[Region]
        n: eqx.AbstractVar[int | tuple[int, ...]]

    @property
    def resampled(self) -> bool:
        """False: the points are always the same."""
        return False

    @property
    def size(self) -> int:
        counts = self._counts()
        return sum(
            piece.smooth_parts * math.prod(counts[i] for i in piece.free_axes)
            for piece in pieces(self.region)
        )

    def held_out(self, factor: float = 1.6) -> AbstractRule | None:
        """Gauss-Legendre points of a higher, even order."""
        counts = (_finer(n, factor) for n in self._counts())
        return GaussLegendre(self.region, tuple(counts))

    def per_piece(self) -> tuple[AbstractRule, ...]:
        strands = (part for piece in pieces(self.region) for part in strands_of(piece))
        return tuple(self._on(part, self.n) for part in strands)

    def halved(self, axis: int, growth: float) -> tuple[AbstractRule, ...] | None:
        if not is_one_piece(self.region) or axis not in pieces(self.region)[0].free_axes:
            return None
        piece, counts = pieces(self.region)[0], list(self._counts())
        if axis == piece.string_axis and piece.smooth_parts > 1:
            counts = _raised(counts, piece.free_axes, growth)
        else:
            counts[axis] = math.ceil(growth * counts[axis] / 2)
        return tuple(self._on(half, tuple(counts)) for half in halves(piece, axis))

    def grown(self, growth: float) -> AbstractRule | None:
        """`growth` is shared by the axes."""
        axes = max(len(piece.free_axes) for piece in pieces(self.region))
        if axes == 0:
            return None
        times = growth ** (1 / axes)
        return self._on(self.region, tuple(math.ceil(times * n) for n in self._counts()))

    def _counts(self) -> tuple[int, ...]:
        return _counts(self.region, self.n)

    def _on(self, region: Region, n: int | tuple[int, ...]) -> AbstractRule:
        """The same rule elsewhere, with other numbers of points."""
        return replace(self, region=region, n=n)


class GaussLegendre(_TensorRule):
    """Tensor Gauss-Legendre rule: n points an axis are exact for degree 2 n - 1 in each variable.

    `n` is an int, or a tuple with one entry for every axis of the space (for a face, the entry of
    its fixed axis is ignored, so that one tuple serves a domain and its boundary). On a curved
    domain these are the axes of the reference box of every patch, on a mesh those of every cell,
    and weights are multiplied by |det J| of its map: smooth integrands are integrated with spectral
    accuracy there too.
    """

    region: Region = eqx.field(static=True)
    n: int | tuple[int, ...] = eqx.field(static=True, converter=as_counts)

    def __check_init__(self):
        _counts(self.region, self.n)

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:  # noqa: ARG002
        """The tensor rule, face by face on a boundary."""
        return _tensor_rule(self.region, self.n, _gauss_nodes)


class Trapezoid(_TensorRule):
    """Tensor trapezoidal rule with n >= 2 points an axis, ends included: of second order.

    `n` as in `GaussLegendre`.
    """

    region: Region = eqx.field(static=True)
    n: int | tuple[int, ...] = eqx.field(static=True, converter=as_counts)

    def __check_init__(self):
        _counts(self.region, self.n, least=2)

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:  # noqa: ARG002
        """The tensor rule, face by face on a boundary."""
        return _tensor_rule(self.region, self.n, _trapezoid_nodes)


class Equispaced(_TensorRule):
    """Equispaced points with equal weights measure / number of points, face by face on a boundary.

    `n` points an axis (int or tuple as in `GaussLegendre`), with

    * `ends="none"`: `linspace(a, b, n + 2)[1:-1]`, both ends left out;
    * `ends="left"`: `linspace(a, b, n + 1)[:-1]`, only the lower end. On the boundary of a plane
      domain the edges are then traversed counterclockwise, each without its last point: every
      corner appears once;
    * `ends="both"`: `linspace(a, b, n)`.

    These are the points of Müller and Zeinhofer (ICML 2023, arXiv:2302.13163). Poisson in the
    square: `Equispaced(box, 28)` (784 points) and `Equispaced(box.boundary(), 29, ends="left")`
    (116 points). Heat equation: `Equispaced(cylinder, 28)` and, for the initial line and each
    lateral side, 29 points by `Equispaced(cylinder.initial(), 29)` and
    `Equispaced(cylinder.lateral(), 29)`. Raises ValueError for n < 1 (2 with both ends), unknown
    `ends`, or "left" on a boundary in three or more dimensions, where the edges would be met more
    than once.
    """

    region: Region = eqx.field(static=True)
    n: int | tuple[int, ...] = eqx.field(static=True, converter=as_counts)
    ends: Literal["none", "left", "both"] = eqx.field(static=True, default="none")

    def __check_init__(self):
        if self.ends not in ("none", "left", "both"):
            raise ValueError(f"`ends` = {self.ends!r} is unknown. Take 'none', 'left' or 'both'.")
        _counts(self.region, self.n, least=2 if self.ends == "both" else 1)
        if self.ends == "left" and not (isinstance(self.region, Boundary) or _is_box(self.region)):
            raise ValueError(
                "`ends` = 'left' takes each corner once only on boxes and their faces. "
                "Take ends='none'."
            )
        solid = isinstance(self.region, Boundary) and self.region.dimension > 2
        if solid and self.ends == "left":
            raise ValueError(
                "`ends` = 'left' would meet the edges of a boundary in 3 or more dimensions twice. "
                "Take ends='none'."
            )

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:  # noqa: ARG002
        """The equispaced points, face by face on a boundary."""
        turned = self.ends == "left" and isinstance(self.region, Boundary)

        def nodes(a: float, b: float, n: int) -> _Nodes:
            return _equispaced_nodes(a, b, n, self.ends)

        return _tensor_rule(self.region, self.n, nodes, counterclockwise=turned)


def _is_box(region: Region) -> bool:
    """Whether a region is one box or face, and no union of curved pieces."""
    return region.pieces == (region,)


def _finer(n: int, factor: float) -> int:
    """An even number above factor n: Gauss rules of even order have no point in the middle."""
    return 2 * math.ceil((factor * n + 2 * (factor - 1)) / 2 - 1e-9)  # 6.000001 is 6


def _counts(region: Region, n: int | tuple[int, ...], *, least: int = 1) -> tuple[int, ...]:
    """`n` as one count for every axis of the space, or of the reference boxes of patches."""
    if any(piece.rejects for piece in pieces(region)):
        raise ValueError(
            "a set that is known by its signed distance has no patches to put a tensor rule on: "
            "take Sobol, Halton, LatinHypercube or MonteCarlo points."
        )
    axes = reference_axes(region)
    counts = (n,) * axes if isinstance(n, int) else tuple(n)
    if len(counts) != axes:
        raise ValueError(
            f"`n` = {n} has {len(counts)} entries in a space of dimension {axes}. "
            "Give an int, or one entry for every axis of the space."
        )
    if min(counts) < least:
        raise ValueError(f"`n` = {n} is too small for this rule. Take n >= {least} on every axis.")
    return counts


def _gauss_nodes(a: float, b: float, n: int) -> _Nodes:
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return a + 0.5 * (b - a) * (nodes + 1.0), 0.5 * (b - a) * weights


def _trapezoid_nodes(a: float, b: float, n: int) -> _Nodes:
    weights = np.full(n, (b - a) / (n - 1))
    weights[[0, -1]] *= 0.5
    return np.linspace(a, b, n), weights


def _equispaced_nodes(a: float, b: float, n: int, ends: str) -> _Nodes:
    extra, kept = {"none": (2, slice(1, -1)), "left": (1, slice(0, -1))}.get(ends, (0, slice(None)))
    return np.linspace(a, b, n + extra)[kept], np.full(n, (b - a) / n)


def _against_axis(piece: Piece) -> bool:
    """Whether an edge runs against its axis: its tangent is the normal turned by 90 degrees."""
    return isinstance(piece, Face) and piece.dimension == 2 and piece.sign == (2 * piece.axis - 1)


def _tensor_rule(
    region: Region,
    n: int | tuple[int, ...],
    nodes: Callable[[float, float, int], _Nodes],
    *,
    counterclockwise: bool = False,
) -> Quadrature:
    counts, blocks = _counts(region, n), []
    for piece in pieces(region):
        turned = counterclockwise and _against_axis(piece)
        axes = range(len(counts))
        blocks.append(_tensor([_axis_rule(piece, i, counts[i], nodes, turned) for i in axes]))
    points, weights = zip(*blocks, strict=True)
    sizes = [len(block) for block in weights]
    return placed(pieces(region), sizes, np.concatenate(points), np.concatenate(weights))


def _axis_rule(
    piece: Piece, axis: int, n: int, nodes: Callable[[float, float, int], _Nodes], turned: bool
) -> _Nodes:
    """One-dimensional rule; on the fixed axis of a face one point with weight 1."""
    a, b = (corner[axis] for corner in piece.corners)
    if axis not in piece.free_axes:
        return np.full(1, a), np.ones(1)
    if axis == piece.string_axis:
        return _on_cells(piece.cuts(axis), *nodes(0.0, 1.0, n))
    x, w = nodes(a, b, n)
    return (a + b - x if turned else x), w


def _on_cells(cuts: np.ndarray, x: np.ndarray, w: np.ndarray) -> _Nodes:
    """A rule of the unit interval between all cuts; the end of a cell is not that of the next."""
    starts, sizes = cuts[:-1, None], np.diff(cuts)[:, None]
    gap = 1e-13 * sizes + np.spacing(cuts[-1])
    inside = np.clip(starts + sizes * x, starts + gap, starts + sizes - gap)
    return inside.ravel(), (sizes * w).ravel()


def _raised(counts: list[int], axes: tuple[int, ...], growth: float) -> list[int]:
    """Counts with a product that is `growth` times as large at least, the smallest raised first."""
    counts, wanted = list(counts), growth * math.prod(counts[i] for i in axes)
    while math.prod(counts[i] for i in axes) < wanted:
        counts[min(axes, key=lambda i: counts[i])] += 1
    return counts


def _tensor(rules: list[_Nodes]) -> _Nodes:
    grids = np.meshgrid(*(x for x, _ in rules), indexing="ij")
    weights = reduce(np.multiply.outer, [w for _, w in rules]).reshape(-1)
    return np.stack(grids, axis=-1).reshape(weights.size, len(rules)), weights
