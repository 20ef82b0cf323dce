"""Scores of predictions: closed forms of a prior, and data that they refuse."""

import numpy as np
import pytest
from scipy import stats

from pinn_ngd.applications import gp

X = np.asarray([[-1.0], [0.0], [2.0]])
Y = np.asarray([0.5, -0.2, 1.0])


def test_scores_of_the_prior_are_those_of_normal_variables():
    """Before any step y ~ N(0, 1.3 + 0.2) at every point, and whole numbers are points too."""
    model = gp.GPModel(gp.SVGP(gp.RBF(1.0, 1.3), X), gp.GaussianNoise(0.2))
    found = gp.predictive_scores(X.astype(int), Y, X.astype(int), Y)(model)
    density = stats.norm(0, 1.5**0.5).logpdf(Y)
    np.testing.assert_allclose(found["test_nlpd"], -density.mean(), rtol=1e-7)
    np.testing.assert_allclose(found["test_rmse"], np.sqrt(np.mean(Y**2)), rtol=1e-12)
    expected = np.sum(stats.norm(0, 0.2**0.5).logpdf(Y) - 1.3 / 0.4)
    np.testing.assert_allclose(found["elbo"], expected, rtol=1e-7)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, Y[:, None], r"shape \(3, 1\); give one finite number for each input"),
        (X, np.asarray([0.0, np.nan, 1.0]), "give one finite number for each input"),
        (X[:, 0], Y, r"x\[:, None\] for one coordinate"),
        (X[:2], Y, "targets"),
    ],
)
def test_data_that_would_be_broadcast_are_refused(x, y, message):
    for arrays in ((x, y, X, Y), (X, Y, x, y)):
        with pytest.raises(ValueError, match=message):
            gp.predictive_scores(*arrays)


def test_labels_of_another_kind_are_refused():
    model = gp.GPModel(gp.SVGP(gp.RBF(), X), gp.Bernoulli())
    right, wrong = np.asarray([0, 1, 1]), np.asarray([-1, 1, 1])
    for targets in ((right, wrong), (wrong, right)):
        with pytest.raises(ValueError, match="number the two classes so"):
            gp.predictive_scores(X, targets[0], X, targets[1])(model)
