"""Whether data are values of a family: their shapes, and whether each of them can occur."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree

from .discrete import Categorical
from .family import AbstractExponentialFamily
from .joint import NaiveBayes


def check_values(family: AbstractExponentialFamily, data: PyTree[Array]) -> None:
    """ValueError for data, along a leading axis, that are no values of the family.

    Those are data of other shapes, and values whose log density at the standard member is not
    finite, of which the first is named.
    """
    _check_shapes(family, data)
    wrong = np.asarray(_impossible(family, data))
    if wrong.any():
        numbered = isinstance(getattr(family, "family", family), Categorical | NaiveBayes)
        msg = (
            f"value {int(np.argmax(wrong))} of the data cannot occur in {type(family).__name__},"
            " or is not finite: leave it out, or take another family"
            + (" (outcomes and labels are numbered from 0)." if numbered else ".")
        )
        raise ValueError(msg)


def _check_shapes(family: AbstractExponentialFamily, data: PyTree[Array]) -> None:
    shapes = [leaf.shape for leaf in jax.tree.leaves(data)]
    if len({shape[:1] for shape in shapes}) != 1 or not all(shape[:1] > (0,) for shape in shapes):
        msg = (
            "the data are empty or their arrays have no leading axis in common: give one value or"
            " more, along the first axis of every array."
        )
        raise ValueError(msg)
    described = ", ".join(f"{x.dtype}{list(x.shape)}" for x in jax.tree.leaves(data))
    if _statistics_shape(family, data) != _shape(jax.eval_shape(family.standard)):
        msg = (
            f"the data, arrays {described}, are no values of"
            f" {type(family).__name__} along a leading axis: give them in the shapes and types that"
            " its `sample` returns."
        )
        raise ValueError(msg)


def _statistics_shape(family: AbstractExponentialFamily, data: PyTree[Array]) -> Any:
    """The structure and the shapes of T of the first value; None where it has none."""

    def of_first(data: PyTree[Array]) -> Any:
        return family.statistics(jax.tree.map(lambda x: x[0], data))

    try:
        return _shape(jax.eval_shape(of_first, data))
    except (TypeError, ValueError, IndexError):  # whatever JAX says about shapes that do not fit
        return None


def _shape(tree: PyTree) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [leaf.shape for leaf in leaves]


@eqx.filter_jit
def _impossible(family: AbstractExponentialFamily, data: PyTree[Array]) -> Bool[Array, " n"]:
    natural = family.standard()

    def one(x: Any) -> Bool[Array, ""]:
        return ~jnp.isfinite(family.log_density(natural, x))

    return jax.lax.map(one, data, batch_size=256)  # since the statistics of all may be large
