"""Rules that grow: cells that are halved where the held-out residual is large.

A mesh says for every term of an objective which cells its rule has become. A cell is a path: first
the face of the region (0 where there is one piece only), then (axis, side) for every halving, or
(-1, 0) where the points of the cell became more without a cut. Paths are plain integers, so that a
checkpoint can hold them.
"""

import dataclasses
import heapq
import itertools
from typing import Any

import numpy as np

from ..geometry.quadrature import AbstractRule, Cells
from ..objectives import AbstractObjective

Path = tuple[int, tuple[tuple[int, int], ...]]
Mesh = tuple[tuple[Path, ...], ...]

GROWTH = 1.5  # rows after a refinement, and points of two halves together
LARGEST_GROWTH = 1.8  # of one refinement: a last large cell must not double everything
LARGEST_CUT = 3  # dimensions in which cells are cut; above, they only get more points
FOCUS = 4.0  # how much more the share of the residual counts than the share of the points
REDUCTION = 0.5  # what a halving is expected to leave of a cell's residual


def starting_mesh(objective: AbstractObjective) -> Mesh:
    """One cell for every face of every rule."""
    return tuple(tuple((i, ()) for i in range(len(rule.per_piece()))) for rule in objective.rules)


def as_mesh(terms: list) -> Mesh:
    """The lists of JSON as the tuples that they were written from."""
    return tuple(
        tuple((piece, tuple((axis, side) for axis, side in steps)) for piece, steps in paths)
        for paths in terms
    )


def rules_of(objective: AbstractObjective, mesh: Mesh) -> tuple[AbstractRule, ...]:
    """The rules of the original objective, refined as the mesh says."""
    pairs = zip(objective.rules, mesh, strict=True)
    return tuple(_assembled(rule, paths) for rule, paths in pairs)


def _assembled(rule: AbstractRule, paths: tuple[Path, ...]) -> AbstractRule:
    pieces = rule.per_piece()
    if paths == tuple((i, ()) for i in range(len(pieces))):
        return rule  # not a cell was cut: the rule is as its author made it
    return Cells(tuple(_follow(pieces[piece], steps) for piece, steps in paths))


def _follow(rule: AbstractRule, steps: tuple[tuple[int, int], ...]) -> AbstractRule:
    for axis, side in steps:
        parts = _children(rule, axis)
        assert parts is not None
        rule = parts[side]
    return rule


def _children(rule: AbstractRule, axis: int) -> tuple[AbstractRule, ...] | None:
    if axis >= 0:
        return rule.halved(axis, GROWTH)
    grown = rule.grown(GROWTH)
    return None if grown is None else (grown,)


@dataclasses.dataclass(frozen=True)
class _Cell:
    """A cell of a term on the heap: its rule, and the held-out points in it with their masses.

    Cells are boxes of the reference of their piece, and the points are those in it.
    """

    term: int
    path: Path
    rule: AbstractRule
    points: np.ndarray
    masses: np.ndarray
    expected: float  # residual mass by the held-out points, less what halvings will remove

    def children(self) -> "list[_Cell]":
        """The cell refined once; empty where its rule cannot be."""
        axis = _axis(self)
        rules = _children(self.rule, axis)
        if rules is None and axis >= 0:  # a rule that cannot be cut may still have more points
            axis, rules = -1, _children(self.rule, -1)
        if rules is None:
            return []
        sides = _sides(self, axis, len(rules))
        total = self.masses.sum()
        cells = []
        for side, rule in enumerate(rules):
            inside = sides == side
            share = self.masses[inside].sum() / total if total > 0 else 1 / len(rules)
            path = (self.path[0], (*self.path[1], (axis, side)))
            kept = self.points[inside], self.masses[inside]
            left = REDUCTION * self.expected * float(share)
            cells.append(_Cell(self.term, path, rule, *kept, expected=left))
        return cells


def enriched(objective: AbstractObjective, mesh: Mesh) -> Mesh:
    """The mesh with `GROWTH` times as many points in every cell that can have more.

    For smooth residuals the best that can be done: the order of Gauss rules rises.
    """
    pieces = [rule.per_piece() for rule in objective.rules]
    return tuple(
        tuple(_with_more(pieces[term], path) for path in paths) for term, paths in enumerate(mesh)
    )


def _with_more(pieces: tuple[AbstractRule, ...], path: Path) -> Path:
    more = _follow(pieces[path[0]], path[1]).grown(GROWTH)
    return path if more is None else (path[0], (*path[1], (-1, 0)))


