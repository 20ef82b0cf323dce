"""Jacobians of networks, stored as layer inputs and cotangents instead of rows x parameters.

Row (i, j) of a layer's weight block is sum_s d_ijs a_is^T: a the input of example i (at position s
of a convolution), d the cotangent of its output along direction j. The Gram matrix of the rows
then is a Hadamard product of two small ones (Goodfellow, "Efficient per-example gradient
computations", 2015, gives its diagonal).
"""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, PyTree

from ._ravel import HashableStructure, dtype_of, hashable, structure_of
from .operators import AbstractTransposable, register_operator

HIGHEST = jax.lax.Precision.HIGHEST


class AbstractLayerRows(eqx.Module):
    """The rows (n k, ...) of the parameters of a layer, for n examples and k directions of each."""

    @property
    @abc.abstractmethod
    def leaves(self) -> tuple[int, ...]:
        """The places of this layer's leaves among those of the parameters."""

    @abc.abstractmethod
    def mv(self, own: Sequence[Array]) -> Inexact[Array, "n k"]:
        """The rows times the parameters, given this layer's leaves."""

    @abc.abstractmethod
    def transpose_mv(self, y: Inexact[Array, "n k"]) -> tuple[Array, ...]:
        """This layer's leaves of A^T y, flat."""

    @abc.abstractmethod
    def columns(self) -> tuple[Array, ...]:
        """The rows themselves, (n k, size) for each leaf: for tests, and where they are few."""

    @abc.abstractmethod
    def weighted(self, factor: Inexact[Array, "n k r"]) -> "AbstractLayerRows":
        """The rows combined to r directions of each example."""

    @abc.abstractmethod
    def kernel_matrix(self) -> Inexact[Array, "m m"]:
        """A A^H."""


