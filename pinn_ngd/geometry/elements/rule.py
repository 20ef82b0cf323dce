"""A rule whose points carry test functions."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ..meshes import Mesh
from ..quadrature import AbstractRule, Quadrature, as_rule
from ..quadrature.base import as_count, as_counts
from ..region import AbstractDomain, AbstractRegion
from .lobatto import gauss, tensor_points
from .space import Space, as_device, space_of
from .tested import Surface, Tested

SEEN = 1e-9  # of test functions, whose values are of order one: below, they vanish
MORE_POINTS = 3  # than the degree, an axis of a cell, where nothing else is asked for
MORE_ON_MESHES = 2  # whose cells are many and small: exact for products of two functions
BOUNDARY = "boundary"


def _as_parts(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


def _as_rules(rules: Any) -> tuple[AbstractRule, ...]:
    return tuple(as_rule(rule) for rule in rules)


class FiniteElements(AbstractRule):
    """Continuous piecewise polynomials on a domain, as test functions of a `WeakResidual`.

    Every reference box of the domain is cut into `cells` (an int, or one for every axis), and on
    each the functions are polynomials of the `degree` in every variable, mapped with the patch: hat
    functions for degree 1; above, they hold the bubbles (integrated Legendre polynomials) of the
    p-version of finite elements too. A dual norm depends on their span alone, not on its basis.
    Patches that share a face share the functions on it. An interface belongs between two patches,
    such as `Patches([Interval(0, 0.3), Interval(0.3, 1)])`.

    On a `Mesh` the cells are those of the mesh (`cells` stays 1): polynomials of the total `degree`
    on segments, triangles and tetrahedra, so that degree 1 has one hat for every point, and of the
    `degree` in every variable on quadrilaterals and hexahedra.

    * `points`: Gauss points along every axis of a cell, degree + 3 by default (2 on meshes);
    * `zero_on`: where all functions vanish, the whole boundary by default; or a part of it, such as
      `domain.boundary("outer")` or its name, "outer"; or a list of such parts; or None for nowhere;
    * `coefficient(x)`: positive, the inner product is integral of coefficient grad v . grad w, one
      by default; with the coefficient of the equation the dual norm of the residual is the error in
      the energy norm. Where nothing vanishes v w / diameter^2 is added to grad v . grad w;
    * `surfaces`: rules on faces and curves of the domain with integrals of their own.

    Held-out functions and those that grow are of a higher degree on the same cells, with more
    points. Raises ValueError for a region that is no domain, for a cylinder over a mesh, for a
    degree below 1, for an unknown name, and where no function is left.
    """

    region: AbstractRegion = eqx.field(static=True)
    cells: int | tuple[int, ...] = eqx.field(static=True, converter=as_counts, default=1)
    degree: int = eqx.field(static=True, converter=as_count, default=1)
    points: int | None = eqx.field(static=True, default=None, kw_only=True)
    zero_on: Any = eqx.field(static=True, default=BOUNDARY, kw_only=True, converter=_as_parts)
    coefficient: Callable | None = eqx.field(static=True, default=None, kw_only=True)
    surfaces: tuple[AbstractRule, ...] = eqx.field(converter=_as_rules, default=(), kw_only=True)

    def __check_init__(self):
        _check_domain(self.region)
        if self.degree < 1:
            raise ValueError(f"`degree` = {self.degree} is too low: hat functions have degree 1.")
        if isinstance(self.region, Mesh) and self.cells != 1:
            raise ValueError(
                f"`cells` = {self.cells}, but a mesh has its own: leave `cells` at 1, and raise "
                "the `degree` or refine the mesh for more functions."
            )
        if min(self._counts()) < 1 or self._points() < 1:
            raise ValueError(
                f"`cells` = {self.cells} and `points` = {self.points}: give one at least, and "
                f"{self.region.dimension} entries of `cells` if it is a tuple."
            )

    @property
    def resampled(self) -> bool:
        """Whether a rule on a surface is; the points of the cells are always the same."""
        return any(rule.resampled for rule in self.surfaces)

    @property
    def size(self) -> int:
        region = self.region
        boxes = len(region.pieces) * math.prod(self._counts())
        cells = region.cells.count if isinstance(region, Mesh) else boxes
        return cells * self._points() ** region.dimension

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:
        """Gauss points of every cell, with `tests`, the functions at them."""
        space = space_of(self.region, self._counts(), self.degree, self._vanishing())
        if space.count == 0:
            raise ValueError(
                f"no test function is left of degree {self.degree}: all of them would vanish on "
                "the boundary. Take more cells or a higher degree."
            )
        line, line_weights = gauss(self._points())
        unit = tensor_points(line, self.region.dimension)
        unit_weights = tensor_points(line_weights, self.region.dimension).prod(axis=1)
        places, volumes, values = space.values(unit)
        points = places.reshape(-1, places.shape[2])
        weights = (volumes * unit_weights).reshape(-1)
        inner = self._inner(points)
        factor = _factor(_gram(space, values, weights[:, None] * inner))
        tests = Tested(
            jnp.asarray(space.dofs),
            *map(as_device, (values, inner, factor)),
            surfaces=self._surfaces(space, key),
        )
        return Quadrature(as_device(points), as_device(weights), tests=tests)

    def held_out(self, factor: float = 1.6) -> AbstractRule | None:
        """Functions of a higher degree on the same cells, at other points."""
        surfaces = (rule.held_out(factor) or rule for rule in self.surfaces)
        return self._finer(factor, tuple(surfaces))

    def grown(self, growth: float) -> AbstractRule | None:
        """`growth` is shared by the axes."""
        surfaces = (rule.grown(growth) or rule for rule in self.surfaces)
        return self._finer(growth ** (1 / self.region.dimension), tuple(surfaces))

    def _finer(self, factor: float, surfaces: tuple[AbstractRule, ...]) -> "FiniteElements":
        degree = max(self.degree + 1, math.ceil(factor * self.degree - 1e-9))
        points = max(degree + self._more(), math.ceil(factor * self._points() - 1e-9))
        return dataclasses.replace(self, degree=degree, points=points, surfaces=surfaces)

    def _points(self) -> int:
        return self.degree + self._more() if self.points is None else self.points

    def _more(self) -> int:
        return MORE_ON_MESHES if isinstance(self.region, Mesh) else MORE_POINTS

    def _counts(self) -> tuple[int, ...]:
        d = self.region.dimension
        counts = (self.cells,) * d if isinstance(self.cells, int) else self.cells
        return counts if len(counts) == d else (0,)

    def _vanishing(self) -> tuple[AbstractRegion, ...]:
        given = self.zero_on if isinstance(self.zero_on, tuple) else (self.zero_on,)
        return tuple(_part(self.region, part) for part in given if part is not None)

    def _inner(self, points: np.ndarray) -> np.ndarray:
        """The coefficients (n, 1 + d) of the inner product."""
        assert isinstance(self.region, AbstractDomain)
        inner = np.ones((len(points), 1 + points.shape[1]))
        inner[:, 0] = 0.0 if self._vanishing() else self.region.diameter**-2.0
        if self.coefficient is None:
            return inner
        found = np.asarray(jax.vmap(self.coefficient)(as_device(points)), float)
        if found.shape != points.shape[:1] or not (np.isfinite(found) & (found > 0)).all():
            raise ValueError(
                "`coefficient` of the test functions must return one positive number at a point: "
                "it is the weight of their inner product."
            )
        return inner * found[:, None]

    def _surfaces(self, space: Space, key: PRNGKeyArray | None) -> tuple[Surface, ...]:
        made = [rule.quadrature(key) for rule in self.surfaces]
        found = [space.at(np.asarray(quadrature.points, float)) for quadrature in made]
        for dofs, values in found:
            if not np.any(np.abs(values[dofs < space.count]) > SEEN):
                raise ValueError(
                    "all test functions vanish on one of the `surfaces`, so that nothing which is "
                    "integrated there counts: give `zero_on` the part of the boundary where values "
                    "are prescribed, or None."
                )
        return tuple(
            Surface(quadrature, jnp.asarray(dofs), as_device(values))
            for quadrature, (dofs, values) in zip(made, found, strict=True)
        )


def _part(region: Any, part: Any) -> AbstractRegion:
    """A part of the boundary that may be given by its name."""
    names = getattr(region, "names", ())
    if not isinstance(part, str) or part in names:
        return region.boundary(part) if isinstance(part, str) else part
    if part == BOUNDARY:
        return region.boundary()
    known = f"take one of {', '.join(names)}" if names else "no part of it has a name"
    raise ValueError(f"`zero_on` = {part!r} is no part of the boundary of the domain: {known}.")


def _check_domain(region: Any) -> None:
    if not isinstance(region, AbstractDomain) or not region.fills_space:
        raise ValueError(
            f"test functions live on a domain, but `region` is a {type(region).__name__}: give the "
            "domain, and its boundary or a curve in it as one of the `surfaces`."
        )
    strung = any(piece.string_axis is not None for piece in region.pieces)
    if strung and not isinstance(region, Mesh):
        raise ValueError(
            "test functions are not made on a cylinder over a mesh: give the mesh alone, or a mesh "
            "of the whole space-time domain."
        )


def _gram(space: Space, values: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """G_ij = (v_i, v_j), summed cell by cell."""
    cells, points = values.shape[:2]
    weighted = values * inner.reshape(cells, points, 1, -1)
    local = np.einsum("cqkj,cqlj->ckl", weighted, values, optimize=True)
    gram = np.zeros((space.count + 1,) * 2)
    np.add.at(gram, (space.dofs[:, :, None], space.dofs[:, None, :]), local)
    return gram[:-1, :-1]


def _factor(gram: np.ndarray) -> np.ndarray:
    """L with L L^T = G, by way of functions of norm one.

    The rounding of L is harmless: it changes the norm a little, and not where the residual is zero.
    """
    norms = np.sqrt(np.diagonal(gram))
    return norms[:, None] * np.linalg.cholesky(gram / np.outer(norms, norms))
