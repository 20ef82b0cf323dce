"""Eigendecompositions of many symmetric matrices, on one device or shared among several."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .packed import Statistic
from .stacked import symmetric_eigen


class Spectrum(eqx.Module):
    """Eigenvalues (*h, n) and eigenvectors (*h, n, n) of symmetric matrices; None for a diagonal.

    `clipped` counts eigenvalues that were negative beyond rounding and were set to zero.
    """

    values: Float[Array, "*h n"]
    vectors: Float[Array, "*h n n"] | None
    clipped: Int[Array, ""]


def no_spectrum(statistic: Statistic, dtype: Any) -> Spectrum:
    """Zeros in place of one."""
    zero = jnp.asarray(0, jnp.int32)
    if statistic.is_diagonal:
        return Spectrum(jnp.zeros(statistic.shape, dtype), None, zero)
    return Spectrum(jnp.zeros(statistic.shape[:-1], dtype), jnp.zeros(statistic.shape, dtype), zero)


def spectrum_of(statistic: Statistic, numbers: Array, dtype: Any) -> Spectrum:
    """The decomposition of a packed statistic, in the precision `dtype`."""
    array = statistic.unpack(numbers.astype(dtype))
    if statistic.is_diagonal:
        return Spectrum(jnp.maximum(array, 0), None, _lost(array))
    small = len(statistic.shape) == 3 and statistic.shape[-1] <= 2
    values, vectors = symmetric_eigen(array) if small else jnp.linalg.eigh(array)
    return Spectrum(jnp.maximum(values, 0), vectors, _lost(values))


def _lost(values: Float[Array, "*h n"]) -> Int[Array, ""]:
    largest = jnp.max(jnp.abs(values), axis=-1, keepdims=True, initial=0)
    rounding = jnp.finfo(values.dtype).eps * values.shape[-1] * largest
    return jnp.sum(values < -rounding, dtype=jnp.int32)


def rounds(statistics: Sequence[Statistic], devices: int) -> list[list[int]]:
    """Which statistics are decomposed at one time, each by another device: the largest first.

    In a round device d takes the d-th of them. Statistics of one round are of about the same size,
    so that none waits long for another.
    """
    order = sorted(range(len(statistics)), key=lambda i: (-_cost(statistics[i]), i))
    return [order[i : i + devices] for i in range(0, len(order), devices)]


def _cost(statistic: Statistic) -> int:
    return statistic.shape[0] if statistic.is_diagonal else statistic.entries * statistic.shape[-1]


def spread_spectra(
    measured: Sequence[Array],
    old: Sequence[Spectrum],
    statistics: Sequence[Statistic],
    due: Bool[Array, " k"],
    axis: str,
    dtype: Any,
) -> tuple[tuple[Array, ...], tuple[Spectrum, ...]]:
    """The mean of packed statistics over devices, and their spectra, made by a device each.

    Inside `jax.shard_map` over `axis`. In each round the sums of the packed statistics go to their
    owners (reduce-scatter), every device decomposes its own, and all get statistics and spectra
    (all-gather). A round in which none is due sends nothing.
    """
    found = list(measured)
    spectra = list(old)
    for members in rounds(statistics, jax.lax.axis_size(axis)):
        own = [statistics[i] for i in members]
        kept = [(measured[i], old[i]) for i in members]

        def together(own: Any = own, kept: Any = kept) -> Any:
            return _round([x for x, _ in kept], own, axis, dtype)

        def apart(kept: Any = kept) -> Any:
            return [x for x, _ in kept], [spectrum for _, spectrum in kept]

        wanted = due[jnp.asarray(members)]
        packed, made = jax.lax.cond(jnp.any(wanted), together, apart)
        for place, i in enumerate(members):
            found[i] = packed[place]
            spectra[i] = jax.tree.map(
                lambda new, before, w=wanted[place]: jnp.where(w, new, before),
                made[place], old[i],
            )  # fmt: skip
    return tuple(found), tuple(spectra)


def _round(
    parts: Sequence[Array], statistics: Sequence[Statistic], axis: str, dtype: Any
) -> tuple[list[Array], list[Spectrum]]:
    devices = jax.lax.axis_size(axis)
    width = max(s.numbers for s in statistics)
    rows = [jnp.pad(x, (0, width - x.size)) for x in parts]
    rows += [jnp.zeros(width, parts[0].dtype)] * (devices - len(rows))
    mine = jax.lax.psum_scatter(jnp.stack(rows), axis) / devices
    mine = mine.astype(parts[0].dtype)
    most = max(s.factored for s in statistics) + 1

    def made(statistic: Statistic) -> Any:
        def branch(numbers: Array) -> Array:
            spectrum = spectrum_of(statistic, numbers[: statistic.numbers], dtype)
            flat = [x.reshape(-1).astype(dtype) for x in jax.tree.leaves(spectrum)]
            whole = jnp.concatenate(flat)
            return jnp.pad(whole, (0, most - whole.size))

        return branch

    branches = [made(s) for s in statistics]
    branches += [lambda _: jnp.zeros(most, dtype)] * (devices - len(branches))
    spectrum = jax.lax.switch(jax.lax.axis_index(axis), branches, mine)
    numbers, spectra = (jax.lax.all_gather(x, axis) for x in (mine, spectrum))
    packed = [row[: s.numbers] for row, s in zip(numbers, statistics, strict=False)]
    return packed, [_read(row, s, dtype) for row, s in zip(spectra, statistics, strict=False)]


def _read(row: Array, statistic: Statistic, dtype: Any) -> Spectrum:
    """Inverse of how a spectrum was written into a row."""
    empty = no_spectrum(statistic, dtype)
    leaves, treedef = jax.tree.flatten(empty)
    found, first = [], 0
    for leaf in leaves:
        found.append(row[first : first + leaf.size].reshape(leaf.shape).astype(leaf.dtype))
        first += leaf.size
    return jax.tree.unflatten(treedef, found)
