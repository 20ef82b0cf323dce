"""Segments and arcs of plane boundaries, as functions that vanish on them and nowhere else."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .carriers import Carrier
from .region import AbstractPiece


@jax.tree_util.register_static
@dataclass(frozen=True)
class Trimmed:
    """phi = (f^2 + (((t^2 + f^4)^(1/2) - t) / 2)^2)^(1/2), of a curve f = 0 kept where t >= 0.

    phi is zero on that part of the curve, where it grows as |f|, and positive elsewhere (Rvachev
    and Sheiko 1995; Sukumar and Srivastava 2022, arXiv:2104.08426, equation 10).
    """

    carrier: Carrier
    trim: Carrier

    def __call__(self, x: Float[Array, " 2"]) -> Float[Array, ""]:
        f, t = jnp.asarray(self.carrier(x)), jnp.asarray(self.trim(x))
        beyond = (_root(t**2 + f**4, jnp.abs(t)) - t) / 2
        return _root(f**2 + beyond**2, f)  # on the piece itself, f, which has a slope there


def _root(square: Array, there: Array) -> Array:
    """The square root, and `there` where it is zero and has no derivative."""
    safe = jnp.where(square > 0, square, jnp.ones_like(square))
    return jnp.where(square > 0, jnp.sqrt(safe), there)


def trimmed(piece: AbstractPiece, carrier: Carrier) -> Trimmed:
    """A segment, kept inside the circle about it, or an arc up to a half turn, beyond its chord."""
    first, last = _ends(piece)
    middle, length = (first + last) / 2, float(np.linalg.norm(last - first))
    if carrier.is_plane:
        return Trimmed(carrier, _disk(middle, length))
    return Trimmed(carrier, _beyond_chord(piece, first, last, length))


def _disk(center: np.ndarray, length: float) -> Carrier:
    """((length / 2)^2 - |x - center|^2) / length."""
    quadratic = tuple(map(tuple, (-np.eye(2) / length).tolist()))
    constant = (length / 2) ** 2 / length - float(center @ center) / length
    return Carrier(quadratic, tuple((2 * center / length).tolist()), constant)


def _beyond_chord(
    piece: AbstractPiece, first: np.ndarray, last: np.ndarray, length: float
) -> Carrier:
    along = (last - first) / length
    normal = np.asarray([-along[1], along[0]])
    between = image(piece, np.mean(np.asarray(piece.corners, float), axis=0)[None])[0]
    normal = normal if normal @ (between - first) > 0 else -normal
    return Carrier(((0.0, 0.0), (0.0, 0.0)), tuple(normal.tolist()), -float(normal @ first))


def _ends(piece: AbstractPiece) -> np.ndarray:
    return image(piece, np.asarray(piece.corners, float))


def image(piece: Any, points: np.ndarray) -> np.ndarray:
    """Points of the reference in space: a face of a box is its own reference."""
    return piece.map(points) if hasattr(piece, "map") else points
