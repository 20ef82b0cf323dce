"""Accuracy, likelihood and calibration against numbers counted by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.evaluation.scores import calibration_error, classifier_scores, logits_of

LOGITS = jnp.log(jnp.asarray([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.55, 0.45]]))
LABELS = jnp.asarray([0, 1, 1, 0])


def test_scores_of_four_examples():
    scores = classifier_scores(LOGITS, LABELS)(lambda x: x)
    assert scores["test_accuracy"] == 0.75
    assert scores["test_error"] == 0.25
    assert scores["test_nll"] == pytest.approx(-np.mean(np.log([0.9, 0.4, 0.8, 0.55])))
    # 15 bins: 0.55 and 0.6 share (8/15, 9/15], of which one is right
    assert scores["test_ece"] == pytest.approx((0.1 + abs(1 - 1.15) + 0.2) / 4)


def test_a_calibrated_coin_has_no_calibration_error():
    logits = jnp.log(jnp.tile(jnp.asarray([[0.7, 0.3]]), (10, 1)))
    labels = jnp.asarray([0] * 7 + [1] * 3)
    assert float(calibration_error(logits, labels)) == pytest.approx(0.0, abs=1e-12)
    assert logits_of(lambda x: 2 * x, logits).shape == (10, 2)


def test_labels_must_fit():
    with pytest.raises(ValueError, match="run from 0 to 1, but the model has 1 outputs"):
        classifier_scores(LOGITS, LABELS)(lambda x: x[:1])
    with pytest.raises(ValueError, match="`labels` are 3; give as many"):
        classifier_scores(LOGITS, LABELS[:3])
    with pytest.raises(ValueError, match="`labels` are 0"):
        classifier_scores(LOGITS[:0], LABELS[:0])