def refined(objective: AbstractObjective, mesh: Mesh, points: Any, masses: Any) -> Mesh:
    """The mesh with `GROWTH` times as many points.

    `points` and `masses` are those of the held-out rules of the mesh, an array a term: where, and
    how much each adds to the loss. Cells are refined one after the other, always the one with the
    largest sum of its share of the held-out loss (times `FOCUS`) and its share of all points: where
    the residual is large first, everywhere else in proportion. The same mesh where no rule can be
    refined.
    """
    cells = _cells(objective, mesh, points, masses)
    rows = sum(cell.rule.size for cell in cells)
    total = sum(cell.expected for cell in cells) or 1.0
    order = itertools.count()

    def entry(cell: _Cell) -> tuple[float, int, _Cell]:
        return -(FOCUS * cell.expected / total + cell.rule.size / rows), next(order), cell

    heap = [entry(cell) for cell in cells]
    heapq.heapify(heap)
    done: list[_Cell] = []
    size = rows
    while heap and size < GROWTH * rows:
        _, _, cell = heapq.heappop(heap)
        children = cell.children()
        more = sum(child.rule.size for child in children) - cell.rule.size
        if not children or (size > rows and size + more > LARGEST_GROWTH * rows):
            done.append(cell)
            continue
        size += more
        for child in children:
            heapq.heappush(heap, entry(child))
    left = done + [cell for _, _, cell in heap]
    return tuple(
        tuple(sorted(cell.path for cell in left if cell.term == term)) for term in range(len(mesh))
    )


def _cells(objective: AbstractObjective, mesh: Mesh, points: Any, masses: Any) -> list[_Cell]:
    """The cells of a mesh, each with the held-out points of its term that lie in it."""
    cells = []
    for term, (rule, paths) in enumerate(zip(objective.rules, mesh, strict=True)):
        pieces = rule.per_piece()
        mass = np.asarray(masses[term])
        where = [_in_reference(piece, np.asarray(points[term])) for piece in pieces]
        for path in paths:
            cell, place = _follow(pieces[path[0]], path[1]), where[path[0]]
            inside = _inside(cell, place)
            expected = float(mass[inside].sum())
            cells.append(_Cell(term, path, cell, place[inside], mass[inside], expected))
    return cells


def _in_reference(rule: AbstractRule, points: np.ndarray) -> np.ndarray:
    """The points in the reference of a piece: not a number for those of other patches.

    A rule on several pieces, as one with test functions is, has no reference: points stay.
    """
    region: Any = getattr(rule, "region", None)
    return region.coordinates(points) if hasattr(region, "coordinates") else points


def _inside(rule: AbstractRule, points: np.ndarray) -> np.ndarray:
    """Which points lie in the region of a rule; all, where it does not say what its region is."""
    region = getattr(rule, "region", None)
    if region is None or not hasattr(region, "corners"):
        return np.ones(len(points), bool)
    lower, upper = (np.asarray(corner) for corner in region.corners)
    return np.all((points >= lower) & (points <= upper), axis=1)


def _axis(cell: _Cell) -> int:
    """Where to cut: across the side with the coarsest points, or between much and little residual.

    -1 where cells are not cut but get more points: in many dimensions, and for test functions.
    """
    region = getattr(cell.rule, "region", None)
    axes = getattr(region, "axes_to_cut", ())
    if region is None or not axes or len(region.free_axes) > LARGEST_CUT:
        return -1
    coarseness = {axis: _coarseness(cell, axis) for axis in axes}
    largest, middles = max(coarseness.values()), np.mean(region.corners, axis=0)
    return max(axes, key=lambda i: coarseness[i] / largest + _imbalance(cell, i, float(middles[i])))


def _coarseness(cell: _Cell, axis: int) -> float:
    """The distance of points along an axis, in units of the whole region."""
    cuts = sum(1 for along, _ in cell.path[1] if along == axis)
    n = getattr(cell.rule, "n", 1)
    return 0.5**cuts / (n[axis] if isinstance(n, tuple) else 1)


def _imbalance(cell: _Cell, axis: int, middle: float) -> float:
    """0 where both halves have the same residual, 1 where one has all."""
    total = cell.masses.sum()
    below = cell.masses[cell.points[:, axis] < middle].sum()
    return abs(2 * below / total - 1) if total > 0 else 0.0


def _sides(cell: _Cell, axis: int, count: int) -> np.ndarray:
    """In which child each held-out point of a cell lies."""
    if count == 1:
        return np.zeros(len(cell.points), int)
    middle = np.mean(cell.rule.region.corners, axis=0)[axis]  # pyright: ignore
    return (cell.points[:, axis] >= middle).astype(int)