class LayerRows(AbstractLayerRows):
    """The rows of one dense or convolution layer: n examples, k directions, s positions.

    `inputs` (n, s, i) holds the layer's inputs, unfolded to patches for a convolution, and
    `cotangents` (n, k, s, o); a dense layer has one position. `weight` and `bias` are the places of
    the two leaves among the leaves of the parameters; `bias` is None where there is none. It is
    multiplied by `unit` (n, s), by 1 at every position where that is None: a position that carries
    a derivative of the layer's input has a 0.
    """

    inputs: Inexact[Array, "n s i"]
    cotangents: Inexact[Array, "n k s o"]
    weight: int = eqx.field(static=True)
    bias: int | None = eqx.field(static=True)
    unit: Inexact[Array, "n s"] | None = None

    @property
    def leaves(self) -> tuple[int, ...]:
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def mv(self, own: Sequence[Array]) -> Inexact[Array, "n k"]:
        o, i = self.cotangents.shape[-1], self.inputs.shape[-1]
        outputs = einsum("nsi,oi->nso", self.inputs, own[0].reshape(o, i))
        if self.bias is not None:
            bias = own[1].reshape(o)
            outputs = outputs + (bias if self.unit is None else self.unit[..., None] * bias)
        if self.cotangents.shape[1] == 1:  # XLA is slow with a batch of so small products
            return jnp.sum(self.cotangents[:, 0] * outputs, axis=(1, 2))[:, None]
        return einsum("nkso,nso->nk", self.cotangents, outputs)

    def transpose_mv(self, y: Inexact[Array, "n k"]) -> tuple[Array, ...]:
        o, i = self.cotangents.shape[-1], self.inputs.shape[-1]
        mixed = einsum("nk,nkso->nso", y, self.cotangents)
        flat = mixed.reshape(-1, o).T, self.inputs.reshape(-1, i)
        weight = jnp.matmul(*flat, precision=HIGHEST).reshape(-1)
        return (weight,) if self.bias is None else (weight, jnp.sum(self._biased(mixed), (0, 1)))

    def columns(self) -> tuple[Array, ...]:
        rows = self.cotangents.shape[0] * self.cotangents.shape[1]
        weight = einsum("nkso,nsi->nkoi", self.cotangents, self.inputs).reshape(rows, -1)
        if self.bias is None:
            return (weight,)
        return weight, jnp.sum(self._biased(self.cotangents, 1), 2).reshape(rows, -1)

    def weighted(self, factor: Inexact[Array, "n k r"]) -> "LayerRows":
        mixed = einsum("nkr,nkso->nrso", factor, self.cotangents)
        return LayerRows(self.inputs, mixed, self.weight, self.bias, self.unit)

    def kernel_matrix(self) -> Inexact[Array, "m m"]:
        """A A^H by the cheaper of two ways: the rows, or products of two Gram matrices."""
        if self._rows_are_cheaper():
            return sum((_gram(part) for part in self.columns()[1:]), _gram(self.columns()[0]))
        n, _, s, _ = self.cotangents.shape
        among_inputs = _gram(self.inputs.reshape(n * s, -1)).reshape(n, s, n, s)
        if self.bias is not None:
            among_inputs = among_inputs + self._among_units(among_inputs.dtype)
        return kernel_of(self.cotangents, among_inputs)

    def _biased(self, values: Array, axis: int = 0) -> Array:
        """Values (n, ..., s, o) times what the bias is multiplied by."""
        if self.unit is None:
            return values
        unit = self.unit[..., None]
        return values * (jnp.expand_dims(unit, 1) if axis else unit)

    def _among_units(self, dtype: Any) -> Array:
        """Products of what the bias is multiplied by: (n, s, n, s), or a one for all."""
        if self.unit is None:
            return jnp.ones((), dtype)
        return self.unit[:, :, None, None] * self.unit.conj()[None, None]

    def _rows_are_cheaper(self) -> bool:
        """Whether the rows take fewer multiplications than the product of two Gram matrices."""
        (n, k, s, o), i = self.cotangents.shape, self.inputs.shape[-1]
        m = n * k
        by_rows = m * s * o * i + m * m * o * i
        by_products = (n * s) ** 2 * i + (
            m * m * o if s == 1 else m * n * s * s * o + m * m * s * o
        )
        return by_rows < by_products


