"""A classification problem from a data set and a model: one call for a problem file."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ..evaluation.scores import learning_scores, logits_of
from ..experiments.problem import Problem
from ..objectives import ClassificationObjective, Shuffled
from .data import Split
from .pictures import plot_confusion


def classification_problem(
    name: str,
    description: str,
    split: Split,
    model: Callable[[PRNGKeyArray, Any], Any],
    *,
    batch_size: int = 64,
    curvature: str = "ggn",
    dtype: Any = np.float32,
    optimizer: str = "tngd",
    optimizer_settings: Mapping[str, Any] | None = None,
    steps: int = 620,
    settings: Mapping[str, Any] | None = None,
) -> Problem:
    """Softmax classification of `split` by `model(key, dtype)`, measured on its test part.

    Shuffled epochs of batches; accuracy, likelihood and calibration of the test examples and of as
    many training ones; runs are compared by their test error. The picture is the confusion matrix
    with the most confident mistakes. Data and model have one `dtype`, single precision by default:
    minibatches are noisier than its rounding. Raises ValueError where labels do not fit the model.
    """
    inputs, test_inputs = (np.asarray(x, dtype) for x in (split.inputs, split.test_inputs))
    labels, test_labels = (np.asarray(y, np.int32) for y in (split.labels, split.test_labels))
    objective = ClassificationObjective(Shuffled(inputs, labels, batch_size), curvature=curvature)
    shape = eqx.filter_eval_shape(model, jax.random.key(0), dtype)
    objective.check(shape, objective.batch())
    scores = learning_scores(inputs, labels, test_inputs, test_labels)
    return Problem(
        name=name,
        description=description,
        objective=objective,
        model=lambda key: model(key, dtype),
        optimizer=optimizer,
        optimizer_settings=dict(optimizer_settings or {}),
        seconds=600.0,
        steps=steps,
        settings=dict(settings or {}),
        picture=lambda m: plot_confusion(
            np.asarray(logits_of(m, test_inputs)), test_labels, test_inputs
        ),
        scores=scores,
        compared="test_error",
    )
