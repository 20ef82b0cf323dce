"""A model of observations: latent functions and a likelihood."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real, Scalar

from .likelihoods import AbstractLikelihood
from .processes import AbstractProcess


class GPModel(eqx.Module):
    """y ~ p(y | f_1(x), ..., f_p(x)), each f_j a variational process.

        model = GPModel(SVGP(RBF(0.5), inducing), GaussianNoise(0.1))

    The model is a function of a point: the predictive mean E[y] there. Parameters of kernels, of
    the likelihood, inducing inputs and the distributions q are its leaves; any optimizer trains
    them, and `ngd-gp` trains q by its natural gradient.

    Raises ValueError where the likelihood has another number of latent functions.
    """

    processes: tuple[AbstractProcess, ...]
    likelihood: AbstractLikelihood

    def __init__(
        self,
        processes: AbstractProcess | Sequence[AbstractProcess],
        likelihood: AbstractLikelihood,
    ):
        single = isinstance(processes, AbstractProcess)
        self.processes = (processes,) if single else tuple(processes)
        self.likelihood = likelihood
        if len(self.processes) != likelihood.latents:
            raise ValueError(
                f"{type(likelihood).__name__} has {likelihood.latents} latent functions, and "
                f"`processes` are {len(self.processes)}: give one for each."
            )

    def __call__(self, x: Float[Array, " d"]) -> Scalar:
        return self.predictive_mean(x[None])[0]

    def latent(self, inputs: Real[Array, "n d"]) -> tuple[Array, Array]:
        """Means and variances (n, p) of the latent functions at the inputs."""
        return _stacked([process.marginals(inputs) for process in self.processes])

    def predictive_mean(self, inputs: Real[Array, "n d"]) -> Float[Array, " n"]:
        """E[y] at each input: of a Bernoulli likelihood the probability of a one."""
        return jax.vmap(self.likelihood.predictive_mean)(*self.latent(inputs))

    def log_predictive(self, inputs: Real[Array, "n d"], targets: Array) -> Float[Array, " n"]:
        """The logarithms of the predictive densities of targets (n,); their mean is minus the
        NLPD."""
        return jax.vmap(self.likelihood.log_predictive)(*self.latent(inputs), targets)

    def expected_log_densities(
        self, inputs: Real[Array, "n d"], targets: Array
    ) -> Float[Array, " n"]:
        """E_q[log p(y_i | f(x_i))] of training data."""
        found = _stacked([process.at_data(inputs) for process in self.processes])
        return jax.vmap(self.likelihood.expected_log_density)(*found, targets)

    def divergence(self) -> Scalar:
        """The divergences of all q from their priors, added."""
        return jnp.sum(jnp.stack([process.divergence() for process in self.processes]))


def _stacked(marginals: list[Any]) -> tuple[Array, Array]:
    means, variances = zip(*marginals, strict=True)
    return jnp.stack(means, axis=1), jnp.stack(variances, axis=1)
