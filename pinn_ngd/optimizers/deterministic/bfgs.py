"""BFGS as an Optax transformation, to be chained with Optax's line searches."""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float


class BFGSState(NamedTuple):
    """Inverse Hessian approximation, previous parameters and gradient (flattened)."""

    inverse: Float[Array, "p p"]
    params: Float[Array, " p"]
    gradient: Float[Array, " p"]
    started: Bool[Array, ""]


def scale_by_bfgs() -> optax.GradientTransformation:
    """Multiply the gradient by the BFGS inverse Hessian (Nocedal and Wright, Eqs. 6.17, 6.20).

    Pairs without positive curvature are skipped. The first pair scales the initial matrix.
    """

    def init(params):
        flat, _ = ravel_pytree(params)
        identity = jnp.eye(flat.size, dtype=flat.dtype)
        return BFGSState(identity, flat, jnp.zeros_like(flat), jnp.asarray(False))

    def update(updates, state, params=None):
        if params is None:
            msg = "`params` is required by BFGS."
            raise ValueError(msg)
        g, unravel = ravel_pytree(updates)
        theta, _ = ravel_pytree(params)
        s, y = theta - state.params, g - state.gradient
        inverse = _update(state.inverse, s, y, state.started)
        return unravel(inverse @ g), BFGSState(inverse, theta, g, jnp.asarray(True))

    return optax.GradientTransformation(init, update)


def _update(inverse: Array, s: Array, y: Array, started: Array) -> Array:
    curvature = s @ y
    usable = started & (curvature > 1e-14 * jnp.linalg.norm(s) * jnp.linalg.norm(y))
    safe = jnp.where(usable, curvature, jnp.ones_like(curvature))
    is_identity = jnp.all(inverse == jnp.eye(s.size, dtype=s.dtype))
    start = jnp.where(is_identity & usable, curvature / jnp.maximum(y @ y, 1e-300), 1.0)
    h = inverse * start
    hy = h @ y
    outer = jnp.outer(s, hy)
    new = h - (outer + outer.T) / safe + (1 + y @ hy / safe) * jnp.outer(s, s) / safe
    return jnp.where(usable, new, inverse)


def bfgs() -> optax.GradientTransformation:
    """BFGS with the zoom line search (strong Wolfe conditions) of Optax."""
    return with_zoom(scale_by_bfgs())


def with_zoom(direction: optax.GradientTransformation) -> optax.GradientTransformation:
    """Steps against a direction, as long as the zoom line search of Optax says.

    It tries the whole step first, which quasi-Newton directions are scaled for, and not the length
    of the step before.
    """
    search = optax.scale_by_zoom_linesearch(30, initial_guess_strategy="one")
    return optax.chain(direction, optax.scale(-1.0), search)
