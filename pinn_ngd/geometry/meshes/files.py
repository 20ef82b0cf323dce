"""Meshes from files, by meshio: an extra that is imported when it is used."""

import os
from typing import Any

import numpy as np

from .kinds import KINDS
from .mesh import Mesh


def read_mesh(path: str | os.PathLike) -> Mesh:
    """The mesh in a file that meshio knows: Gmsh, VTK, XDMF, Abaqus, STL and others.

    The cells of the highest dimension make the mesh. Groups of them with a name (cell sets, and
    physical groups of Gmsh) become `regions`; such groups of their facets become `boundaries`.
    Coordinates that are zero everywhere are left out as far as the cells allow it.

    Raises ImportError without meshio, and ValueError for a file without cells of a known kind.
    """
    file = meshio().read(path)
    known = [block for block in file.cells if block.type in KINDS]
    unknown = {b.type for b in file.cells if b.type not in KINDS and b.type != "vertex"}
    if not known or unknown:
        what = f"cells of the kind {sorted(unknown)[0]!r}" if unknown else "no cells"
        raise ValueError(
            f"`{path}` holds {what}: write segments, triangles, quadrilaterals, tetrahedra or "
            "hexahedra with straight edges into it."
        )
    top = max(KINDS[block.type].dimension for block in known)
    cells, groups = _merged(file, top), _groups(file)
    count = sum(map(len, cells.values()))
    regions = {name: _mask(file, of, list(cells), count) for name, of in groups[top].items()}
    facets = {name: _rows(file, of) for name, of in groups[top - 1].items()}
    return Mesh(_flat(file.points, top), cells, regions=regions, boundaries=facets)


def meshio() -> Any:
    """The module; ImportError with the cure where it is not installed."""
    try:
        import meshio as module  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "meshio is not installed: `pip install 'pinn-ngd[meshio]'` reads and writes meshes."
        ) from error
    return module


def _merged(file: Any, dimension: int) -> dict[str, np.ndarray]:
    """All blocks of one dimension, those of one kind behind one another."""
    found: dict[str, list[np.ndarray]] = {}
    for block in file.cells:
        if block.type in KINDS and KINDS[block.type].dimension == dimension:
            found.setdefault(block.type, []).append(np.asarray(block.data, np.int64))
    return {name: np.concatenate(blocks) for name, blocks in found.items()}


def _groups(file: Any) -> dict[int, dict[str, list[np.ndarray]]]:
    """For every dimension the named groups: which rows of each block belong to them."""
    found: dict[int, dict[str, list[np.ndarray]]] = {d: {} for d in range(4)}
    dimensions = [_dimension(block) for block in file.cells]
    sets = {name: _as_rows(of) for name, of in file.cell_sets.items() if ":" not in name}
    tags = file.cell_data.get("gmsh:physical")
    for name, of in file.field_data.items():
        if tags is None or np.size(of) != 2:  # only Gmsh's are a tag and a dimension
            continue
        tag, dimension = np.asarray(of).ravel().tolist()
        rows = [np.flatnonzero(np.asarray(block) == tag) for block in tags]
        pairs = zip(rows, dimensions, strict=True)
        found[int(dimension)][name] = [r if d == dimension else r[:0] for r, d in pairs]
    for name, rows in sets.items():
        for d in range(4):
            of = [r if dimensions[i] == d else r[:0] for i, r in enumerate(rows)]
            if any(len(r) for r in of):
                found[d][name] = of
    return found


def _as_rows(of: Any) -> list[np.ndarray]:
    """What a cell set holds for every block; nothing is None there."""
    return [np.zeros(0, int) if rows is None else np.asarray(rows, int) for rows in of]


def _dimension(block: Any) -> int:
    return KINDS[block.type].dimension if block.type in KINDS else 0


def _mask(file: Any, rows: list[np.ndarray], kinds: list[str], count: int) -> np.ndarray:
    """Which of the merged cells belong to a group."""
    parts = []
    for kind in kinds:
        for block, chosen in zip(file.cells, rows, strict=True):
            if block.type == kind:
                mask = np.zeros(len(block.data), bool)
                mask[chosen] = True
                parts.append(mask)
    whole = np.concatenate(parts)
    assert len(whole) == count
    return whole


def _rows(file: Any, rows: list[np.ndarray]) -> np.ndarray:
    """The points of the facets of a group."""
    pairs = [(block.data, chosen) for block, chosen in zip(file.cells, rows, strict=True)]
    return np.concatenate([np.asarray(cells)[chosen] for cells, chosen in pairs if len(chosen)])


def _flat(points: np.ndarray, dimension: int) -> np.ndarray:
    """The points without coordinates at the end that are zero everywhere."""
    while points.shape[1] > dimension and not points[:, -1].any():
        points = points[:, :-1]
    return points
