"""SciPy's Levenberg-Marquardt as a baseline."""

import pytest

from pinn_ngd import optimizers
from tests.optimizers.helpers import network, poisson_1d, run


def test_scipy_lm_lowers_the_loss_and_explains_too_few_rows():
    objective = poisson_1d(24)
    start = float(objective.loss(network(), objective.batch()))
    _, info = run(optimizers.get("scipy-lm", evaluations=20), network(), objective, 1)
    assert float(info.loss) < 1e-2 * start
    with pytest.raises(ValueError, match="at least as many rows"):
        run(optimizers.get("scipy-lm"), network(40), poisson_1d(4), 1)
