"""A small set of data for every likelihood, and natural-gradient steps without anything else."""

import equinox as eqx
import jax
import numpy as np
import optax

from pinn_ngd import Shuffled
from pinn_ngd.applications import gp
from pinn_ngd.metrics.normal import Natural
from pinn_ngd.models import MultivariateNormal
from pinn_ngd.optimizers import VariationalNaturalGradient

RNG = np.random.default_rng(1)
N = 9
X = np.sort(RNG.uniform(-2, 2, size=(N, 1)), axis=0)
F = np.sin(2 * X[:, 0])
LIKELIHOODS = {
    "gaussian": (gp.GaussianNoise(0.2), F + 0.4 * RNG.normal(size=N)),
    "logit": (gp.Bernoulli(), (F > 0.2).astype(float)),
    "probit": (gp.Bernoulli("probit"), (F > -0.3).astype(float)),
    "poisson": (gp.Poisson(), RNG.poisson(np.exp(F)).astype(float)),
    "student-t": (gp.StudentT(0.4, 3.0), F + 0.4 * RNG.standard_t(3, size=N)),
    "heteroskedastic": (gp.HeteroskedasticGaussian(), F + np.exp(F - 1) * RNG.normal(size=N)),
}  # fmt: skip


def some_q(seed, size=N):
    """A distribution with nothing special about it."""
    rng = np.random.default_rng(seed)
    root = np.tril(0.1 * rng.normal(size=(size, size)), -1) + np.diag(rng.uniform(0.4, 0.9, size))
    return MultivariateNormal(0.3 * rng.normal(size=size), root)


def with_q(process, q):
    return eqx.tree_at(lambda p: p.q, process, q)


def natural(gamma=1.0, coordinates=Natural(), **settings):  # noqa: B008  (immutable)
    """Natural gradients alone: kernels and likelihoods stay as they are."""
    settings = {"other_steps": 0, **settings}
    return VariationalNaturalGradient(optax.adam(1e-2), gamma, coordinates, **settings)


def objective_of(targets, size=None, inputs=X):
    return gp.EvidenceLowerBound(Shuffled(inputs, targets, size))


@eqx.filter_jit
def bound_of(model, objective):
    """The evidence lower bound of all data."""
    return -objective.loss(model, objective.batch())


@eqx.filter_jit
def asked(exact, inputs):
    """Of exact regression: the evidence, means and variances elsewhere, the posterior at the
    data."""
    return exact.log_evidence(), exact.marginals(inputs), exact.posterior()


@eqx.filter_jit
def best_of(sparse):
    """The best bound of sparse regression, and the q that has it."""
    return sparse.bound(), sparse.whitened()


def stepped(model, objective, optimizer=None):
    """The model after one step of natural gradients, and what is told of it."""
    optimizer = natural() if optimizer is None else optimizer
    batch = objective.batch()

    @eqx.filter_jit
    def one(model, batch):
        state = optimizer.init(model, objective, batch)
        return optimizer.step(model, state, objective, batch, key=jax.random.key(0))

    new, _, info = one(model, batch)
    return new, info
