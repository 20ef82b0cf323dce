"""How well a Gaussian process model predicts data that it has not seen."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...objectives import Shuffled
from .likelihoods import Bernoulli
from .model import GPModel
from .objective import EvidenceLowerBound, check_data


def predictive_scores(
    inputs: Any, targets: Any, test_inputs: Any, test_targets: Any
) -> Callable[[GPModel], dict[str, float]]:
    """A function model -> {"elbo", "test_nlpd", "test_rmse" or "test_accuracy"}, compiled once.

    The bound is that of all training data, whatever the batches of the training. The NLPD is the
    mean of -log p(y | data) over the test data, in nats; the accuracy is told for a Bernoulli
    likelihood, the root mean square of y - E[y] for others.

    Raises ValueError for data that are no arrays (n, d) and (n,) of finite numbers, and, when
    it is called, for targets to which the likelihood gives no density.
    """
    train, test = Shuffled(inputs, targets), Shuffled(test_inputs, test_targets)
    for data in (train, test):
        check_data(data.inputs, data.targets)
    whole, x, y = EvidenceLowerBound(train), test.inputs, test.targets
    batch = whole.batch()

    @eqx.filter_jit
    def numbers(model: GPModel, x: Array, y: Array, batch: Any) -> tuple[Array, Array, Array]:
        mean = model.predictive_mean(x)
        last = _accuracy(mean, y) if _classifies(model) else jnp.sqrt(jnp.mean((y - mean) ** 2))
        return -whole.loss(model, batch), -jnp.mean(model.log_predictive(x, y)), last

    def scores(model: GPModel) -> dict[str, float]:
        for data in (train, test):
            model.likelihood.check(np.asarray(data.targets))
        bound, nlpd, last = numbers(model, x, y, batch)
        name = "test_accuracy" if _classifies(model) else "test_rmse"
        return {"elbo": float(bound), "test_nlpd": float(nlpd), name: float(last)}

    return scores


def _classifies(model: GPModel) -> bool:
    return isinstance(model.likelihood, Bernoulli)


def _accuracy(probability: Float[Array, " n"], y: Array) -> Array:
    return jnp.mean(((probability > 0.5) == (y > 0.5)).astype(probability.dtype))
