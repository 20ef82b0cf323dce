"""Meshes from files: groups of Gmsh, cell sets, flat coordinates, and files without cells."""

import numpy as np
import pytest

from pinn_ngd import GaussLegendre, read_mesh
from tests.geometry.meshes.helpers import cube


@pytest.fixture
def meshio():
    return pytest.importorskip("meshio")


def test_physical_groups_name_regions_and_parts_of_the_boundary(meshio, tmp_path):
    points, cells = cube(2, 2)
    left = points[cells].mean(axis=1)[:, 0] < 0.5
    bottom, rest = [(0, 3), (3, 6)], [(6, 7), (7, 8)]
    tags = [np.where(left, 1, 2), np.asarray([3, 3, 4, 4])]
    file = meshio.Mesh(
        np.column_stack([points, np.zeros(len(points))]),
        [("triangle", cells), ("line", np.asarray(bottom + rest))],
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        field_data={
            "steel": np.asarray([1, 2]),
            "air": np.asarray([2, 2]),
            "bottom": np.asarray([3, 1]),
            "right": np.asarray([4, 1]),
        },
    )
    file.write(tmp_path / "square.msh", file_format="gmsh22", binary=False)
    mesh = read_mesh(tmp_path / "square.msh")
    assert mesh.dimension == 2
    assert mesh.measure == pytest.approx(1.0)
    assert set(mesh.region_names) == {"steel", "air"}
    assert set(mesh.names) == {"bottom", "right"}
    assert mesh.region("steel").measure == pytest.approx(0.5)
    found = GaussLegendre(mesh.boundary("right"), 2).quadrature()
    np.testing.assert_allclose(found.normals, np.tile([1.0, 0.0], (4, 1)), atol=1e-14)


def test_cell_sets_and_a_surface(meshio, tmp_path):
    points, cells = cube(3, 1)
    file = meshio.Mesh(points, [("tetra", cells)], cell_sets={"first": [np.asarray([0, 1])]})
    file.write(tmp_path / "cube.inp")
    mesh = read_mesh(tmp_path / "cube.inp")
    assert mesh.region("first").measure == pytest.approx(1 / 3)
    faces = mesh.boundary().cells.blocks[0][1]
    meshio.Mesh(points, [("triangle", faces)]).write(tmp_path / "cube.stl", binary=True)
    surface = read_mesh(tmp_path / "cube.stl")
    assert surface.dimension == 3
    assert surface.measure == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("cells", "what"),
    [([("vertex", [[0], [1]])], "no cells"), ([("triangle6", [[0, 1, 2, 3, 4, 5]])], "triangle6")],
)
def test_a_file_without_known_cells_is_refused(meshio, tmp_path, cells, what):
    meshio.Mesh(np.eye(6, 3), cells).write(tmp_path / "odd.vtu")
    with pytest.raises(ValueError, match=f"holds .*{what}.*write segments"):
        read_mesh(tmp_path / "odd.vtu")


def test_without_meshio_the_cure_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "meshio", None)
    with pytest.raises(ImportError, match=r"pip install 'pinn-ngd\[meshio\]'"):
        read_mesh(tmp_path / "none.msh")
