"""Values of a solution in files for other programs: npz, and VTK and the like by meshio."""

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..geometry.domains import Domain
from ..geometry.meshes import Mesh
from ..geometry.meshes.files import meshio
from ..geometry.meshes.kinds import cube
from ..geometry.patches import Patch
from .loading import load_run
from .plotting.curved import is_box

POINTS = {1: 401, 2: 101, 3: 31}  # along an axis of a box, or of all patches together
CHUNK = 2048  # points that are evaluated at once
Places = tuple[np.ndarray, dict[str, np.ndarray]]


def export(
    path: str | os.PathLike,
    model: Callable[..., Any],
    domain: Domain,
    *,
    exact: Callable[..., Any] | None = None,
    estimated_error: Callable[..., Any] | None = None,
    resolution: int | None = None,
    components: Sequence[str] = (),
) -> None:
    """Write a solution, and its errors, at the points of a mesh or grid of its domain.

    `u` are the values of `model`; where they are given, `exact` those of the exact solution,
    `error` their difference, and `estimated_error` those of a function such as
    `ErrorEstimate.error`. A complex value is written as real part and `..._imaginary`. The
    components of a vector solution stay together, or, where they have names, such as ("v", "p"),
    become fields of their own: `v`, `p`, `error_v`, and so on.

    A file `.npz` holds these arrays, `points` (n, d) and the numbers of points of each kind of
    cells, as `cells_triangle` (m, 3). Every other ending is left to meshio: `.vtu`, `.vtk`,
    `.xdmf`. The points are those of a `Mesh`; a box gets a grid of `resolution` points along an
    axis (401, 101, 31 in one, two and three dimensions), and so does every patch of a curved
    domain, in proportion.

    Raises ValueError for a domain that has no cells to draw: in more than three dimensions, known
    by a signed distance, or a cylinder over a mesh, and for other numbers of names and components;
    ImportError where meshio is needed and missing.
    """
    points, cells = _places(domain, resolution)
    fields = {"u": _values(model, points)}
    if exact is not None:
        fields["exact"] = _values(exact, points)
        fields["error"] = fields["u"] - fields["exact"]
    if estimated_error is not None:
        fields["estimated_error"] = _values(estimated_error, points)
    if components:
        fields = _by_component(fields, components)
    _write(Path(path), points, cells, _in_real_parts(fields))


def export_run(
    folder: str | os.PathLike, path: str | os.PathLike, *, resolution: int | None = None
) -> None:
    """`export` of what a run in a folder found, with both errors where they are known.

    Raises ValueError for a run without a domain, and as `load_run` and `export` do.
    """
    run = load_run(folder)
    problem, estimate = run.problem, None
    if problem.domain is None:
        raise ValueError(f"the problem '{problem.name}' has no domain to write values on.")
    if run.estimate is not None and run.estimate.known:
        estimate = run.estimate.error
    export(
        path, run.model, problem.domain, exact=problem.exact, estimated_error=estimate,
        resolution=resolution, components=problem.components,
    )  # fmt: skip


def _by_component(fields: dict[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """A field (n,) for every component of fields (n, k)."""
    found = {}
    for field, values in fields.items():
        columns = values.reshape(len(values), -1)
        if columns.shape[1] != len(names):
            raise ValueError(
                f"`components` are {len(names)} names, and `{field}` has {columns.shape[1]} "
                "components: give one for each, in their order."
            )
        prefix = "" if field == "u" else f"{field}_"
        found |= {prefix + name: columns[:, i] for i, name in enumerate(names)}
    return found


def _places(domain: Domain, resolution: int | None) -> Places:
    """Points, and cells between them."""
    if isinstance(domain, Mesh):
        return domain.points, dict(domain.cells.blocks)
    d, patches = domain.dimension, domain.pieces
    drawable = is_box(domain) or all(isinstance(p, Patch) for p in patches)
    if d > 3 or not drawable or any(patch.string_axis is not None for patch in patches):
        raise ValueError(
            f"a {type(domain).__name__} in {d} dimensions has no cells to write values on: give a "
            "box, a mesh or a domain of patches in at most three dimensions."
        )
    n = resolution or POINTS[d]
    if n < 2:
        raise ValueError(f"`resolution` = {n}: give two points along an axis, or more.")
    each = n if resolution else max(round(n / len(patches) ** (1 / d)), 5)
    grids = [_images(patch, each) for patch in patches]
    name, cells = _grid_cells(len(patches[0].free_axes), each)
    count = each ** len(patches[0].free_axes)
    blocks = [cells + i * count for i in range(len(patches))]
    return np.concatenate(grids), {name: np.concatenate(blocks)}


def _images(piece: Any, n: int) -> np.ndarray:
    """An equispaced grid of a box, or of a patch."""
    if isinstance(piece, Patch):
        return piece.grid(n)
    lines = [np.linspace(a, b, n) for a, b in zip(*piece.corners, strict=True)]
    return np.stack([line.ravel() for line in np.meshgrid(*lines, indexing="ij")], axis=1)


def _grid_cells(dimension: int, n: int) -> tuple[str, np.ndarray]:
    """The cells between the points of a grid, in the order of VTK."""
    kind = {1: "line", 2: "quad", 3: "hexahedron"}[dimension]
    strides = n ** np.arange(dimension)[::-1]
    lower = np.asarray(list(itertools.product(range(n - 1), repeat=dimension))) @ strides
    corners = np.asarray([(0,), (1,)] if dimension == 1 else cube(dimension)) @ strides
    return kind, lower[:, None] + corners


def _values(function: Callable[..., Any], points: np.ndarray) -> np.ndarray:
    """A function of a point at many: (n,) or (n, k)."""
    array = jnp.asarray(points, jnp.result_type(float))

    def value(x: Any) -> Any:
        return jnp.asarray(function(x))

    return np.asarray(jax.jit(lambda xs: jax.lax.map(value, xs, batch_size=CHUNK))(array))


def _in_real_parts(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {}
    for name, values in fields.items():
        found[name] = np.real(values)
        if np.iscomplexobj(values):
            found[f"{name}_imaginary"] = np.imag(values)
    return found


def _write(path: Path, points: np.ndarray, cells: dict, fields: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        named = {f"cells_{name}": block for name, block in cells.items()}
        np.savez(path, points=points, **named, **fields)
        return
    in_space = np.zeros((len(points), 3))
    in_space[:, : points.shape[1]] = points
    module = meshio()
    try:
        module.Mesh(in_space, list(cells.items()), point_data=fields).write(path)
    except (module.WriteError, module.ReadError, KeyError) as error:
        raise ValueError(
            f"`{path}` has an ending that meshio does not write: take .vtu, .vtk, .xdmf or .npz."
        ) from error
