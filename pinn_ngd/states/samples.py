"""Functionals of samples: f(x_1, ..., x_N), x_i = sampler(model, z_i), for implicit densities."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Scalar

from ..linalg import LeastSquaresSystem
from ..objectives.base import AbstractObjective, Evaluation, with_gradient


class SampleObjective(AbstractObjective):
    """A scalar of the samples that a model makes of noise, such as a distance to data.

    `sampler(model, z)` maps noise of one sample (k,) to a sample (d,); `noise` is an array (N, k),
    or a function of a key that draws one for every step; `functional` maps samples (N, d) to a
    scalar. The density need not be known: `metrics.KernelWasserstein` measures it by its samples.
    """

    has_energy_metric: ClassVar[bool] = False
    sampler: Callable[[PyTree, Float[Array, " k"]], Float[Array, " d"]]
    noise: Float[Array, "n k"] | Callable[[PRNGKeyArray], Float[Array, "n k"]]
    functional: Callable[[Float[Array, "n d"]], Scalar]

    @property
    def resampled(self) -> bool:
        return callable(self.noise)

    def batch(self, key: Any = None) -> Float[Array, "n k"]:
        if not callable(self.noise):
            return self.noise
        return self.noise(jax.random.key(0) if key is None else key)

    def samples(self, model: PyTree, batch: PyTree) -> Float[Array, "n d"]:
        """The samples that a model makes of a batch of noise."""
        return jax.vmap(lambda z: self.sampler(model, z))(batch)

    def evaluate(self, model: PyTree, batch: PyTree) -> Evaluation:
        return with_gradient(lambda m: self.functional(self.samples(m, batch)), model)

    def system(
        self, model: PyTree, batch: PyTree, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        del model, batch, matrix_free
        msg = (
            "a functional of samples has no energy metric of its own: choose"
            " metric='wasserstein-kernel', or 'euclidean' for gradient descent."
        )
        raise ValueError(msg)
