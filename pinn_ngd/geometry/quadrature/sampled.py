"""Rules of random and quasi-random points."""

import abc
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..domains import Region
from ..region import AbstractPiece
from .base import AbstractRule, Quadrature, as_count
from .regions import Piece, halves, is_one_piece, pieces, placed, reference_axes


class _SampledRule(AbstractRule):
    """What Monte Carlo and Sobol rules share: `n` points that follow from a seed or a key."""

    if TYPE_CHECKING:

        @property
        def region(self) -> Region: ...
        @property
        def n(self) -> int: ...
        @property
        def seed(self) -> int: ...
    else:
        region: eqx.AbstractVar[Region]
        n: eqx.AbstractVar[int]
        seed: eqx.AbstractVar[int]

    @property
    def size(self) -> int:
        return self.n

    def held_out(self, factor: float = 1.6) -> "AbstractRule":
        """Other points, fixed: factor^2 times as many (factor times on a line), another seed."""
        offset = _OTHER_SEED + round(1000 * factor)  # sequences of one seed would share their start
        return self._more(factor ** min(2, _directions(self.region)), offset)

    def per_piece(self) -> tuple[AbstractRule, ...]:
        shares = zip(pieces(self.region), _shares(self.region, self.n), strict=True)
        parts = [(piece, n, self.seed + _NEXT_SEED * i) for i, (piece, n) in enumerate(shares)]
        return tuple(self._alike(*part) for part in parts)

    def halved(self, axis: int, growth: float) -> tuple[AbstractRule, ...] | None:
        if not is_one_piece(self.region) or axis not in pieces(self.region)[0].free_axes:
            return None
        n, seeds = math.ceil(growth * self.n / 2), (2 * self.seed + 1, 2 * self.seed + 2)
        parts = halves(pieces(self.region)[0], axis)
        if any(_is_empty(half) for half in parts):
            return None
        return tuple(self._alike(half, n, seed) for half, seed in zip(parts, seeds, strict=True))

    def grown(self, growth: float) -> AbstractRule | None:
        """`growth` times as many points; for Sobol points the first of them are the old ones."""
        return None if _directions(self.region) == 0 else self._more(growth, 0)

    def _more(self, times: float, offset: int) -> AbstractRule:
        """Other points have another seed and are fixed; more of the same keep theirs."""
        n = max(math.ceil(times * self.n), len(pieces(self.region)))
        return self._alike(self.region, n, self.seed + offset, fixed=offset != 0)

    def _alike(self, region: Region, n: int, seed: int, *, fixed: bool = False) -> AbstractRule:
        return type(self)(region, n, seed=seed, resampled=self.resampled and not fixed)  # pyright: ignore


def _is_empty(piece: AbstractPiece) -> bool:
    """Whether nothing of a set, which fills a part of its box, lies in that box."""
    try:
        return piece.rejects and not piece.measure > 0
    except ValueError:
        return True


class MonteCarlo(_SampledRule):
    """n independent uniform points with equal weights; the error is O(n^{-1/2}).

    On a boundary the n points are shared among the faces in proportion to their measure
    (stratified), with weight measure / points on each face. On a patch of a curved domain points
    are uniform in its reference box and weigh |det J| times its size / points. With `resampled`
    every call needs a key and draws anew; else the points follow from `seed` alone. Raises
    ValueError for n < 1, fewer points than faces, or a resampled rule without key.
    """

    region: Region = eqx.field(static=True)
    n: int = eqx.field(static=True, converter=as_count)
    seed: int = eqx.field(static=True, default=0, kw_only=True)
    resampled: bool = eqx.field(static=True, default=True, kw_only=True)

    def __check_init__(self):
        _shares(self.region, self.n)

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:
        """Uniform points drawn from `key` (resampled) or from `seed`."""
        key = _required(key) if self.resampled else jax.random.key(self.seed)
        if any(piece.rejects for piece in pieces(self.region)):
            return _on_the_host(self.region, self.n, _host_entropy(key), _uniform)
        shape = (self.n, reference_axes(self.region))
        unit = jax.random.uniform(key, shape, dtype=jnp.result_type(float))
        return _stretched(self.region, self.n, unit)


