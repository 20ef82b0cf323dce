"""The Wasserstein-2 metric of a density that is known by its samples only."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from .. import _tree
from .._settings import Count, Positive
from ..linalg import JacobianRows, LeastSquaresSystem
from ..objectives import AbstractObjective
from ..states import SampleObjective
from .base import AbstractMetric

Points = Float[Array, "n d"]


class KernelWasserstein(AbstractMetric):
    """<u, u> = max_f 2 u(f) - E|grad f|^2 - ridge |f|_k^2 over f in the span of `basis` functions.

    The dual form of the Wasserstein-2 metric, restricted to derivatives h_m = d k(y_m, .) / dy_i of
    a Gaussian kernel at `basis` of the samples, in one random direction each (Arbel, Gretton, Li
    and Montufar, ICLR 2020). With T = d/dtheta of the means of h_m over the samples,

        G = T^T B^-1 T,    B = C C^T / N + ridge K,

    C the gradients of the h_m at the samples and K their kernel matrix; the rows are B^(-1/2) T,
    and G is never formed. `bandwidth` is that of the kernel, by default the median distance of the
    chosen samples. The basis is drawn from `seed`, the same in every step.

    For a `SampleObjective`. Raises ValueError for another objective, for settings that are not
    positive, and for a basis of one function without a `bandwidth`.
    """

    basis: Count = eqx.field(static=True, default=100)
    bandwidth: Positive | None = None
    ridge: Positive = 1e-6
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.basis == 1 and self.bandwidth is None:
            msg = "`basis` is 1: no two samples tell a `bandwidth`; pass one, or more functions."
            raise ValueError(msg)

    def check(self, objective: AbstractObjective, *, matrix_free: bool = False) -> None:
        del matrix_free
        _sampled(objective)

    def system(
        self,
        objective: AbstractObjective,
        model: PyTree,
        batch: PyTree,
        *,
        matrix_free: bool = False,
    ) -> LeastSquaresSystem:
        del matrix_free
        samples = _sampled(objective)
        params, static = _tree.trainable(model)
        flat, unravel = ravel_pytree(params)

        def points(q: Array) -> Points:
            return samples.samples(eqx.combine(unravel(q), static), batch)

        features = self._features(jax.lax.stop_gradient(points(flat)))
        slopes = _jacobian(lambda q: jnp.mean(features.at(points(q)), axis=0), flat)
        rows = _inverse_root(features.gram(points(flat), self.ridge)) @ slopes
        out = jax.ShapeDtypeStruct((rows.shape[0],), rows.dtype)
        operator = JacobianRows(rows, jax.eval_shape(lambda: params), out)
        gradient = objective.evaluate(model, batch).right_hand_side
        return LeastSquaresSystem(operator, gradient=gradient)

    def rows(self, objective: AbstractObjective, model: PyTree, batch: PyTree) -> int:
        del objective, model, batch
        return self.basis

    def _features(self, points: Points) -> "_Features":
        first, second = jax.random.split(jax.random.key(self.seed))
        count, dimension = points.shape
        replace = self.basis > count
        chosen = jax.random.choice(first, count, (self.basis,), replace=replace)
        axis = jax.random.randint(second, (self.basis,), 0, dimension)
        centers = points[chosen]
        return _Features(centers, axis, self._bandwidth(centers))

    def _bandwidth(self, centers: Points) -> Float[Array, ""]:
        if self.bandwidth is not None:
            return jnp.asarray(self.bandwidth, centers.dtype)
        first, second = jnp.triu_indices(len(centers), 1)
        return jnp.median(jnp.linalg.norm(centers[first] - centers[second], axis=1))


class _Features(eqx.Module):
    """h_m(x) = d k(y_m, x) / dy_(i_m) of k(y, x) = exp(-|x - y|^2 / (2 bandwidth^2))."""

    centers: Float[Array, "m d"]
    axis: Int[Array, " m"]
    bandwidth: Float[Array, ""]

    def at(self, points: Points) -> Float[Array, "n m"]:
        """All functions at all points."""
        return jax.vmap(self._one)(points)

    def _one(self, x: Float[Array, " d"]) -> Float[Array, " m"]:
        gap = (x - self.centers) / self.bandwidth
        kernel = jnp.exp(-0.5 * jnp.sum(gap**2, axis=1))
        return gap[jnp.arange(len(self.axis)), self.axis] * kernel / self.bandwidth

    def gram(self, points: Points, ridge: float) -> Float[Array, "m m"]:
        """B: mean products of gradients at the points, and `ridge` times the kernel's own."""
        slopes = jax.vmap(jax.jacfwd(self._one))(points)  # (n, m, d)
        flat = jnp.moveaxis(slopes, 1, 0).reshape(len(self.axis), -1)
        # K_ml = d h_m / dy_(i_l) at y_l is the derivative of h_m at the center of h_l.
        own = jax.vmap(jax.jacfwd(self._one))(self.centers)  # (l, m, d)
        kernel = own[jnp.arange(len(self.axis)), :, self.axis].T
        return flat @ flat.T / points.shape[0] + jnp.asarray(ridge, flat.dtype) * kernel


def _sampled(objective: AbstractObjective) -> SampleObjective:
    if isinstance(objective, SampleObjective):
        return objective
    msg = (
        "the kernelized Wasserstein metric measures samples, and"
        f" {type(objective).__name__} has none: use a `SampleObjective`, or 'wasserstein' for a"
        " density on a grid."
    )
    raise ValueError(msg)


def _jacobian(fn, flat: Float[Array, " p"]) -> Float[Array, "m p"]:
    """The Jacobian of a function, by columns or by rows, whichever are fewer."""
    rows = jax.eval_shape(fn, flat).shape[0]
    return jax.jacfwd(fn)(flat) if flat.size <= rows else jax.jacrev(fn)(flat)


def _inverse_root(matrix: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """R with R^T R the pseudo-inverse; eigenvalues at rounding level count as zero."""
    values, vectors = jnp.linalg.eigh(matrix)
    floor = len(values) * jnp.finfo(values.dtype).eps * values[-1]
    kept = values > floor
    roots = jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, values, 1)), 0)
    return roots[:, None] * vectors.T
