"""A multivariate normal distribution whose mean and covariance are parameters of a model."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class MultivariateNormal(eqx.Module):
    """N(mean, root root^T), root lower triangular: an approximate posterior, for example.

    `mean` (m,) and the lower triangle of `root` (m, m) are parameters that any optimizer trains;
    what stands above the diagonal is not looked at. `ngd-gp` trains every distribution of this kind
    in a model by its natural gradient.

    Raises ValueError for shapes that do not belong together.
    """

    mean: Float[Array, " m"]
    root: Float[Array, "m m"]

    def __init__(self, mean: Any, root: Any):
        mean, root = jnp.asarray(mean), jnp.asarray(root)
        if mean.ndim != 1 or root.shape != (mean.size, mean.size):
            raise ValueError(
                f"`mean` has the shape {mean.shape} and `root` {root.shape}: give (m,) and (m, m)."
            )
        self.mean, self.root = mean, root

    @property
    def factor(self) -> Float[Array, "m m"]:
        """The lower triangle of `root`."""
        return jnp.tril(self.root)

    @property
    def covariance(self) -> Float[Array, "m m"]:
        """root root^T."""
        return self.factor @ self.factor.T
