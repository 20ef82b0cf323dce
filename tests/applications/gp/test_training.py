"""The loop, checkpoints and other optimizers with Gaussian process models, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinn_ngd
from pinn_ngd import Generated, optimizers
from pinn_ngd.applications import gp
from pinn_ngd.models import MLP
from pinn_ngd.optimizers import ramp

from .helpers import LIKELIHOODS, X, natural, objective_of

TARGETS = LIKELIHOODS["logit"][1]
INDUCING = np.linspace(-2, 2, 4)[:, None]


def _model():
    return gp.GPModel(gp.SVGP(gp.RBF(0.7), INDUCING), gp.Bernoulli())


def _leaves(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model) if hasattr(leaf, "dtype")]


@pytest.mark.slow
def test_a_run_trains_everything_and_resumes_to_the_last_bit(tmp_path):
    """Minibatches, natural gradients and Adam: cut after ten of twenty steps and gone on with."""
    objective, key = objective_of(TARGETS, 5), jax.random.key(4)
    optimizer = optimizers.get("ngd-gp", gamma=0.5, ramp=3, rate=0.05)
    whole = pinn_ngd.train(objective, _model(), optimizer, steps=20, key=key)
    for steps, resume in ((10, False), (20, True)):
        cut = pinn_ngd.train(
            objective, _model(), optimizer, steps=steps, key=key, checkpoint=tmp_path / "run",
            resume=resume,
        )  # fmt: skip
    for a, b in zip(_leaves(whole.model), _leaves(cut.model), strict=True):
        np.testing.assert_array_equal(a, b)
    start, end = _model(), whole.model.processes[0]
    assert end.kernel.lengthscale.value != start.processes[0].kernel.lengthscale.value
    assert not np.allclose(end.points(), INDUCING)
    all_data = objective_of(TARGETS)
    loss = [float(all_data.loss(m, all_data.batch())) for m in (start, whole.model)]
    assert loss[1] < loss[0]


@pytest.mark.slow
def test_adam_alone_needs_more_steps():
    """The bound after thirty steps: with natural gradients of q, and with Adam for all."""
    objective, key = objective_of(TARGETS), jax.random.key(0)
    settings = dict(gamma=1.0, ramp=0, rate=0.01)
    losses = [
        pinn_ngd.train(objective, _model(), optimizer, steps=30, key=key).loss
        for optimizer in (optimizers.get("ngd-gp", **settings), optimizers.get("adam", rate=0.01))
    ]
    assert losses[0] < losses[1] - 0.1


def test_a_ramp_grows_evenly_in_its_logarithm():
    gamma = ramp(1e-4, 1e-1, 3)
    found = [float(gamma(jnp.asarray(n))) for n in range(6)]
    np.testing.assert_allclose(found, [1e-4, 1e-3, 1e-2, 1e-1, 1e-1, 1e-1], rtol=1e-12)


def _nothing(key):
    return key


DOUBLED = np.concatenate([INDUCING, INDUCING])


def _refusals():
    """What is made or asked, and what is said of it."""
    whole, few = objective_of(TARGETS), objective_of(TARGETS, 4)
    full = gp.GPModel(gp.VGP(gp.RBF(), X), gp.Bernoulli())

    def rank_one(x, y):
        return x @ y

    def deficient(kernel, points):
        model = gp.GPModel(gp.SVGP(kernel, points, jitter=0.0), gp.Bernoulli())
        return whole.check(model, whole.batch())

    def wide():
        objective = objective_of(np.stack([TARGETS, TARGETS], axis=1))
        return objective.check(_model(), objective.batch())

    def flat():
        objective = objective_of(TARGETS, inputs=X[:, 0])
        return objective.check(_model(), objective.batch())

    def labels():
        objective = objective_of(2 * TARGETS - 1)
        return objective.check(_model(), objective.batch())

    def later():
        """The last input is none, and the batch that is looked at does not hold it."""
        inputs = np.where(np.arange(len(X)) < 8, X[:, 0], np.nan)[:, None]
        objective = objective_of(TARGETS, 3, inputs)
        first = few.draw(jax.random.key(0), 0)
        return objective.check(_model(), first)

    def plane():
        objective = objective_of(TARGETS, inputs=np.zeros((len(X), 2)))
        return objective.check(_model(), objective.batch())

    net = MLP((1, 3, 1), key=jax.random.key(0))
    return {
        "gamma": (lambda: optimizers.get("ngd-gp", gamma=1.5),
                  "beyond 1 a natural-gradient step can leave the positive definite covariances "
                  "even where the likelihood is log-concave; give at most 1"),
        "gamma of a function": (lambda: natural(lambda n: 0.1 + n).check(_model(), whole),
                                "give at most 1"),
        "gamma zero": (lambda: natural(0.0).check(_model(), whole), "is positive"),
        "network": (lambda: natural().check(net, whole), "this model holds none"),
        "points": (lambda: deficient(gp.RBF(), DOUBLED), "two points coincide"),
        "rank": (lambda: deficient(rank_one, INDUCING), "has a rank below their number"),
        "batches": (lambda: few.check(full, few.batch()), "needs just these in each step"),
        "model": (lambda: whole.check(net, whole.batch()), "needs a `applications.gp.GPModel`"),
        "targets": (wide, r"shape \(9, 2\); give one finite number for each input"),
        "inputs": (flat, r"x\[:, None\] for one coordinate"),
        "labels": (labels, "must be 0 or 1"),
        "examples": (lambda: gp.EvidenceLowerBound(Generated(_nothing)), "give their num"),
        "wrong examples": (lambda: gp.EvidenceLowerBound(whole.batches, examples=10_000),
                           "`examples` is 10000, but the batches come from 9 data: leave it out"),
        "inputs of later batches": (later, "give finite points"),
        "coordinates": (plane, "`inputs` have 2 coordinates and the points of a process 1"),
        "latents": (lambda: gp.GPModel(gp.SVGP(gp.RBF(), INDUCING), gp.HeteroskedasticGaussian()),
                    "has 2 latent functions, and `processes` are 1"),
        "inducing": (lambda: gp.SVGP(gp.RBF(), INDUCING[:, 0]), r"give points \(n, d\)"),
        "system": (lambda: whole.system(full, whole.batch()), "choose the optimizer 'ngd-gp'"),
    }  # fmt: skip


@pytest.mark.parametrize("name", _refusals())
def test_what_cannot_be_is_refused_in_one_sentence(name):
    attempt, message = _refusals()[name]
    with pytest.raises(ValueError, match=message) as found:
        attempt()
    assert "\n" not in str(found.value)


@pytest.mark.slow
def test_inducing_inputs_may_stay_where_they_are():
    model = gp.GPModel(gp.SVGP(gp.RBF(), INDUCING, train_inducing=False), gp.Bernoulli())
    result = pinn_ngd.train(objective_of(TARGETS), model, "ngd-gp", steps=3, key=0)
    np.testing.assert_array_equal(result.model.processes[0].points(), INDUCING)
