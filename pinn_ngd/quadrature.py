"""Quadrature: points and weights on domains, faces and boundaries.

Every rule approximates the integral of f over a region by sum_i w_i f(x_i), with weights which
sum to the measure of the region. Rules are Equinox modules without arrays; `rule.quadrature(key)`
makes the points. On a boundary every rule works face by face, and a face of an interval is one
point with weight 1.

`rule.resampled` says whether each call draws new points from its `key`; other rules ignore the
key. Draw points outside `jax.jit`: Sobol points are made by SciPy on the host.
"""

import abc
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.stats import qmc

from .domains import Boundary, Box, Face, Interval, Region, SpaceTime

_Piece: TypeAlias = Interval | Box | SpaceTime | Face
_Nodes: TypeAlias = tuple[np.ndarray, np.ndarray]


class Quadrature(eqx.Module):
    """Points (n, d) and weights (n,) of one quadrature formula."""

    points: Float[Array, "n d"]
    weights: Float[Array, " n"]

    def integrate(self, fn: Callable[[Float[Array, " d"]], Any]) -> Float[Array, "..."]:
        """sum_i w_i fn(x_i), for fn: (d,) -> () or (k,)."""
        return jnp.tensordot(self.weights, jax.vmap(fn)(self.points), axes=1)


class AbstractRule(eqx.Module):
    """A way to make a `Quadrature`."""

    if TYPE_CHECKING:  # type checkers take an abstract variable for a constructor argument

        @property
        def resampled(self) -> bool: ...
    else:
        resampled: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:
        """The points and weights; `key` is needed by resampled rules and ignored by the others."""


class GaussLegendre(AbstractRule):
    """Tensor Gauss-Legendre rule: n points an axis are exact for degree 2 n - 1 in each variable.

    `n` is an int, or a tuple with one entry for every axis of the space (for a face, the entry of
    its fixed axis is ignored, so that one tuple serves a domain and its boundary).
    """

    region: Region = eqx.field(static=True)
    n: int | tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self):
        _counts(self.region, self.n)

    @property
    def resampled(self) -> bool:
        """False: the points are always the same."""
        return False

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:  # noqa: ARG002
        """The tensor rule, face by face on a boundary."""
        return _tensor_rule(self.region, self.n, _gauss_nodes)


class Trapezoid(AbstractRule):
    """Tensor trapezoidal rule with n >= 2 points an axis, ends included: of second order.

    `n` as in `GaussLegendre`.
    """

    region: Region = eqx.field(static=True)
    n: int | tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self):
        _counts(self.region, self.n, least=2)

    @property
    def resampled(self) -> bool:
        """False: the points are always the same."""
        return False

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:  # noqa: ARG002
        """The tensor rule, face by face on a boundary."""
        return _tensor_rule(self.region, self.n, _trapezoid_nodes)


class Equispaced(AbstractRule):
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
    n: int | tuple[int, ...] = eqx.field(static=True)
    ends: Literal["none", "left", "both"] = eqx.field(static=True, default="none")

    def __check_init__(self):
        if self.ends not in ("none", "left", "both"):
            raise ValueError(f"`ends` = {self.ends!r} is unknown. Take 'none', 'left' or 'both'.")
        _counts(self.region, self.n, least=2 if self.ends == "both" else 1)
        solid = isinstance(self.region, Boundary) and self.region.dimension > 2
        if solid and self.ends == "left":
            raise ValueError(
                "`ends` = 'left' would meet the edges of a boundary in 3 or more dimensions twice. "
                "Take ends='none'."
            )

    @property
    def resampled(self) -> bool:
        """False: the points are always the same."""
        return False

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:  # noqa: ARG002
        """The equispaced points, face by face on a boundary."""
        turned = self.ends == "left" and isinstance(self.region, Boundary)

        def nodes(a: float, b: float, n: int) -> _Nodes:
            return _equispaced_nodes(a, b, n, self.ends)

        return _tensor_rule(self.region, self.n, nodes, counterclockwise=turned)


class MonteCarlo(AbstractRule):
    """n independent uniform points with equal weights; the error is O(n^{-1/2}).

    On a boundary the n points are shared among the faces in proportion to their measure
    (stratified), with weight measure / points on each face. With `resampled` every call needs a
    key and draws anew; else the points follow from `seed` alone. Raises ValueError for n < 1,
    fewer points than faces, or a resampled rule without key.
    """

    region: Region = eqx.field(static=True)
    n: int = eqx.field(static=True)
    seed: int = eqx.field(static=True, default=0, kw_only=True)
    resampled: bool = eqx.field(static=True, default=True, kw_only=True)

    def __check_init__(self):
        _shares(self.region, self.n)

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:
        """Uniform points drawn from `key` (resampled) or from `seed`."""
        key = _required(key) if self.resampled else jax.random.key(self.seed)
        shape = (self.n, self.region.dimension)
        unit = jax.random.uniform(key, shape, dtype=jnp.result_type(float))
        return _stretched(self.region, self.n, unit)


