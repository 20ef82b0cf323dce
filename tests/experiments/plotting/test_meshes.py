"""Solutions on meshes are drawn to the edge: triangles fill the domain, lines are its boundary."""

import numpy as np
import pytest

from pinn_ngd import Mesh, Shape
from pinn_ngd.experiments.plotting.curved import is_box, is_plane, outline, outside, triangles
from tests.geometry.meshes.helpers import cube


@pytest.mark.parametrize("simplices", [True, False])
def test_triangles_fill_a_mesh_and_lines_surround_it(simplices):
    mesh = Mesh(*cube(2, 4, simplices=simplices, shift=0.2))
    assert is_plane(mesh)
    points, cells = triangles(mesh)
    edges = np.diff(points[cells], axis=1)
    areas = np.abs(np.linalg.det(edges)) / 2
    assert areas.sum() == pytest.approx(1.0, rel=1e-12)
    assert 3000 < len(cells) < 20_000
    lines = np.concatenate(outline(mesh))
    lengths = np.linalg.norm(np.diff(lines, axis=0), axis=1)
    assert np.nansum(lengths) == pytest.approx(4.0)


def test_a_set_by_signed_distance_is_no_box():
    shape = Shape.ball((0, 0), 1.0)
    assert not is_box(shape)
    assert not is_plane(shape)
    np.testing.assert_array_equal(outside(shape, np.asarray([[0.0, 0], [1, 1]])), [False, True])