class _HostRule(_SampledRule):
    """What the rules of `scipy.stats.qmc` share: points of the unit cube, made on the host."""

    @abc.abstractmethod
    def _sample(self, free: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """n points (n, free) of the unit cube."""

    def __check_init__(self):
        _shares(self.region, self.n)

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:
        """Points from `key` (resampled) or from `seed`."""
        entropy = _host_entropy(_required(key)) if self.resampled else [self.seed]
        return _on_the_host(self.region, self.n, entropy, self._sample)


class Sobol(_HostRule):
    """n scrambled Sobol points with equal weights; error nearly O(1/n) for smooth integrands.

    Owen-scrambled points of `scipy.stats.qmc.Sobol`, best for n a power of two; faces and patches
    as in `MonteCarlo`. With `resampled` every call scrambles anew from its key; else the points
    follow from `seed` alone. The points are made on the host, so call this outside `jax.jit`.
    Raises ValueError for n < 1, fewer points than faces, a resampled rule without key, or a traced
    key.
    """

    region: Region = eqx.field(static=True)
    n: int = eqx.field(static=True, converter=as_count)
    seed: int = eqx.field(static=True, default=0, kw_only=True)
    resampled: bool = eqx.field(static=True, default=False, kw_only=True)

    def _sample(self, free: int, n: int, rng: np.random.Generator) -> np.ndarray:
        from scipy.stats import qmc

        # SciPy warns of a size which is no power of two: draw the next power and cut.
        return qmc.Sobol(free, scramble=True, rng=rng).random_base2((n - 1).bit_length())[:n]


class Halton(_HostRule):
    """n scrambled Halton points with equal weights: as good for every n, not only powers of two.

    Points of `scipy.stats.qmc.Halton`, scrambled by Owen's (2017) permutations; error nearly O(1/n)
    in few dimensions. Everything else as in `Sobol`.
    """

    region: Region = eqx.field(static=True)
    n: int = eqx.field(static=True, converter=as_count)
    seed: int = eqx.field(static=True, default=0, kw_only=True)
    resampled: bool = eqx.field(static=True, default=False, kw_only=True)

    def _sample(self, free: int, n: int, rng: np.random.Generator) -> np.ndarray:
        from scipy.stats import qmc

        return qmc.Halton(free, scramble=True, rng=rng).random(n)


class LatinHypercube(_HostRule):
    """n points with equal weights, one in each of n equal slices of every axis (McKay et al. 1979).

    Independent otherwise: the error is O(n^{-1/2}) as that of `MonteCarlo`, but without the part of
    the integrand that is a sum of functions of one coordinate. More points are other points.
    Everything else as in `Sobol`.
    """

    region: Region = eqx.field(static=True)
    n: int = eqx.field(static=True, converter=as_count)
    seed: int = eqx.field(static=True, default=0, kw_only=True)
    resampled: bool = eqx.field(static=True, default=False, kw_only=True)

    def _sample(self, free: int, n: int, rng: np.random.Generator) -> np.ndarray:
        from scipy.stats import qmc

        return qmc.LatinHypercube(free, rng=rng).random(n)


def _uniform(free: int, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((n, free))


def _on_the_host(
    region: Region, n: int, entropy: Sequence[int], sample: Callable[..., np.ndarray]
) -> Quadrature:
    """A sample of the unit cube for every piece, made with NumPy."""
    parts = zip(pieces(region), _shares(region, n), strict=True)
    units = [_unit(piece, m, [*entropy, i], sample) for i, (piece, m) in enumerate(parts)]
    return _stretched(region, n, np.concatenate(units))


def _unit(
    piece: Piece, n: int, entropy: Sequence[int], sample: Callable[..., np.ndarray]
) -> np.ndarray:
    """Points (n, k) of the unit cube, zero on the fixed axis of a face: those that it accepts."""
    free, (lower, upper) = list(piece.free_axes), np.asarray(piece.corners)
    drawn = n if not piece.rejects else math.ceil(1.1 * n / piece.acceptance) + 8
    while True:
        unit = np.zeros((drawn, len(lower)))
        if free:
            unit[:, free] = sample(len(free), drawn, np.random.default_rng(entropy))
        kept = unit[piece.accepts(lower + (upper - lower) * unit)] if piece.rejects else unit
        if len(kept) >= n:
            return kept[:n]
        drawn *= 2


_OTHER_SEED = 7919  # far from the small seeds that people choose
_NEXT_SEED = 104729


def _directions(region: Region) -> int:
    """In how many directions a point of the region can move."""
    return max(len(piece.free_axes) for piece in pieces(region))


def _shares(region: Region, n: int) -> list[int]:
    """n points shared among the pieces in proportion to their measure, at least one for each."""
    measures = np.asarray([piece.measure for piece in pieces(region)])
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
    return [int(share) for share in shares]


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
            "`key` is traced, but these points are made on the host. Call `quadrature(key)` "
            "outside `jax.jit` and pass the points in, or use `MonteCarlo`."
        ) from error


def _stretched(region: Region, n: int, unit: Array | np.ndarray) -> Quadrature:
    """Points (n, d) of the unit cube, shared among the pieces and stretched over each."""
    parts, shares = pieces(region), _shares(region, n)
    corners = np.asarray([piece.corners for piece in parts], dtype=unit.dtype)
    lower, upper = (np.repeat(corners[:, i], shares, axis=0) for i in (0, 1))
    densities = [part.reference_measure / share for part, share in zip(parts, shares, strict=True)]
    return placed(parts, shares, lower + (upper - lower) * unit, np.repeat(densities, shares))
