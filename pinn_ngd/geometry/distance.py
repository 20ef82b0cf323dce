"""Smooth functions that vanish on the boundary of a domain, for conditions met by construction."""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .carriers import Carrier, carrier_of, negligible
from .domains import Domain, SpaceTime
from .quadrature import GaussLegendre
from .region import AbstractPiece, AbstractRegion
from .trimmed import Trimmed, image, trimmed

INSIDE = 7  # Gauss points an axis at which signs are looked at, and the largest value


@jax.tree_util.register_static
@dataclass(frozen=True)
class Product:
    """x -> product of carriers, divided by its largest value inside."""

    factors: tuple[Carrier, ...]
    scale: float = 1.0

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        values = [factor(x) for factor in self.factors]
        return jnp.asarray(math.prod(values[1:], start=values[0]) / self.scale)


@jax.tree_util.register_static
@dataclass(frozen=True)
class Equivalence:
    """x -> 1 / sum 1 / phi_i, of functions phi_i that each vanish on one piece of a boundary."""

    parts: tuple[Trimmed, ...]
    scale: float = 1.0

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        values = [part(x) for part in self.parts]
        others = [math.prod(values[:i] + values[i + 1 :], start=1.0) for i in range(len(values))]
        total = sum(others[1:], others[0])
        # At a corner two functions are zero, and the quotient is 0 / 0.
        safe = jnp.where(total > 0, total, jnp.ones_like(total))
        return math.prod(values[1:], start=values[0]) / safe / self.scale


@jax.tree_util.register_static
@dataclass(frozen=True)
class FromTheStart:
    """(t, x) -> (t - t0) / (t1 - t0) times a function of x."""

    start: float
    duration: float
    space: "Distance"

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return (x[0] - self.start) / self.duration * self.space(x[1:])


Distance: TypeAlias = Product | Equivalence | FromTheStart


def smooth_distance(domain: Domain, region: AbstractRegion | None = None) -> Distance:
    """A smooth function x (d,) -> () that is 0 on the boundary and positive inside.

    It vanishes to first order, as `models.HardDirichlet` wants it, and its largest value inside is
    about 1. `region` is the boundary or a part of it, the whole by default; in space-time initial
    time and sides.

    Where the boundary lies on planes and quadrics (spheres, ellipsoids) that do not cut through the
    domain, it is the product of their equations, a polynomial: intervals, boxes, disks, balls,
    ellipses, annuli, convex polygons, simplices, sectors below pi, boxes with a round hole. In
    other plane domains, such as an L-shape, segments and arcs are trimmed to their length and
    joined by R-equivalence, phi = 1 / sum 1 / phi_i, which is smooth but for the corners, where its
    second derivatives are unbounded (Rvachev and Sheiko 1995; Sukumar and Srivastava 2022,
    arXiv:2104.08426, sections 3 and 4). There the solution itself is rarely smooth either.

    Raises ValueError for a boundary on no such curves, for one that cuts through a domain of three
    dimensions, and for a part of a face whose rest does not belong to `region`.
    """
    if isinstance(domain, SpaceTime) and region is None:
        space = smooth_distance(domain.space)
        return FromTheStart(domain.time.a, domain.time.measure, space)
    pieces = tuple((domain.boundary() if region is None else region).pieces)
    inside = np.asarray(GaussLegendre(domain, INSIDE).quadrature().points)
    carriers = [carrier_of(piece) for piece in pieces]
    if _can_multiply(carriers, pieces, domain, inside):
        return _scaled(Product(_distinct(carriers)), inside)
    if domain.dimension != 2:
        raise ValueError(
            "the planes and spheres of this boundary cut through the domain, or hold other parts "
            "of its boundary: give a function of your own that is zero on it and positive inside."
        )
    parts = [trimmed(piece, carrier) for piece, carrier in zip(pieces, carriers, strict=True)]
    return _scaled(Equivalence(tuple(parts)), inside)


def _can_multiply(
    carriers: list[Carrier],
    pieces: tuple[AbstractPiece, ...],
    domain: Domain,
    inside: np.ndarray,
) -> bool:
    """Whether the carriers are positive inside and zero on no other part of the boundary.

    The plane of an edge leaves a domain with a dent, be it small: it is seen at the corners.
    """
    if any(np.any(carrier(inside.T) <= 0) for carrier in carriers):
        return False
    corners = np.concatenate([_corners(piece) for piece in domain.boundary().pieces])
    beyond = -10 * negligible() * float(np.max(np.ptp(corners, axis=0)))
    if any(np.any(carrier(corners.T) < beyond) for carrier in carriers):
        return False
    others = [piece for piece in domain.boundary().pieces if piece not in pieces]
    return not any(_are_same(carrier_of(other), c) for other in others for c in carriers)


def _corners(piece: AbstractPiece) -> np.ndarray:
    """The corners of a piece of a boundary, in space."""
    corners = np.asarray(list(itertools.product(*zip(*piece.corners, strict=True))), float)
    return image(piece, np.unique(corners, axis=0))


def _distinct(carriers: list[Carrier]) -> tuple[Carrier, ...]:
    found: list[Carrier] = []
    for carrier in carriers:
        if not any(_are_same(carrier, other) for other in found):
            found.append(carrier)
    return tuple(found)


def _are_same(first: Carrier, second: Carrier) -> bool:
    """Whether two functions, both positive inside, are multiples of one another."""
    a, b = (c.coefficients / np.linalg.norm(c.coefficients) for c in (first, second))
    return bool(np.max(np.abs(a - b)) <= 100 * negligible())


def _scaled(function: Any, inside: np.ndarray) -> Any:
    largest = float(np.max(jax.vmap(function)(jnp.asarray(inside))))
    return replace(function, scale=largest)
