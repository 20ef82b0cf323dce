"""What is settled before the first step, and what is asked of a loss after a failure."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree


def stride_of(optimizer: Any, objective: Any, stride: int | None) -> int:
    if stride is not None and stride < 1:
        raise ValueError(f"`stride` is {stride}: a compiled call makes 1 step or more.")
    if not optimizer.jittable:
        return 1
    if stride is not None:
        return stride
    return getattr(objective, "steps_per_batch", None) or optimizer.stride


def warn_about_precision(model: PyTree, optimizer: Any) -> None:
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    single = any(jnp.finfo(leaf.dtype).bits < 64 for leaf in leaves)
    if single and getattr(optimizer, "wants_float64", False):
        warnings.warn(
            "the model has float32 parameters, and this optimizer loses its digits in float32: "
            'call `jax.config.update("jax_enable_x64", True)` before the model is built, or '
            "expect a relative error of 1e-3 at best.",
            UserWarning,
            stacklevel=3,
        )


def loss_of(objective: Any, model: PyTree, batch: PyTree) -> float:
    value = eqx.filter_jit(type(objective).loss)(objective, model, batch)
    return float(value)


def batch_of(objective: Any, key: PRNGKeyArray, number: int) -> PyTree:
    """Batch `number` of the sequence that belongs to a key."""
    if hasattr(objective, "draw"):
        return objective.draw(key, number)
    return objective.batch(jax.random.fold_in(key, number))
