"""BFGS, self-scaled BFGS and self-scaled Broyden as Optax transformations."""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

Update = Literal["bfgs", "broyden"]


class QuasiNewtonState(NamedTuple):
    """Inverse Hessian approximation H, the last parameters, gradient and direction H g
    (flattened), and whether there are any."""

    inverse: Float[Array, "p p"]
    params: Float[Array, " p"]
    gradient: Float[Array, " p"]
    direction: Float[Array, " p"]
    started: Bool[Array, ""]


def scale_by_bfgs() -> optax.GradientTransformation:
    """Multiply the gradient by the BFGS inverse Hessian H (Nocedal and Wright, Eqs. 6.17, 6.20).

    That is `scale_by_self_scaled` with tau = phi = 1. Pairs without positive curvature are skipped;
    the first other one scales the initial identity.
    """
    return _scaled(None)


def scale_by_self_scaled(update: Update = "broyden") -> optax.GradientTransformation:
    """Multiply the gradient by a self-scaled inverse Hessian H of Broyden's class.

    With s and y the differences of parameters and gradients,

        H <- 1/tau [H - H y y^T H / (y^T H y) + phi v v^T] + s s^T / (y^T s),
        v = sqrt(y^T H y) [s / (y^T s) - H y / (y^T H y)].

    Without scaling (tau = 1) a Hessian that was far too large stays so for many steps in the
    directions that no step has seen; tau < 1 shrinks it before every update. "bfgs" has phi = 1 and
    tau = min(1, y^T s / s^T B s), B = H^-1; "broyden" chooses both of them by
    `broyden_parameters` (Al-Baali and Khalfan 2005; Urban, Stefanou and Pons, J. Comput. Phys. 523,
    2025). s is a multiple of the last direction -H g, as after every line search, from which
    s^T B s follows without a solve. Pairs without positive curvature are skipped; the first other
    one scales the initial identity.
    """
    return _scaled(update)


def _scaled(update: Update | None) -> optax.GradientTransformation:
    """The transformation with an update of Broyden's class; None is BFGS, which scales nothing."""

    def init(params):
        flat, _ = ravel_pytree(params)
        zero = jnp.zeros_like(flat)
        identity = jnp.eye(flat.size, dtype=flat.dtype)
        return QuasiNewtonState(identity, flat, zero, zero, jnp.asarray(False))

    def step(updates, state, params=None):
        if params is None:
            msg = "`params` is required by quasi-Newton updates."
            raise ValueError(msg)
        g, unravel = ravel_pytree(updates)
        theta, _ = ravel_pytree(params)
        inverse = _updated(state, theta - state.params, g - state.gradient, update)
        direction = inverse @ g
        after = QuasiNewtonState(inverse, theta, g, direction, jnp.asarray(True))
        return unravel(direction), after

    return optax.GradientTransformation(init, step)


def broyden_parameters(
    b: Float[Array, ""], h: Float[Array, ""], size: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """tau and phi of the self-scaled Broyden update for b = s^T B s / y^T s, h = y^T H y / y^T s.

    a = b h - 1 >= 0 vanishes where s and H y are parallel. theta is the parameter of the update of
    B, between the bounds that keep it positive definite and well conditioned, and
    phi = (1 - theta) / (1 + a theta) that of H.
    """
    tiny = jnp.finfo(b.dtype).eps
    a = jnp.maximum(b * h - 1, tiny)
    least = jnp.minimum(1.0, h * (1 - jnp.sqrt(a / (1 + a))))
    theta = jnp.maximum((least - 1) / a, jnp.minimum(1 / least, (1 - b) / b))
    sigma = 1 + a * theta
    root = sigma ** (-1 / max(size - 1, 1))
    scale = jnp.minimum(1.0, 1 / b)
    positive = scale * jnp.minimum(root, 1 / jnp.where(theta > 0, theta, 1.0))
    tau = jnp.where(theta > 0, positive, jnp.minimum(scale * root, sigma))
    return tau, (1 - theta) / sigma


def _updated(state: QuasiNewtonState, s: Array, y: Array, update: Update | None) -> Array:
    curvature = s @ y
    usable = state.started & (curvature > 1e-14 * jnp.linalg.norm(s) * jnp.linalg.norm(y))
    ys = jnp.where(usable, curvature, 1.0)
    is_identity = jnp.all(state.inverse == jnp.eye(s.size, dtype=s.dtype))
    squared = jnp.maximum(y @ y, jnp.finfo(y.dtype).tiny)
    start = jnp.where(is_identity & usable, ys / squared, 1.0)
    inverse = state.inverse * start
    hy = inverse @ y
    yhy = jnp.where(usable, y @ hy, 1.0)
    b, h = _length(state, s) / start / ys, yhy / ys
    if update is None:
        tau, phi = jnp.ones_like(b), jnp.ones_like(b)
    elif update == "bfgs":
        tau, phi = jnp.minimum(1.0, 1 / b), jnp.ones_like(b)
    else:
        tau, phi = broyden_parameters(b, h, s.size)
    v = jnp.sqrt(yhy) * (s / ys - hy / yhy)
    new = (inverse - jnp.outer(hy, hy) / yhy + phi * jnp.outer(v, v)) / tau
    new = new + jnp.outer(s, s) / ys
    usable &= (yhy > 0) & jnp.all(jnp.isfinite(new))
    return jnp.where(usable, new, state.inverse)


def _length(state: QuasiNewtonState, s: Array) -> Array:
    """s^T B s = -t s^T g, where s = -t H g with the H that made the last direction."""
    d = state.direction
    t = -(s @ d) / jnp.maximum(d @ d, jnp.finfo(d.dtype).tiny)
    return jnp.maximum(-t * (s @ state.gradient), jnp.finfo(d.dtype).tiny)


def bfgs() -> optax.GradientTransformation:
    """BFGS with the zoom line search (strong Wolfe conditions) of Optax."""
    return with_zoom(scale_by_bfgs())


def ssbroyden() -> optax.GradientTransformation:
    """Self-scaled Broyden with the zoom line search (strong Wolfe conditions) of Optax."""
    return with_zoom(scale_by_self_scaled("broyden"))


def ssbfgs() -> optax.GradientTransformation:
    """Self-scaled BFGS with the zoom line search (strong Wolfe conditions) of Optax."""
    return with_zoom(scale_by_self_scaled("bfgs"))


def with_zoom(direction: optax.GradientTransformation) -> optax.GradientTransformation:
    """Steps against a direction, as long as the zoom line search of Optax says.

    It tries the whole step first, which quasi-Newton directions are scaled for, and not the length
    of the step before.
    """
    search = optax.scale_by_zoom_linesearch(30, initial_guess_strategy="one")
    return optax.chain(direction, optax.scale(-1.0), search)
