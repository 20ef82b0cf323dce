"""Pictures of bodies by their central planes, and of planes in time by snapshots."""

import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, Interval, SpaceTime, disk
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.slices import has_slices
from pinn_ngd.geometry import ball

BRICK = Box((0.0, 0.0, 0.0), (1.0, 1.0, 2.0))


def coordinates(x):
    return x[0] + 10 * x[1] + 100 * x[2]


def wrong(x):
    return coordinates(x) + jnp.asarray(1e-6, x.dtype) * x[2]


def panels(figure):
    return [ax for ax in figure.axes if ax.images or (ax.collections and ax.lines)]


def drawn(ax):
    """Values of a panel, NaN where it is white, with the first coordinate along the rows."""
    return np.ma.filled(ax.images[0].get_array(), np.nan).T


def test_a_body_is_cut_by_three_planes_through_its_middle():
    figure = plotting.plot_solution(coordinates, None, BRICK)
    axes = panels(figure)
    titles = ["$x_{3}$ = 1", "$x_{2}$ = 0.5", "$x_{1}$ = 0.5"]
    assert [ax.get_title() for ax in axes] == titles
    labels = [("$x_{1}$", "$x_{2}$"), ("$x_{1}$", "$x_{3}$"), ("$x_{2}$", "$x_{3}$")]
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes] == labels
    line, tall = np.linspace(0, 1, 161), np.linspace(0, 2, 161)
    np.testing.assert_allclose(drawn(axes[0]), 100 + line[:, None] + 10 * line)
    np.testing.assert_allclose(drawn(axes[1]), 5 + line[:, None] + 100 * tall)
    np.testing.assert_allclose(drawn(axes[2]), 0.5 + 10 * line[:, None] + 100 * tall)
    assert axes[1].images[0].get_extent() == [0, 1, 0, 2]
    assert [ax.get_box_aspect() for ax in axes] == [1, 2, 2]  # to scale
    np.testing.assert_allclose([ax.images[0].get_clim() for ax in axes], [(0.5, 210.5)] * 3)


def test_every_row_of_slices_has_one_scale_of_colors():
    figure = plotting.plot_solution(wrong, coordinates, BRICK, estimated_error=lambda x: x[2])
    axes = panels(figure)
    limits = [ax.images[0].get_clim() for ax in axes]
    assert [len(set(limits[i : i + 3])) for i in (0, 3, 6, 9)] == [1] * 4
    assert limits[0] == limits[3] != limits[6]
    np.testing.assert_allclose(limits[6], (-2, 2), rtol=1e-6)  # in units of 1e-6
    np.testing.assert_allclose(drawn(axes[7])[0], np.linspace(0, 2, 161), atol=1e-6)
    bars = [ax.get_ylabel() for ax in figure.axes if ax not in axes]
    assert bars == [
        "network $u$",
        "exact $u^\\ast$",
        "error $u - u^\\ast$\n$(\\times 10^{-6})$",
        "estimated error",
    ]
    assert [bool(ax.get_title()) for ax in axes] == [True] * 3 + [False] * 9


@pytest.mark.slow
def test_what_is_outside_of_a_ball_is_white():
    figure = plotting.plot_solution(lambda x: x @ x, None, ball())
    for ax in panels(figure):
        values = drawn(ax)
        line = np.linspace(-1, 1, 161)
        squares = line[:, None] ** 2 + line**2
        np.testing.assert_allclose(values[squares < 0.99], squares[squares < 0.99], atol=1e-12)
        assert np.isnan(values[squares > 1.01]).all()


def test_a_plane_in_time_is_a_strip_of_snapshots():
    domain = SpaceTime(Interval(0.0, 3.0), Box((0.0, 0.0), (2.0, 1.0)))
    axes = panels(plotting.plot_solution(wrong, coordinates, domain))
    assert len(axes) == 3 * 4
    assert [ax.get_title() for ax in axes[:4]] == [f"$t$ = {t}" for t in range(4)]
    x, y = np.linspace(0, 2, 161), np.linspace(0, 1, 161)
    for t, ax in enumerate(axes[4:8]):  # the exact solution
        np.testing.assert_allclose(drawn(ax), t + 10 * x[:, None] + 100 * y)
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes[8:10]] == [
        ("$x$", "$y$"),
        ("$x$", ""),
    ]
    assert axes[0].get_box_aspect() == 0.5


def test_snapshots_of_a_disk_are_drawn_to_its_edge():
    axes = panels(plotting.plot_solution(lambda x: x[0], None, SpaceTime(Interval(1, 4), disk())))
    assert len(axes) == 4
    for t, ax in enumerate(axes):
        np.testing.assert_allclose(ax.collections[0].get_array(), 1.0 + t)
        edge = np.concatenate([line.get_xydata() for line in ax.lines])
        np.testing.assert_allclose(np.linalg.norm(edge, axis=1), 1.0)


def test_snapshots_of_a_body_show_its_central_plane():
    domain = SpaceTime(Interval(0.0, 3.0), BRICK)
    figure = plotting.plot_solution(lambda x: x[0] + 10 * x[3], None, domain)
    assert figure.get_suptitle() == "$x_{3}$ = 1"
    for t, ax in enumerate(panels(figure)):
        np.testing.assert_allclose(drawn(ax), t + 10.0)


def test_several_components_have_their_solution_and_their_error():
    def pair(u):
        return lambda x: jnp.stack([u(x), 2 * u(x)])

    figure = plotting.plot_solution(pair(wrong), pair(coordinates), BRICK, components=("v", "p"))
    axes = panels(figure)
    bars = [ax.get_ylabel().split("\n")[0] for ax in figure.axes if ax not in axes]
    assert bars == ["network $v$", "error $v - v^\\ast$", "network $p$", "error $p - p^\\ast$"]
    np.testing.assert_allclose(drawn(axes[6]), 2 * drawn(axes[0]))
    estimated = plotting.plot_solution(pair(wrong), None, BRICK, estimated_error=pair(wrong))
    bars = [ax.get_ylabel() for ax in estimated.axes if not ax.images]
    assert [bar.split(" ")[0] for bar in bars if bar] == ["network", "estimated"] * 2


def test_which_domains_have_slices():
    time = Interval(0.0, 1.0)
    sliced = [BRICK, ball(), SpaceTime(time, disk()), SpaceTime(time, BRICK)]
    others = [time, disk(), SpaceTime(time, time), Box((0.0,) * 4, (1.0,) * 4)]
    assert [has_slices(domain) for domain in sliced + others] == [True] * 4 + [False] * 4
