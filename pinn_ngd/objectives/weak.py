"""Weak residuals: functionals of test functions, in the dual norm."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PyTree

from .. import _tree
from ..geometry.elements import Tested
from ..geometry.quadrature import AbstractRule, Quadrature, as_rule
from ..linalg import ProductOperator
from .residual import AbstractResidual, Residual
from .returned import numbers, real
from .rows import map_points, point_row
from .sites import Site, extras_of, sites, split
from .terms import check_arguments


def _as_functions(functions: Any) -> tuple[Callable, ...]:
    return (functions,) if callable(functions) else tuple(functions)


class WeakResidual(AbstractResidual):
    """One term of a loss: weight * |R|^2, R the weak form of an equation, in the dual norm.

    R(v) = integral of s v + F . grad v, where `fn(u, x)` returns (s, F), a scalar and a vector (d,)
    at ONE point x: what multiplies a test function and its gradient. -div(a grad u) = f has s = -f
    and F = a grad u, so no second derivative is taken, and the coefficient a is not differentiated.
    For a system of equations `fn` returns (s_1, F_1, s_2, F_2, ...); each is tested with all v.

    `rule` is `FiniteElements(domain, cells, degree)`, which has the test functions v_1, ..., v_m.
    With their Gram matrix G = L L^T in H1_0 the block of the residual vector is b = L^{-1} R, so

        |b|^2 = R . G^{-1} R = sup over v in their span of (R(v) / |v|)^2,

    the square of the dual norm. It does not depend on the basis, and for -div(a grad u) = f it is
    the squared norm of the error u - u* as far as the test functions see it. Dividing each v_i by
    its norm is not the same: it drops what is outside of the diagonal of G.

    `on_surfaces` are functions g(u, x), or g(u, x, normal), g(u, x, value), one for each rule in
    `surfaces` of the FiniteElements: the integral of g v over the surface is added to R(v). These
    are natural conditions, Robin terms, sources on lines and at points, and jumps of the flux.

    Raises ValueError for functions of other arguments, a weight that is not one positive number,
    and rules without test functions.
    """

    fn: Callable[..., Any]
    rule: AbstractRule = eqx.field(converter=as_rule)
    weight: float = 1.0
    name: str = eqx.field(static=True, default="weak")
    on_surfaces: tuple[Callable, ...] = eqx.field(converter=_as_functions, default=(), kw_only=True)

    def __check_init__(self):
        check_arguments(self.fn, "fn(u, x)", f"`fn` of the term '{self.name}'", self.extras)
        if not isinstance(self.weight, int | float) or not self.weight > 0:
            raise ValueError(
                f"`weight` of the weak term '{self.name}' is {self.weight!r}, but a dual norm has "
                "one positive number: weigh at points by the `coefficient` of the FiniteElements."
            )

    @property
    def written(self) -> Callable[..., Any]:
        """The function that a user wrote."""
        return self.fn

    @property
    def extras(self) -> tuple[str, ...]:
        """What `fn` asks for besides the point."""
        return extras_of(self.fn)

    def sites(self, rule: Quadrature) -> Site:
        """What `value` is called with at the points of a rule.

        Raises ValueError where the rule has no test functions, or not one function a surface.
        """
        tests = self._tests(rule)
        if len(tests.surfaces) != len(self.on_surfaces):
            raise ValueError(
                f"the term '{self.name}' has {len(self.on_surfaces)} functions `on_surfaces`, but "
                f"its test functions have {len(tests.surfaces)} `surfaces`: give one for each."
            )
        return sites(self.extras, rule, f"the term '{self.name}'")

    def _tests(self, rule: Quadrature) -> Tested:
        if not isinstance(rule.tests, Tested):
            raise ValueError(
                f"the rule of the weak term '{self.name}' has no test functions: give "
                "`FiniteElements(domain, cells, degree)` as its rule."
            )
        return rule.tests

    def value(self, model: PyTree, site: Site) -> Float[Array, " k"]:
        """(s, F) at one point, for all equations in one row.

        Raises ValueError for another number of entries.
        """
        x, extras = split(site)
        owner = f"`fn` of the weak term '{self.name}'"
        values = real(jnp.atleast_1d(numbers(self.fn(model, x, **extras), owner)))
        size = 1 + x.shape[0]
        if values.shape[0] % size:
            raise ValueError(
                f"{owner} returns {values.shape[0]} numbers at a point, but what multiplies a test "
                f"function and its gradient are {size} (for each equation): return (s, F) with a "
                f"scalar s and F of shape ({x.shape[0]},)."
            )
        return values

    def check(self, model: PyTree, rule: Quadrature) -> None:
        super().check(model, rule)
        for part, surface in self._surfaces(rule):
            part.check(model, surface)

    def block(self, model: PyTree, rule: Quadrature, chunk_size: int | None) -> Array:
        """b = sqrt(weight) L^{-1} R, of shape (m,), or (m, k) for k equations."""
        values = map_points(lambda x: self.value(model, x), self.sites(rule), chunk_size)
        on_surfaces = [
            jnp.reshape(
                map_points(lambda x, part=part: part.value(model, x), part.sites(q), chunk_size),
                (q.weights.size, -1),
            )
            for part, q in self._surfaces(rule)
        ]
        found = self._dual(rule, values[..., None], [g[..., None] for g in on_surfaces])
        return _squeezed(found[:, :, 0])

    def rows(
        self, model: PyTree, rule: Quadrature, chunk_size: int | None
    ) -> tuple[Array, Float[Array, "n p"]]:
        """The block and its Jacobian, both L^{-1} times sums over points, in one go."""
        found = _point_rows(self, model, self.sites(rule), chunk_size)
        on_surfaces = [
            _point_rows(part, model, part.sites(q), chunk_size) for part, q in self._surfaces(rule)
        ]
        both = self._dual(rule, found, on_surfaces)
        return _squeezed(both[:, :, 0]), both[:, :, 1:].reshape(-1, both.shape[-1] - 1)

    def operator(
        self, params: PyTree, static: PyTree, rule: Quadrature, chunk_size: int
    ) -> lx.AbstractLinearOperator:
        def block(q: PyTree) -> Array:
            return self.block(eqx.combine(q, static), rule, chunk_size)

        return ProductOperator(
            lambda v: jax.jvp(block, (params,), (v,))[1],
            lambda w: jax.vjp(block, params)[1](w)[0],
            params,
        )

    def masses(self, block: Array, rule: Quadrature) -> Float[Array, " n"]:
        """The loss as a density at the points of the cells: where the representative of R is."""
        density = self._tests(rule).density(block.reshape(block.shape[0], -1))
        return 0.5 * rule.weights * density

    def _surfaces(self, rule: Quadrature) -> list[tuple[Residual, Quadrature]]:
        """A pointwise function for every surface, under the name of the term, and its points."""
        return [
            (Residual(fn, self.rule, name=self.name), surface.quadrature)
            for fn, surface in zip(self.on_surfaces, self._tests(rule).surfaces, strict=True)
        ]

    def _dual(self, rule: Quadrature, values: Array, on_surfaces: list[Array]) -> Array:
        """sqrt(weight) L^{-1} R (m, k, r) of integrands (n, k (1 + d), r) and (s, k, r)."""
        tests, size = self._tests(rule), 1 + rule.points.shape[1]
        points, columns, r = values.shape
        k = columns // size
        parts = jnp.moveaxis(values.reshape(points, k, size, r), 2, 1).reshape(points, size, k * r)
        flat = [g.reshape(g.shape[0], -1) for g in on_surfaces]
        self._check_components(flat, k * r, k)
        functional = tests.functional(rule.weights, parts, flat)
        return jnp.sqrt(self.weight) * tests.dual(functional).reshape(-1, k, r)

    def _check_components(self, flat: list[Array], wanted: int, k: int) -> None:
        if any(g.shape[1] != wanted for g in flat):
            raise ValueError(
                f"a function `on_surfaces` of the term '{self.name}' returns another number of "
                f"components than there are equations in `fn` ({k}): return one for each."
            )


def _point_rows(
    term: WeakResidual | Residual, model: PyTree, here: Site, chunk_size: int | None
) -> Float[Array, "n k columns"]:
    """Values at every point, each with its gradient in the parameters behind it."""
    params, static = _tree.trainable(model)

    def values(q: PyTree, x: Site) -> tuple[Array, None]:
        return term.value(eqx.combine(q, static), x), None

    found, rows, _ = map_points(lambda x: point_row(values, params, x), here, chunk_size)
    rows = rows.reshape(rows.shape[0], -1, rows.shape[-1])
    return jnp.concatenate([found.reshape(*rows.shape[:2], 1), rows], axis=2)


def _squeezed(block: Float[Array, "m k"]) -> Float[Array, "m *k"]:
    """The block of one equation as a vector."""
    return block[:, 0] if block.shape[1] == 1 else block
