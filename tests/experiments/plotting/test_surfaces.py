"""Pictures of solutions on surfaces, and along curves."""

import jax.numpy as jnp
import numpy as np

from pinn_ngd import Interval, SpaceTime, annulus, disk
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.surfaces import along_curve, is_curve, is_surface
from pinn_ngd.geometry import Patches, ball, curve, sphere


def height(x):
    return x[2]


def test_a_surface_is_seen_whole_and_from_both_sides():
    figure = plotting.plot_solution(height, lambda x: x[2] - 1e-3 * x[0], sphere())
    views = [ax for ax in figure.axes if ax.name == "3d"]
    assert len(views) == 6  # of u, the exact solution and the error
    assert {(ax.azim - views[0].azim) % 360 for ax in views} == {0, 180}
    for ax in views[:2]:
        (colored,) = ax.collections
        corners = np.asarray(colored._faces)
        np.testing.assert_allclose(np.linalg.norm(corners, axis=2), 1.0, rtol=1e-12)
        np.testing.assert_allclose(corners[:, :, 2].mean(axis=1), colored.get_array(), atol=1e-12)
        sides = np.diff(corners, axis=1)
        area = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1).sum() / 2
        np.testing.assert_allclose(area, 4 * np.pi, rtol=2e-3)
    assert views[4].collections[0].get_clim() == views[5].collections[0].get_clim()
    bars = [ax.get_ylabel() for ax in figure.axes if ax.name != "3d"]
    assert bars == ["network $u$", "exact $u^\\ast$", "error $u - u^\\ast$\n$(\\times 10^{-4})$"]


def test_a_circle_of_patches_is_one_line():
    points, lengths = along_curve(sphere((0.0, 0.0), 2.0))
    assert np.isfinite(points).all()  # no gap: the patches follow one another
    np.testing.assert_allclose(lengths[-1], 4 * np.pi, rtol=1e-5)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(np.diff(lengths), steps, atol=1e-9)


def test_two_circles_have_a_gap_between_them():
    points, lengths = along_curve(annulus(inner=0.5, outer=1.0).boundary())
    assert np.isnan(points).all(axis=1).sum() == 1
    np.testing.assert_allclose(lengths[-1], 3 * np.pi, rtol=1e-5)
    assert np.isfinite(lengths).all()


def test_lines_that_share_a_start_are_turned():
    there, back = (curve(lambda t, s=s: s * t, 0.0, 1.0).patches[0] for s in (1.0, -1.0))
    points, lengths = along_curve(Patches([there, back]))
    assert np.isfinite(points).all()
    np.testing.assert_allclose(np.diff(points[:, 0]), -np.diff(lengths), atol=1e-12)


def test_on_a_curve_values_are_drawn_over_its_length():
    helix = curve(lambda t: jnp.stack([jnp.cos(t[0]), jnp.sin(t[0]), t[0]]), 0.0, 3.0)
    figure = plotting.plot_solution(height, height, helix)
    (line,) = [one for one in figure.axes[0].lines if one.get_label() == "network $u$"]
    np.testing.assert_allclose(line.get_xdata() / 2**0.5, line.get_ydata(), atol=1e-4)
    assert figure.axes[0].get_xlabel() == "arc length"


def test_what_is_a_surface_and_what_a_curve():
    domains = (sphere(), sphere((0.0, 0.0)), ball(), disk(), Interval(0.0, 1.0))
    assert [is_surface(domain) for domain in domains] == [True, False, False, False, False]
    assert [is_curve(domain) for domain in domains] == [False, True, False, False, False]
    cylinder = SpaceTime(Interval(0.0, 1.0), disk())
    assert not is_surface(cylinder)
