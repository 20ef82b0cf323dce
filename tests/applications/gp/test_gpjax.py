"""One natural-gradient step beside that of GPJax, for `pytest --extras`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.applications import gp

from .helpers import LIKELIHOODS, X, natural, objective_of, some_q, stepped, with_q

INDUCING = np.linspace(-2, 2, 4)[:, None]
GAMMA = 0.4


class Squashed(gp.AbstractLikelihood):
    """P(y = 1 | f) = (1 - 2e-3) Phi(f) + 1e-3, the inverse link of GPJax."""

    nodes: int = 20

    def log_density(self, f, y):
        one = (1 - 2e-3) * jax.scipy.stats.norm.cdf(f[0]) + 1e-3
        return y * jnp.log(one) + (1 - y) * jnp.log1p(-one)

    def conditional_mean(self, f):
        return f[0]


OURS = {"poisson": gp.Poisson(), "student-t": gp.StudentT(0.4, 3.0), "probit": Squashed(),
        "gaussian": gp.GaussianNoise(0.2)}  # fmt: skip


def _theirs(gpjax, name):
    kinds = gpjax.likelihoods
    return {
        "poisson": lambda: kinds.Poisson(),
        "probit": lambda: kinds.Bernoulli(),
        "student-t": lambda: kinds.StudentT(jnp.asarray(3.0), jnp.asarray(0.4)),
        "gaussian": lambda: kinds.Gaussian(obs_stddev=jnp.sqrt(jnp.asarray(0.2))),
    }[name]()


@pytest.mark.parametrize("whitened", [True, False])
@pytest.mark.parametrize("name", OURS)
@pytest.mark.filterwarnings("ignore")
def test_a_step_and_its_loss_are_those_of_gpjax(name, whitened):
    gpjax = pytest.importorskip("gpjax")
    natgrads = pytest.importorskip("gpjax.natural_gradients")
    y, q = LIKELIHOODS[name][1], some_q(2, 4)
    families = gpjax.variational_families
    family = families.WhitenedVariationalGaussian if whitened else families.VariationalGaussian
    with jax.numpy_dtype_promotion("standard"):
        kernel = gpjax.kernels.Matern32(lengthscale=0.8, variance=1.3)
        prior = gpjax.gps.Prior(
            mean_function=gpjax.mean_functions.Zero(), kernel=kernel, jitter=0.0
        )
        theirs = family(
            prior * _theirs(gpjax, name), jnp.asarray(INDUCING), q.mean[:, None], q.factor
        )
        data = gpjax.Dataset(X=jnp.asarray(X), y=jnp.asarray(y)[:, None])
        moved, loss = natgrads.natural_gradient_step(
            *natgrads.partition_variational(theirs), data,
            lambda family, data: -gpjax.objectives.elbo(family, data), jnp.asarray(GAMMA),
        )  # fmt: skip
    process = gp.SVGP(gp.Matern32(0.8, 1.3), INDUCING, whitened=whitened, jitter=0.0)
    model, objective = gp.GPModel(with_q(process, q), OURS[name]), objective_of(y)
    # Without jitter, which GPJax also adds to the variance of each prediction.
    np.testing.assert_allclose(objective.loss(model, objective.batch()), loss, rtol=1e-11)
    found = stepped(model, objective, natural(GAMMA))[0].processes[0].q
    read = gpjax.parameters.val
    mean, root = read(moved.variational_mean), read(moved.variational_root_covariance)
    np.testing.assert_allclose(found.mean, mean[:, 0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.factor, root, rtol=1e-10, atol=1e-10)
