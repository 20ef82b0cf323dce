"""What a term knows of a point besides its coordinates: the normal, and a measured value."""

import inspect
from typing import Any, TypeAlias

from jaxtyping import Array

from ..geometry.quadrature import Quadrature

EXTRAS = {"normal": "normals", "value": "values"}
Site: TypeAlias = Array | tuple[Array, dict[str, Array]]


def extras_of(fn: Any) -> tuple[str, ...]:
    """Which of `normal` and `value` a residual asks for by the names of its arguments."""
    if not callable(fn):
        return ()
    try:
        parameters = list(inspect.signature(fn).parameters.values())[2:]
    except (TypeError, ValueError):  # some functions written in C do not tell
        return ()
    asked = [p.name for p in parameters if p.default is p.empty]
    return tuple(name for name in EXTRAS if name in asked)


def sites(extras: tuple[str, ...], rule: Quadrature, owner: str) -> Site:
    """The points of a rule, together with what a term asks for there.

    Raises ValueError, which names the term, where the rule has no such thing.
    """
    if not extras:
        return rule.points
    found = {name: getattr(rule, EXTRAS[name]) for name in extras}
    for name in extras:
        if found[name] is None:
            raise ValueError(f"{owner} asks for the `{name}` at a point, {_CURES[name]}")
    return rule.points, found


def split(site: Any) -> tuple[Array, dict[str, Array]]:
    """The coordinates of one site, and the rest by name."""
    return site if isinstance(site, tuple) else (site, {})


_CURES = {
    "normal": "but its rule has none: make the rule on a boundary, such as "
    "`GaussLegendre(domain.boundary(), 16)`, or give `Points(points, normals=...)`.",
    "value": "but its rule has none: give measured ones as `Points(points, values=...)`.",
}
