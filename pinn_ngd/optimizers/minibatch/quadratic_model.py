"""Step length and momentum from the quadratic model of the loss, in two directions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PyTree

from ... import _tree


class QuadraticModel(eqx.Module):
    """M(u) = g.u + 1/2 |A u|^2 + damping/2 |u|^2, on u = -c_0 d + c_1 p.

    d is a direction of descent and p the previous update. `image` is (A V)^T A V and `gram` V^T V,
    V = (-d, p), both 2 x 2; `slope` is V^T g. They take two products with A.
    """

    image: Float[Array, "2 2"]
    gram: Float[Array, "2 2"]
    slope: Float[Array, "2"]
    damping: Float[Array, ""]

    def minimizer(self, *, momentum: bool) -> Float[Array, "2"]:
        """The coefficients c with the least M; c_1 = 0 without momentum.

        They are one step of conjugate gradients, preconditioned by whatever made d of g (Martens
        and Grosse 2015, section 7).
        """
        mask = jnp.asarray([1.0, float(momentum)], self.slope.dtype)
        matrix = (self.image + self.damping * self.gram) * mask[:, None] * mask[None, :]
        size = jnp.sqrt(jnp.diagonal(matrix))
        size = jnp.where(size > 0, size, 1)
        scaled = matrix / (size[:, None] * size[None, :])
        # Before the first step p is zero; later it may be parallel to d.
        return -(jnp.linalg.pinv(scaled, hermitian=True) @ (mask * self.slope / size)) / size

    def half_curvature(self, c: Float[Array, "2"]) -> Float[Array, ""]:
        """1/2 |A u|^2."""
        return 0.5 * c @ self.image @ c

    def reduction(self, c: Float[Array, "2"]) -> Float[Array, ""]:
        """-M(u)."""
        return -(self.slope @ c + self.half_curvature(c) + 0.5 * self.damping * c @ self.gram @ c)


def quadratic_model(
    operator: lx.AbstractLinearOperator,
    gradient: PyTree,
    direction: PyTree,
    previous: PyTree,
    damping: Float[Array, ""],
) -> QuadraticModel:
    """The model on the plane of a direction and the previous update."""
    vectors = _tree.scale(-1.0, direction), previous
    images = [operator.mv(v) for v in vectors]
    return QuadraticModel(_products(images), _products(vectors), _dots(gradient, vectors), damping)


def combined(c: Float[Array, "2"], direction: PyTree, previous: PyTree) -> PyTree:
    """u = -c_0 d + c_1 p."""
    return jax.tree.map(lambda d, p: c[1] * p - c[0] * d, direction, previous)


def _products(vectors: list[PyTree] | tuple[PyTree, ...]) -> Float[Array, "2 2"]:
    return jnp.stack([_dots(v, vectors) for v in vectors])


def _dots(vector: PyTree, others: list[PyTree] | tuple[PyTree, ...]) -> Float[Array, "2"]:
    return jnp.stack([_tree.dot(vector, other) for other in others])
