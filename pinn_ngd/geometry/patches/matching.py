"""Which faces of patches lie on the boundary of their union: those that no other patch has."""

import itertools
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .inverse import sample, tree_of
from .patch import Patch

SAME = 1e-8  # of the size of the domain: corners nearer than that are one


def outer_faces(patches: Sequence[Patch]) -> list[Patch]:
    """The faces that only one patch has; of a face with a shared corner set the middle decides."""
    faces = [face for patch in patches for face in patch.faces()]
    groups = defaultdict(list)
    for face, key in zip(faces, _corner_sets(faces), strict=True):
        groups[key].append(face)
    outer = {id(face) for group in groups.values() for face in _single(group)}
    return [face for face in faces if id(face) in outer]


def check_fit(patches: Sequence[Patch], faces: Sequence[Patch]) -> None:
    """ValueError where an outer face lies in another patch: they overlap, or meet in a part."""
    for face in faces:
        xi, _ = face._gauss(3)
        points = face.map(xi)
        for patch in patches:
            own = patch.map == face.map and set(face.corners) & set(_ends(patch))
            if not own and _touches(patch, points):
                raise ValueError(
                    f"the patches do not fit together near {points[0]}: let them meet in whole "
                    "faces, without overlap, or name the boundary by `parts`."
                )


def _ends(patch: Patch) -> list[tuple[float, ...]]:
    """The corners of a reference box."""
    return list(itertools.product(*zip(*patch.corners, strict=True)))


def _touches(patch: Patch, points: np.ndarray) -> bool:
    return not bool(np.isnan(patch.coordinates(points)[:, 0]).all())


def _single(group: list[Patch]) -> list[Patch]:
    """The faces of a group that coincide with no other one of it."""
    shared = set()
    for a, b in itertools.combinations(range(len(group)), 2):
        middle = np.mean(np.asarray(group[a].corners, float), axis=0)[None]
        if _touches(group[b], group[a].map(middle)):
            shared |= {a, b}
    return [face for i, face in enumerate(group) if i not in shared]


def _corner_sets(faces: list[Patch]) -> list[frozenset[int]]:
    """The corners of every face as numbers, the same ones for the same points."""
    corners = [_corners(face) for face in faces]
    points = np.concatenate(corners)
    size = float(np.max(np.ptp(points, axis=0))) or 1.0
    tree = tree_of(points)
    first = [min(near) for near in tree.query_ball_point(points, SAME * size)]
    ends = itertools.pairwise(itertools.accumulate(map(len, corners), initial=0))
    return [frozenset(first[a:b]) for a, b in ends]


def _corners(face: Patch) -> np.ndarray:
    lower, upper = (np.asarray(corner) for corner in face.corners)
    return face.map(sample(lower, upper, face.free_axes, 2))