class Sobol(AbstractRule):
    """n scrambled Sobol points with equal weights; error nearly O(1/n) for smooth integrands.

    Owen-scrambled points of `scipy.stats.qmc.Sobol`, best for n a power of two; faces as in
    `MonteCarlo`. With `resampled` every call scrambles anew from its key; else the points follow
    from `seed` alone. The points are made on the host, so call this outside `jax.jit`. Raises
    ValueError for n < 1, fewer points than faces, a resampled rule without key, or a traced key.
    """

    region: Region = eqx.field(static=True)
    n: int = eqx.field(static=True)
    seed: int = eqx.field(static=True, default=0, kw_only=True)
    resampled: bool = eqx.field(static=True, default=False, kw_only=True)

    def __check_init__(self):
        _shares(self.region, self.n)

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:
        """Scrambled points from `key` (resampled) or from `seed`."""
        entropy = _host_entropy(_required(key)) if self.resampled else [self.seed]
        pieces = zip(_pieces(self.region), _shares(self.region, self.n), strict=True)
        units = [_sobol_points(piece, n, [*entropy, i]) for i, (piece, n) in enumerate(pieces)]
        return _stretched(self.region, self.n, np.concatenate(units))


def _pieces(region: Region) -> tuple[_Piece, ...]:
    return region.faces if isinstance(region, Boundary) else (region,)


def _counts(region: Region, n: int | tuple[int, ...], *, least: int = 1) -> tuple[int, ...]:
    """`n` as one count for every axis of the space."""
    counts = (n,) * region.dimension if isinstance(n, int) else tuple(n)
    if len(counts) != region.dimension:
        raise ValueError(
            f"`n` = {n} has {len(counts)} entries in a space of dimension {region.dimension}. "
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


def _against_axis(piece: _Piece) -> bool:
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
    for piece in _pieces(region):
        turned = counterclockwise and _against_axis(piece)
        axes = range(region.dimension)
        blocks.append(_tensor([_axis_rule(piece, i, counts[i], nodes, turned) for i in axes]))
    points, weights = zip(*blocks, strict=True)
    return _quadrature(np.concatenate(points), np.concatenate(weights))


def _axis_rule(
    piece: _Piece, axis: int, n: int, nodes: Callable[[float, float, int], _Nodes], turned: bool
) -> _Nodes:
    """One-dimensional rule; on the fixed axis of a face one point with weight 1."""
    a, b = (corner[axis] for corner in piece.corners)
    if axis not in piece.free_axes:
        return np.full(1, a), np.ones(1)
    x, w = nodes(a, b, n)
    return (a + b - x if turned else x), w


def _tensor(rules: list[_Nodes]) -> _Nodes:
    grids = np.meshgrid(*(x for x, _ in rules), indexing="ij")
    weights = reduce(np.multiply.outer, [w for _, w in rules]).reshape(-1)
    return np.stack(grids, axis=-1).reshape(weights.size, len(rules)), weights


def _shares(region: Region, n: int) -> tuple[int, ...]:
    """n points shared among the pieces in proportion to their measure, at least one for each."""
    measures = np.asarray([piece.measure for piece in _pieces(region)])
    if n < len(measures):
        raise ValueError(
            f"`n` = {n} points cannot cover a region of {len(measures)} piece(s). "
            f"Take n >= {len(measures)}."
        )
    ideal = n * measures / measures.sum()
    shares = np.maximum(np.floor(ideal), 1).astype(int)
    while shares.sum() < n:
        shares[np.argmin(shares - ideal)] += 1
    while shares.sum() > n:
        shares[np.argmax(np.where(shares > 1, shares - ideal, -np.inf))] -= 1
    return tuple(int(share) for share in shares)


def _required(key: PRNGKeyArray | None) -> PRNGKeyArray:
    if key is None:
        raise ValueError(
            "`key` is missing, but the rule is resampled. Pass a key such as `jax.random.key(0)`, "
            "or make the rule with `resampled=False`."
        )
    return key


def _host_entropy(key: PRNGKeyArray) -> list[int]:
    try:
        return [int(word) for word in np.asarray(jax.random.key_data(key)).ravel()]
    except jax.errors.TracerArrayConversionError as error:
        raise ValueError(
            "`key` is traced, but Sobol points are made on the host. Call `quadrature(key)` "
            "outside `jax.jit` and pass the points in, or use `MonteCarlo`."
        ) from error


def _sobol_points(piece: _Piece, n: int, entropy: Sequence[int]) -> np.ndarray:
    """Points (n, d) of the unit cube; zero on the fixed axis of a face."""
    unit, free = np.zeros((n, piece.dimension)), list(piece.free_axes)
    if free:
        sampler = qmc.Sobol(len(free), scramble=True, rng=np.random.default_rng(entropy))
        # SciPy warns of a size which is no power of two: draw the next power and cut.
        unit[:, free] = sampler.random_base2((n - 1).bit_length())[:n]
    return unit


def _stretched(region: Region, n: int, unit: Array | np.ndarray) -> Quadrature:
    """Points (n, d) of the unit cube, shared among the pieces and stretched over each."""
    pieces, shares = _pieces(region), _shares(region, n)
    corners = np.asarray([piece.corners for piece in pieces], dtype=unit.dtype)
    lower, upper = (np.repeat(corners[:, i], shares, axis=0) for i in (0, 1))
    densities = [piece.measure / share for piece, share in zip(pieces, shares, strict=True)]
    return _quadrature(lower + (upper - lower) * unit, np.repeat(densities, shares))


def _quadrature(points: Array | np.ndarray, weights: np.ndarray) -> Quadrature:
    dtype = jnp.result_type(float)
    return Quadrature(jnp.asarray(points, dtype=dtype), jnp.asarray(weights, dtype=dtype))