@register_operator
class LayerwiseJacobian(AbstractTransposable):
    """The Jacobian of a network's outputs along k directions for each of n examples.

    `layers` hold the blocks of captured layers, `rows` (n k, size) the stored rows of every other
    leaf (`rest` lists their places). `units` name those of them that belong together: scale and
    shift of a norm, whose entries at one place are a unit. Maps parameters of `in_structure` to
    arrays (n, k). The Gram matrix of the rows, which the dual form of a damped system needs, costs
    `kernel_matrix()`.
    """

    layers: tuple[AbstractLayerRows, ...]
    rows: tuple[Inexact[Array, "m _"], ...]
    rest: tuple[int, ...] = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    frozen_in: HashableStructure = eqx.field(static=True)
    units: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def __init__(
        self,
        layers: Sequence[AbstractLayerRows],
        rows: Sequence[Array],
        rest: Sequence[int],
        shape: tuple[int, int],
        in_structure: PyTree,
        *,
        units: Sequence[Sequence[int]] = (),
    ):
        self.layers, self.rows, self.rest = tuple(layers), tuple(rows), tuple(rest)
        self.shape, self.frozen_in = shape, hashable(in_structure)
        self.units = tuple(map(tuple, units))
        places = sorted([*self.rest, *(leaf for layer in self.layers for leaf in layer.leaves)])
        if places != list(range(len(self.frozen_in[0]))):
            msg = (
                f"`layers` and `rest` cover the leaves {places}, but `in_structure` has"
                f" {len(self.frozen_in[0])}: every leaf needs exactly one block."
            )
            raise ValueError(msg)
        stray = {leaf for unit in self.units for leaf in unit} - set(self.rest)
        if stray:
            msg = f"`units` name the leaves {sorted(stray)}, which have no stored rows: see `rest`."
            raise ValueError(msg)

    def mv(self, vector: PyTree[Array]) -> Inexact[Array, "n k"]:
        leaves = jax.tree.leaves(vector)
        total = jnp.zeros(self.shape, dtype_of(self.in_structure()))
        for layer in self.layers:
            total = total + layer.mv([leaves[place] for place in layer.leaves])
        for place, rows in zip(self.rest, self.rows, strict=True):
            product = jnp.matmul(rows, leaves[place].reshape(-1), precision=HIGHEST)
            total = total + product.reshape(self.shape)
        return total

    def transpose_mv(self, vector: Inexact[Array, "n k"]) -> PyTree[Array]:
        """A^T y."""
        flat = {
            place: jnp.matmul(vector.reshape(-1), rows, precision=HIGHEST)
            for place, rows in zip(self.rest, self.rows, strict=True)
        }
        for layer in self.layers:
            flat |= dict(zip(layer.leaves, layer.transpose_mv(vector), strict=True))
        structures, treedef = self.frozen_in
        leaves = [flat[place].reshape(leaf.shape) for place, leaf in enumerate(structures)]
        return jax.tree.unflatten(treedef, leaves)

    def weighted(self, factor: Inexact[Array, "n k r"]) -> "LayerwiseJacobian":
        """The same Jacobian along r combinations of the k directions of each example."""
        n, k = self.shape
        layers = [layer.weighted(factor) for layer in self.layers]
        r = factor.shape[-1]
        rows = [
            einsum("nkr,nkp->nrp", factor, part.reshape(n, k, -1)).reshape(n * r, -1)
            for part in self.rows
        ]
        return LayerwiseJacobian(
            layers, rows, self.rest, (n, r), self.in_structure(), units=self.units
        )

    def kernel_matrix(self) -> Inexact[Array, "m m"]:
        """A A^H, without the rows of captured layers wherever that is cheaper."""
        m = self.shape[0] * self.shape[1]
        parts = [layer.kernel_matrix() for layer in self.layers] + [
            _gram(rows) for rows in self.rows
        ]
        return sum(parts, start=jnp.zeros((m, m), dtype_of(self.in_structure())))

    def as_matrix(self) -> Inexact[Array, "m p"]:
        columns = dict(zip(self.rest, self.rows, strict=True))
        for layer in self.layers:
            columns |= dict(zip(layer.leaves, layer.columns(), strict=True))
        return jnp.concatenate([columns[place] for place in sorted(columns)], axis=1)

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return structure_of(self.frozen_in)

    def out_structure(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(self.shape, np.dtype(dtype_of(self.in_structure())))


def kernel_of(
    cotangents: Inexact[Array, "n k s o"], among_inputs: Inexact[Array, "n s n s"]
) -> Inexact[Array, "m m"]:
    """A A^H of the rows sum_s d_s a_s^T, from cotangents d and inner products of the inputs a."""
    n, k, s, o = cotangents.shape
    if s == 1:  # a dense layer has one position: the product is a Hadamard product
        among = _gram(cotangents.reshape(n * k, o)).reshape(n, k, n, k)
        return (among * among_inputs[:, None, 0, :, None, 0]).reshape(n * k, n * k)
    spread = einsum("nkso,nsmt->nkmto", cotangents, among_inputs)
    spread = einsum("nkmto,mlto->nkml", spread, cotangents.conj())
    return spread.reshape(n * k, n * k)


def _gram(matrix: Inexact[Array, "m p"]) -> Inexact[Array, "m m"]:
    return jnp.matmul(matrix, matrix.conj().T, precision=HIGHEST)


def einsum(subscripts: str, *operands: Array) -> Array:
    """`jnp.einsum` in full precision and the cheapest order."""
    return jnp.einsum(subscripts, *operands, precision=HIGHEST, optimize="optimal")
