"""The Fisher matrix of several dense layers beside its Kronecker approximation, entry by entry.

The parameter of layer l that joins input i and output k has the gradient g_k a_i, a being the
inputs of its layer and g the derivatives in its outputs. So all entries are moments of two vectors,
the inputs and the cotangents of all layers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pinn_ngd.linalg.kronecker_factors import with_ones
from pinn_ngd.linalg.layerwise import AbstractLayerRows, LayerRows


class LayerMoments(NamedTuple):
    """Inputs a (n, inputs) and cotangents g (n, labels, outputs) of several layers.

    Cotangents of an example are so weighted that a sum over `labels` is the expectation over the
    labels, and a mean over examples that over inputs. `input_of` and `output_of` (p,) say which
    input and which output a parameter joins, layer by layer, `sizes` how many a layer has.
    """

    inputs: Float[Array, "n inputs"]
    cotangents: Float[Array, "n labels outputs"]
    input_of: Int[np.ndarray, " p"]
    output_of: Int[np.ndarray, " p"]
    sizes: tuple[int, ...]

    def fisher(self, inputs: Float[Array, "n inputs"] | None = None) -> Float[Array, "p p"]:
        """E[a_i a_j g_k g_l], of other inputs where they are given."""
        inputs = self.inputs if inputs is None else inputs
        n, labels, _ = self.cotangents.shape
        total = jnp.zeros((len(self.input_of),) * 2, self.cotangents.dtype)
        for label in range(labels):  # one at a time, since all rows are many
            rows = inputs[:, self.input_of] * self.cotangents[:, label, self.output_of]
            total = total + rows.T @ rows
        return total / n

    def approximation(self) -> Float[Array, "p p"]:
        """E[a_i a_j] E[g_k g_l], also between different layers."""
        return self._products(self._input_moments(self.inputs), self._output_moments())

    def bound(self) -> Float[Array, "p p"]:
        """What bounds |E[a_i a_j g_k g_l] - E[a_i a_j] E[g_k g_l]| by cumulants (Martens and
        Grosse, ICML 2015, section 3.1),

            |k4(a_i, a_j, g_k, g_l)| + |E[a_i] k3(a_j, g_k, g_l)| + |E[a_j] k3(a_i, g_k, g_l)|.

        Where labels are drawn from the model, E[g | x] = 0, and the difference is the sum of these
        three without the bars: all other products of cumulants contain the mean of a g, or its
        covariance with inputs.
        """
        mean = jnp.mean(self.inputs, axis=0)
        centered = self.inputs - mean
        separate = self._products(self._input_moments(centered), self._output_moments())
        fourth = self.fisher(centered) - separate
        third = jnp.einsum("ni,nck,ncl->ikl", centered, self.cotangents, self.cotangents)
        i, k = self.input_of[:, None], self.output_of[:, None]
        j, m = self.input_of[None, :], self.output_of[None, :]
        third = third / len(self.inputs)
        return (
            jnp.abs(fourth) + jnp.abs(mean[i] * third[j, k, m]) + jnp.abs(mean[j] * third[i, k, m])
        )

    def _products(self, inputs: Array, outputs: Array) -> Float[Array, "p p"]:
        return (
            inputs[jnp.ix_(self.input_of, self.input_of)]
            * outputs[jnp.ix_(self.output_of, self.output_of)]
        )

    def _input_moments(self, inputs: Array) -> Array:
        return inputs.T @ inputs / len(inputs)

    def _output_moments(self) -> Array:
        flat = self.cotangents.reshape(-1, self.cotangents.shape[-1])
        return flat.T @ flat / len(self.inputs)


def layer_moments(layers: Sequence[AbstractLayerRows]) -> LayerMoments:
    """Those of dense layers, from rows that are weighted by 1 / sqrt(n); a bias is one more input,
    which is 1. Raises TypeError for rows of another kind."""
    dense = [with_ones(_dense(layer)) for layer in layers]
    inputs = [layer.inputs[:, 0] for layer in dense]
    cotangents = [layer.cotangents[:, :, 0] for layer in dense]
    input_of, output_of, sizes = [], [], []
    before, above = 0, 0
    for a, g in zip(inputs, cotangents, strict=True):
        i, o = a.shape[-1], g.shape[-1]
        input_of.append(before + np.tile(np.arange(i), o))
        output_of.append(above + np.repeat(np.arange(o), i))
        sizes.append(i * o)
        before, above = before + i, above + o
    n = len(inputs[0])
    return LayerMoments(
        jnp.concatenate(inputs, axis=-1),
        n**0.5 * jnp.concatenate(cotangents, axis=-1),
        np.concatenate(input_of),
        np.concatenate(output_of),
        tuple(sizes),
    )


def _dense(layer: AbstractLayerRows) -> LayerRows:
    if isinstance(layer, LayerRows) and layer.inputs.shape[1] == 1:
        return layer
    raise TypeError(f"rows of a {type(layer).__name__} are not those of a dense layer.")


def block_means(matrix: Float[np.ndarray, "p p"], sizes: Sequence[int]) -> np.ndarray:
    """The mean absolute value of every block, (layers, layers)."""
    ends = np.cumsum(sizes)[:-1]
    bands = [np.split(band, ends, axis=1) for band in np.split(np.abs(matrix), ends, axis=0)]
    return np.array([[block.mean() for block in band] for band in bands])


def share_outside(means: Float[np.ndarray, "l l"], width: int) -> float:
    """The share of the blocks that are more than `width` from the diagonal in the sum of all."""
    rows, columns = np.indices(means.shape)
    return float(means[abs(rows - columns) > width].sum() / means.sum())
