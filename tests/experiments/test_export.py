"""Solutions in files: what stands in them, on boxes, patches and meshes, and those of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, Interval, Mesh, Shape, SpaceTime, disk, export, load_run
from tests.geometry.meshes.helpers import cube
from tests.tiny import run_cli

SQUARE = Mesh(*cube(2, 3))


def u(x):
    return jnp.sum(x**2)


def exact(x):
    return u(x) - 0.5 * x[0]


def loaded(path):
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize(
    ("domain", "kind", "corners"),
    [
        (Interval(0, 2), "line", 2),
        (Box((0, 0), (1, 2)), "quad", 4),
        (SpaceTime(Interval(0, 1), Box((0, 0), (1, 1))), "hexahedron", 8),
        (disk(), "quad", 4),
        (SQUARE, "triangle", 3),
    ],
)
def test_an_npz_file_holds_points_cells_and_fields(tmp_path, domain, kind, corners):
    path = tmp_path / "new" / "out.npz"
    export(path, u, domain, exact=exact, estimated_error=lambda x: 0.4 * x[0], resolution=5)
    found = loaded(path)
    x, cells = found["points"], found[f"cells_{kind}"]
    assert x.shape[1] == domain.dimension
    assert cells.shape[1] == corners
    assert cells.min() == 0
    assert cells.max() == len(x) - 1
    np.testing.assert_allclose(found["u"], np.sum(x**2, axis=1), atol=1e-12)
    np.testing.assert_allclose(found["error"], 0.5 * x[:, 0], atol=1e-12)
    np.testing.assert_allclose(found["estimated_error"], 0.4 * x[:, 0], atol=1e-12)
    assert bool(jnp.all(domain.contains(x)))
    if kind != "line":  # the cells fill the domain, so far as straight edges can
        made = Mesh(x, {kind: cells})
        assert made.measure == pytest.approx(domain.measure, rel=0.05)


def test_complex_and_vector_values(tmp_path):
    export(
        tmp_path / "c.npz",
        lambda x: jax.lax.complex(jnp.cos(x[0]), jnp.sin(x[0])),
        Interval(0, 1),
        resolution=3,
    )
    found = loaded(tmp_path / "c.npz")
    np.testing.assert_allclose(found["u"], np.cos([0, 0.5, 1]))
    np.testing.assert_allclose(found["u_imaginary"], np.sin([0, 0.5, 1]))
    export(tmp_path / "v.npz", lambda x: x, SQUARE)
    np.testing.assert_array_equal(loaded(tmp_path / "v.npz")["u"], SQUARE.points)


def test_named_components_are_fields_of_their_own(tmp_path):
    path, names = tmp_path / "named.npz", ("v", "p")
    export(path, lambda x: 2 * x, SQUARE, exact=lambda x: x, components=names)
    found = loaded(path)
    np.testing.assert_array_equal(found["v"], 2 * SQUARE.points[:, 0])
    np.testing.assert_array_equal(found["error_p"], SQUARE.points[:, 1])
    assert {"exact_v", "exact_p", "error_v", "p"} < set(found)
    assert "u" not in found
    with pytest.raises(ValueError, match="are 1 names, and `u` has 2 components: give one"):
        export(path, lambda x: x, SQUARE, components=("v",))


def test_meshio_reads_what_is_written(tmp_path):
    meshio = pytest.importorskip("meshio")
    export(tmp_path / "out.vtu", u, SQUARE, exact=exact)
    found = meshio.read(tmp_path / "out.vtu")
    np.testing.assert_allclose(found.points[:, :2], SQUARE.points)
    np.testing.assert_array_equal(found.cells_dict["triangle"], SQUARE.cells.blocks[0][1])
    np.testing.assert_allclose(found.point_data["error"], 0.5 * SQUARE.points[:, 0], atol=1e-15)
    with pytest.raises(ValueError, match=r"does not write: take \.vtu"):
        export(tmp_path / "out.word", u, SQUARE)


@pytest.mark.parametrize(
    "domain",
    [
        Box((0,) * 4, (1,) * 4),
        Shape.ball((0, 0), 1.0),
        SpaceTime(Interval(0, 1), SQUARE),
    ],
)
def test_a_domain_without_cells_is_refused(tmp_path, domain):
    with pytest.raises(ValueError, match="has no cells to write values on: give a box"):
        export(tmp_path / "out.npz", u, domain)


def test_a_grid_has_two_points_at_least(tmp_path):
    with pytest.raises(ValueError, match="`resolution` = 1"):
        export(tmp_path / "out.npz", u, Interval(0, 1), resolution=1)


@pytest.mark.usefixtures("double_precision")
def test_the_command_line_writes_a_run(solved, tmp_path):
    _, out = solved
    path = tmp_path / "out.npz"
    done = run_cli("export", out, "--to", path, "--resolution", 11)
    assert done.exit_code == 0, done.output
    found, run = loaded(path), load_run(out)
    assert found["points"].shape == (11, 1)
    assert found["u"][3] == pytest.approx(float(run.model(jnp.asarray(found["points"][3]))))
    np.testing.assert_allclose(found["error"], found["u"] - found["exact"])
