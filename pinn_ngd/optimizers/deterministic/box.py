"""Bounds of parameters: one pair for all of them, or pairs for some by their names."""

from collections.abc import Mapping
from math import inf
from typing import Any

import jax
from jaxtyping import PyTree

Pair = tuple[float, float]
Bounds = Pair | tuple[tuple[str, Pair], ...]


def as_bounds(given: Any) -> Bounds | None:
    """(lower, upper) as it is, and a mapping {"sigma": (0, 20)} as pairs that can be hashed.

    Raises ValueError for what is no pair with lower < upper.
    """
    if isinstance(given, Mapping):
        pairs = ((str(name), _pair(pair, f" of '{name}'")) for name, pair in given.items())
        return tuple(pairs) or None
    if given is None or _is_named(given):
        return given
    return _pair(given, "")


def ends_of(bounds: Bounds, params: PyTree) -> tuple[PyTree, PyTree]:
    """Trees of the lower and of the upper ends for every leaf; infinite where there is no bound.

    A leaf is named by its path, such as "layers[0].weight", and belongs to every name that its path
    begins with, such as "layers[0]"; the last one counts. Raises ValueError for a name of no leaf.
    """
    pairs: Any = bounds if _is_named(bounds) else (("", bounds),)
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    paths = [jax.tree_util.keystr(path).lstrip(".") for path, _ in leaves]
    for name, _ in pairs:
        if not any(_belongs(path, name) for path in paths):
            have = ", ".join(paths)
            raise ValueError(f"`bounds` name the parameter '{name}'; the model has {have}.")
    found = [
        next((pair for name, pair in reversed(pairs) if _belongs(path, name)), (-inf, inf))
        for path in paths
    ]
    return tuple(jax.tree.unflatten(structure, [pair[i] for pair in found]) for i in (0, 1))


def _belongs(path: str, name: str) -> bool:
    return name in ("", path) or path.startswith((f"{name}.", f"{name}["))


def _is_named(bounds: Any) -> bool:
    return isinstance(bounds, tuple) and bool(bounds) and isinstance(bounds[0], tuple)


def _pair(given: Any, of: str) -> Any:
    numbers = isinstance(given, tuple | list) and all(isinstance(x, int | float) for x in given)
    if not (numbers and len(given) == 2 and given[0] < given[1]):
        raise ValueError(f"`bounds`{of} are {given}; give (lower, upper) with lower < upper.")
    return float(given[0]), float(given[1])
