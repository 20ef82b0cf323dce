"""Pictures of states and paths."""

import numpy as np
import pytest

from figures.update_spectra import _radial, update_spectra
from pinn_ngd import Box, Grid, load_problem
from pinn_ngd.experiments.plotting import (
    Curves,
    Landscape,
    plot_curves,
    plot_paths,
    plot_state,
    save,
)
from tests.pictures import is_drawn


@pytest.mark.parametrize(("dimension", "panels"), [(1, 1), (2, 3), (3, 3)])
def test_states_in_one_to_three_dimensions(dimension, panels, tmp_path):
    grid = Grid(Box((0.0,) * dimension, (1.0,) * dimension), (5,) * dimension)
    state = np.arange(5.0**dimension).reshape(grid.shape)
    figure = plot_state(grid, state, 1.1 * state)
    images = [ax for ax in figure.axes if ax.get_title() or dimension == 1]
    assert len(images) == panels
    if dimension == 3:
        assert images[0].get_ylabel() == "$z$"
        shown = images[0].images[0].get_array()
        np.testing.assert_allclose(shown, (state.sum(1) * 0.2).T)
    assert all(is_drawn(path) for path in save(figure, tmp_path / "state"))


def test_depth_points_down():
    grid = Grid(Box((0.0, 0.0), (2.0, 1.0)), (6, 5))
    figure = plot_state(grid, np.ones(grid.shape), np.zeros(grid.shape), depth=True)
    assert figure.axes[0].yaxis_inverted()
    assert figure.axes[2].yaxis_inverted()
    assert figure.axes[0].get_ylabel() == "depth"


def test_spectra_of_known_waves():
    """A wave of four periods has its power in the ring of four; shares are of the whole."""
    spacing, n = 0.1, 40
    x = np.arange(n) * spacing
    field = np.cos(2 * np.pi * 4 * x / (n * spacing))[:, None] * np.ones(n)
    waves, shares = _radial(field, spacing)
    assert waves[shares.argmax()] == pytest.approx(4 / (n * spacing))
    assert shares.max() == pytest.approx(1.0)
    panel = Curves({"one": (waves, shares + 1e-3), "two": (waves, shares + 1e-2)}, "k", "share")
    figure = plot_curves([panel, panel])
    assert [line.get_label() for line in figure.axes[1].lines] == ["one", "two"]
    assert len(figure.legends[0].get_texts()) == 2


@pytest.mark.slow
def test_update_spectra_of_a_small_inversion():
    """H1 sees the high frequencies of the data, and changes shorter waves than H-1."""
    problem = load_problem(
        "fwi-camembert", cells=21, shots=1, duration=0.4, absorbing=8, frequency=4.0
    )
    spectra = update_spectra(problem, 3, lambda _: None)
    centers = {label: (k * s).sum() / s.sum() for label, (k, s) in spectra.items()}
    assert list(centers)[-1] == "gradient descent"
    assert centers["$H^{-1}$"] < centers["$H^1$"]


def test_four_dimensions_have_no_picture():
    grid = Grid(Box((0.0,) * 4, (1.0,) * 4), (2,) * 4)
    with pytest.raises(ValueError, match="4 dimensions"):
        plot_state(grid, np.ones(grid.shape), np.ones(grid.shape))


def test_paths_are_drawn_for_every_label(tmp_path):
    x, y = np.linspace(0, 1, 4), np.linspace(0, 2, 5)
    path = np.array([[0.5, 0.5], [0.6, 0.9]])
    landscape = Landscape("title", x, y, np.add.outer(x, y), {"one": path, "two": path[::-1]})
    figure = plot_paths([landscape, landscape], ("$a$", "$b$"), minimum=(0.1, 0.1))
    assert [ax.get_title() for ax in figure.axes] == ["title", "title"]
    drawn = {line.get_label() for line in figure.axes[0].lines}
    assert {"one", "two"} <= drawn
    assert len(save(figure, tmp_path / "paths")) == 2
