"""Error curves of linear algebra."""

import numpy as np
import pytest

from pinn_ngd.experiments.plotting import plot_errors, save


def test_curves_and_theory_are_drawn(tmp_path):
    x = np.array([0.0, 1.0, 10.0])
    curves = {"one": (x, [1.0, 0.1, 0.01]), "two": (x[1:], [0.5, 0.0])}
    figure = plot_errors(curves, xlabel="time", theory=(x[1:], [0.1, 0.01]))
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    assert set(lines) == {"one", "two", "theory"}
    np.testing.assert_allclose(lines["one"], [[1.0, 0.1], [10.0, 0.01]])
    np.testing.assert_allclose(lines["two"], [[1.0, 0.5]])
    assert len(save(figure, tmp_path / "errors")) == 2


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="`curves` is empty"):
        plot_errors({}, xlabel="time")
