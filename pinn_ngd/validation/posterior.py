"""Error bars: how far measurements with noise determine a model and its unknown coefficients.

Where the loss is 1/2 sum (r_i / sigma_i)^2, with noise of deviation sigma_i in r_i, it is the
negative logarithm of a likelihood. Around its minimizer theta the residuals are b + A d, and the
posterior of d is Gaussian with covariance (A^T A)^-1, the inverse of the Gauss-Newton matrix
(Laplace's approximation; MacKay 1992). Equations without noise are terms of a weight so large that
they hold to more digits than the measurements.
"""

import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from .. import _tree
from ..linalg import JacobianRows
from ..objectives import AbstractObjective
from .held_out import AsGiven, HeldOut, can_hold_out
from .rows import held_out_system

LEFT_TO_PRIOR = 0.5  # of its variance: the rows say less than the prior does
UNDETERMINED = 1e-6  # of the variance without a prior, which has no meaning of its own
SMALLEST = 1e-24  # of the square of the largest singular value: the damping without a prior


class Posterior(eqx.Module):
    """The Gaussian distribution of a model's parameters around their trained values.

    It is kept as the singular values s (m,) and right singular vectors V (m, p) of the rows A, and
    the precision of the prior, so that a variance is a sum of squares and loses no digits. The
    prior is `proper` where somebody has given it a finite deviation.
    """

    model: PyTree
    singular_values: Float[Array, " m"]
    vectors: Float[Array, "m p"]
    precision: Float[Array, ""]
    proper: bool = eqx.field(static=True, default=False)

    def deviation(self, of: Callable[[PyTree], Any]) -> Float[Array, "..."]:
        """The standard deviation of `of(model)`, one number for each number that it returns.

        `of` is any function of the model: `lambda m: m.conductivity`, or
        `lambda m: jax.vmap(m)(points)` for the solution. It is linearized: of(theta + d) varies
        with G d, so its covariance is G (A^T A + precision)^-1 G^T, of which this is the root of
        the diagonal. Warns where the rows say less about one of these numbers than the prior does,
        or nothing at all (see `prior_share`).
        """
        variance, of_prior = self._variances(of)
        if not isinstance(variance, Tracer):
            _warn_about_prior(np.asarray(variance), np.asarray(of_prior), self.proper)
        return jnp.sqrt(variance)

    def prior_share(self, of: Callable[[PyTree], Any]) -> Float[Array, "..."]:
        """How much of each variance the rows have left of that of the prior: between 0 and 1.

        It is G (A^T A + precision)^-1 G^T / (G G^T / precision), componentwise: next to zero where
        measurements and equations decide, and one where they say nothing, so that the error bar is
        that of the prior.
        """
        variance, of_prior = self._variances(of)
        return variance / of_prior

    def _variances(self, of: Callable[[PyTree], Any]) -> tuple[Array, Array]:
        """The variances of `of(model)`, and those that the prior alone would give."""
        params, static = _tree.trainable(self.model)
        flat, unravel = ravel_pytree(params)

        def values(q: Array) -> Array:
            return jnp.asarray(of(eqx.combine(unravel(q), static)))

        slopes = jax.jacrev(values)(flat)
        inside = slopes @ self.vectors.T
        seen = jnp.sum(inside**2 / (self.singular_values**2 + self.precision), axis=-1)
        variance = seen + self._unseen(slopes, inside) / self.precision
        return variance, jnp.sum(slopes**2, axis=-1) / self.precision

    def _unseen(self, slopes: Array, inside: Array) -> Array:
        """The square of what no row sees of the slopes, zero where it is rounding error."""
        outside = jnp.sum((slopes - inside @ self.vectors) ** 2, axis=-1)
        rounding = slopes.shape[-1] * jnp.finfo(slopes.dtype).eps
        return jnp.where(outside > rounding**2 * jnp.sum(slopes**2, axis=-1), outside, 0.0)


def posterior(
    objective: AbstractObjective, model: PyTree, *, prior: float = float("inf")
) -> Posterior:
    """The posterior of a trained model, from the rows of its objective.

    Terms whose rules know other points are taken at these, 1.6 times as many along each axis, so
    that an equation counts between its training points too; measurements are taken as they are.
    The weights of the terms are one over the variances of what they measure, as those of
    `Data(points, values, sigma)` are. `prior` is the standard deviation that every parameter has
    beforehand, networks' weights included.

    Raises ValueError for an objective that is no sum of squares, and for a `prior` that is not
    positive.
    """
    if not objective.is_least_squares:
        raise ValueError(
            f"a {type(objective).__name__} is no sum of squared residuals, so its curvature is no "
            "posterior: give the measurements as `Residual` terms of a `ResidualObjective`."
        )
    if not prior > 0:
        raise ValueError(f"`prior` is {prior}; a deviation is positive. Leave it out for no prior.")
    rows = _rows(objective, model)
    _, s, vectors = jnp.linalg.svd(rows, full_matrices=False)
    precision = jnp.maximum(prior**-2, SMALLEST * s[0] ** 2)
    return Posterior(model, s, vectors, precision, bool(prior < float("inf")))


def _warn_about_prior(variance: np.ndarray, of_prior: np.ndarray, proper: bool) -> None:
    """Say how many numbers the measurements leave to the prior."""
    share = LEFT_TO_PRIOR if proper else UNDETERMINED
    count = int(np.sum(variance > share * of_prior))
    if count == 0:
        return
    numbers = f"{count} of {variance.size} numbers" if variance.size > 1 else "this number"
    what = (
        "the prior decides: it is the spread of the prior that is returned, and not what the "
        "measurements say"
        if proper
        else "nothing decides, neither measurements and equations nor a prior"
    )
    warnings.warn(
        f"of {numbers} {what}. There are more unknowns than the data determine: measure more, or "
        "say what is known beforehand by a `Data` term of the unknown, a term that keeps it "
        "smooth, or `posterior(..., prior=...)`.",
        UserWarning,
        stacklevel=3,
    )


def _rows(objective: AbstractObjective, model: PyTree) -> Float[Array, "n p"]:
    """The rows of all terms, equations at held-out points; of a state, those of its own grid."""
    if not objective.rules:
        batch = objective.batch(jax.random.key(0))
        return jnp.asarray(objective.system(model, batch).operator.as_matrix())
    held = HeldOut(objective) if can_hold_out(objective) else AsGiven(objective)
    operator = held_out_system(held, model).operator
    assert isinstance(operator, JacobianRows)
    return operator.matrix
