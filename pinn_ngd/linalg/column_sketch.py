"""Random maps S of a layer's parameters to fewer numbers, with E[S^T S] = I.

The Gram matrix U U^T of few rows over many columns is estimated by (U S^T)(U S^T)^T, and U g by
(U S^T)(S g): all that a Woodbury step needs of the columns.
"""

import abc
import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._names import choose
from .layerwise import LayerRows
from .operators import HIGHEST


class AbstractColumnSketch(eqx.Module):
    """A linear map of matrices (o, i) to s numbers."""

    @abc.abstractmethod
    def apply(self, matrix: Float[Array, "o i"]) -> Float[Array, " s"]:
        """S applied to one matrix of parameters."""

    def apply_rows(self, rows: LayerRows) -> Float[Array, "m s"]:
        """S applied to every row of a layer."""
        o, i = rows.cotangents.shape[-1], rows.inputs.shape[-1]
        return jax.vmap(self.apply)(rows.columns()[0].reshape(-1, o, i))


class AbstractSampled(AbstractColumnSketch):
    """Some entries, drawn without replacement, times `scale` = sqrt(o i / s)."""

    outputs: Int[Array, " so"]
    inputs: Int[Array, " si"]
    scale: float = eqx.field(static=True)

    def rescaled_as_by_authors(self) -> "AbstractSampled":
        """Entries times o i / s instead of its root, with which E[S^T S] = (o i / s) I."""
        return dataclasses.replace(self, scale=self.scale**2)


class Uniform(AbstractSampled):
    """s entries anywhere, given by their outputs and inputs."""

    def apply(self, matrix: Float[Array, "o i"]) -> Float[Array, " s"]:
        return self.scale * matrix[self.outputs, self.inputs]

    def apply_rows(self, rows: LayerRows) -> Float[Array, "m s"]:
        """The chosen columns, without the others."""
        d, a = rows.cotangents[..., self.outputs], rows.inputs[..., self.inputs]
        found = jnp.einsum("nkpj,npj->nkj", d, a, precision=HIGHEST)
        return self.scale * found.reshape(-1, found.shape[-1])


class Grid(AbstractSampled):
    """All entries of some outputs and some inputs."""

    def apply(self, matrix: Float[Array, "o i"]) -> Float[Array, " s"]:
        return self.scale * matrix[self.outputs[:, None], self.inputs[None, :]].reshape(-1)

    def layer(self, rows: LayerRows) -> LayerRows:
        """The rows with the chosen outputs and inputs alone, whose Gram matrix is never formed of
        columns."""
        d, a = rows.cotangents[..., self.outputs], rows.inputs[..., self.inputs]
        return LayerRows(a, self.scale * d, rows.weight, rows.bias)


class CountSketch(AbstractColumnSketch):
    """Every entry is added, with a random sign, to one of s sums (Charikar, Chen and
    Farach-Colton 2002)."""

    buckets: Int[Array, " n"]
    signs: Float[Array, " n"]
    size: int = eqx.field(static=True)

    def apply(self, matrix: Float[Array, "o i"]) -> Float[Array, " s"]:
        signed = self.signs * matrix.reshape(-1)
        return jax.ops.segment_sum(signed, self.buckets, num_segments=self.size)


class SRHT(AbstractColumnSketch):
    """Random signs, a Walsh-Hadamard transform, and s of its entries (Ailon and Chazelle 2006)."""

    signs: Float[Array, " n"]
    places: Int[Array, " s"]

    def apply(self, matrix: Float[Array, "o i"]) -> Float[Array, " s"]:
        flat = self.signs * matrix.reshape(-1)
        padded = jnp.pad(flat, (0, _power_of_two(flat.size) - flat.size))
        return hadamard(padded)[self.places] / math.sqrt(self.places.size)


class Gaussian(AbstractColumnSketch):
    """Independent normal numbers of variance 1/s: s x n of them are stored."""

    matrix: Float[Array, "s n"]

    def apply(self, matrix: Float[Array, "o i"]) -> Float[Array, " s"]:
        return jnp.matmul(self.matrix, matrix.reshape(-1), precision=HIGHEST)


def hadamard(vector: Float[Array, " n"]) -> Float[Array, " n"]:
    """H x for the matrix H of +1 and -1 with H^T H = n I (Sylvester), n a power of two."""
    n = vector.size
    for level in range(n.bit_length() - 1):
        pairs = vector.reshape(-1, 2, 2**level)
        total, difference = pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]
        vector = jnp.stack([total, difference], axis=1).reshape(n)
    return vector


def draw_sketch(
    name: str, shape: tuple[int, int], columns: int, key: PRNGKeyArray, dtype: jnp.dtype
) -> AbstractColumnSketch:
    """A sketch of matrices of that shape to `columns` numbers; ValueError for an unknown name.

    "grid" takes some outputs times some inputs, as many of both as there are, and at most
    `columns` in all. Raises ValueError for more columns than a matrix has entries too.
    """
    if columns > math.prod(shape):
        raise ValueError(
            f"`columns` is {columns}, and a matrix {shape} has {math.prod(shape)} entries: give "
            "fewer columns."
        )
    return choose(name, _DRAWN, "`sketch`")(shape, columns, key, dtype)


def _uniform(shape: tuple[int, int], columns: int, key: PRNGKeyArray, dtype: jnp.dtype) -> Uniform:
    del dtype
    size = math.prod(shape)
    places = jax.random.choice(key, size, (columns,), replace=False)
    return Uniform(places // shape[1], places % shape[1], math.sqrt(size / columns))


def _grid(shape: tuple[int, int], columns: int, key: PRNGKeyArray, dtype: jnp.dtype) -> Grid:
    del dtype
    outputs = min(math.isqrt(columns), shape[0])
    inputs = min(columns // outputs, shape[1])
    outputs = min(columns // inputs, shape[0])
    first, second = jax.random.split(key)
    scale = math.sqrt(math.prod(shape) / (outputs * inputs))
    chosen = jax.random.choice(first, shape[0], (outputs,), replace=False)
    return Grid(chosen, jax.random.choice(second, shape[1], (inputs,), replace=False), scale)


def _count_sketch(
    shape: tuple[int, int], columns: int, key: PRNGKeyArray, dtype: jnp.dtype
) -> CountSketch:
    first, second = jax.random.split(key)
    buckets = jax.random.randint(first, (math.prod(shape),), 0, columns)
    return CountSketch(buckets, jax.random.rademacher(second, buckets.shape, dtype), columns)


def _srht(shape: tuple[int, int], columns: int, key: PRNGKeyArray, dtype: jnp.dtype) -> SRHT:
    first, second = jax.random.split(key)
    size = math.prod(shape)
    signs = jax.random.rademacher(first, (size,), dtype)
    places = jax.random.choice(second, _power_of_two(size), (columns,), replace=False)
    return SRHT(signs, places)


def _gaussian(
    shape: tuple[int, int], columns: int, key: PRNGKeyArray, dtype: jnp.dtype
) -> Gaussian:
    matrix = jax.random.normal(key, (columns, math.prod(shape)), dtype)
    return Gaussian(matrix / math.sqrt(columns))


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()


_DRAWN = {
    "uniform": _uniform,
    "grid": _grid,
    "countsketch": _count_sketch,
    "srht": _srht,
    "gaussian": _gaussian,
}
SKETCHES = tuple(_DRAWN)
