"""Terms of one size: what every term feels of the parameters, and weights that even it."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .. import _tree
from .base import distinct_names
from .residual import ResidualObjective
from .weights import scaled

PROBES = 8


def term_sizes(objective: ResidualObjective, model: PyTree) -> dict[str, float]:
    """|J_t|_F^2 of every term, by name: how much its residuals, weights included, feel a change of
    the parameters. Estimated by the mean of |J_t v|^2 over a few normal v, so nothing is formed.
    """
    batch = objective.batch(jax.random.key(0))
    sizes = np.asarray(_sizes(objective, model, batch))
    names = distinct_names(objective.term_names)
    return {name: float(x) for name, x in zip(names, sizes, strict=True)}


def balanced(objective: ResidualObjective, model: PyTree) -> ResidualObjective:
    """The objective with weights under which every term feels the parameters of `model` alike.

    In SI units the terms of a loss can differ by a factor of 1e10, and the smaller ones are lost in
    the rounding of the larger. The weights of all terms but the largest are multiplied, so that
    `term_sizes` become equal. The solution of a consistent problem does not depend on weights; that
    of noisy data does: there choose them by the noise.

    Raises ValueError where a term does not depend on the parameters at all.
    """
    sizes = np.asarray(list(term_sizes(objective, model).values()))
    for name, size in zip(objective.term_names, sizes, strict=True):
        if not size > 0:
            raise ValueError(
                f"the term '{name}' does not depend on the parameters of the model, so no weight "
                "balances it: leave it out, or correct its function."
            )
    terms = [
        dataclasses.replace(term, weight=scaled(term.weight, factor))
        for term, factor in zip(objective.terms, sizes.max() / sizes, strict=True)
    ]
    return ResidualObjective(terms, chunk_size=objective.chunk_size)


@eqx.filter_jit
def _sizes(objective: ResidualObjective, model: PyTree, batch: PyTree) -> Float[Array, " terms"]:
    params, static = _tree.trainable(model)

    def squares(key: Array) -> Float[Array, " terms"]:
        leaves, structure = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        drawn = [
            jax.random.normal(k, leaf.shape, leaf.dtype)
            for k, leaf in zip(keys, leaves, strict=True)
        ]
        direction = jax.tree.unflatten(structure, drawn)
        changes = jax.jvp(
            lambda q: objective.residuals(eqx.combine(q, static), batch), (params,), (direction,)
        )[1]
        return jnp.stack([jnp.sum(change**2) for change in changes])

    return jnp.mean(jax.lax.map(squares, jax.random.split(jax.random.key(1), PROBES)), axis=0)
