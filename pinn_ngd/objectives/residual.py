"""Least-squares objectives: squared PDE residuals, integrated by quadrature."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float, PyTree, Scalar

from .. import _tree
from ..geometry.quadrature import AbstractRule, Quadrature, as_rule
from ..linalg import ChunkedJacobian, LeastSquaresSystem, StackedOperator
from .base import Evaluation, distinct_names
from .quadrature import AbstractQuadratureObjective, stacked_rows
from .returned import named, numbers, real
from .rows import map_points, point_row
from .sites import Site, extras_of, sites, split
from .terms import check_arguments, check_term, list_of_terms
from .weights import (
    Weight,
    as_weight,
    check_weight,
    is_number,
    weight_at,
    weight_of_system,
)


class AbstractResidual(eqx.Module):
    """One term of a least-squares objective: a block of the residual vector on a rule."""

    if TYPE_CHECKING:  # type checkers take an abstract variable for a constructor argument

        @property
        def rule(self) -> AbstractRule: ...
        @property
        def weight(self) -> Any: ...
        @property
        def name(self) -> str: ...
    else:
        rule: eqx.AbstractVar[AbstractRule]
        weight: eqx.AbstractVar[Any]
        name: eqx.AbstractVar[str]

    @property
    @abc.abstractmethod
    def written(self) -> Callable[..., Any]:
        """The function that a user wrote."""

    @abc.abstractmethod
    def sites(self, rule: Quadrature) -> Site:
        """What `value` is called with at the points of a rule."""

    @abc.abstractmethod
    def value(self, model: PyTree, site: Site) -> Array:
        """The real numbers of one site."""

    @abc.abstractmethod
    def block(self, model: PyTree, rule: Quadrature, chunk_size: int | None) -> Array:
        """The residuals, scaled so that half the sum of their squares is the loss."""

    @abc.abstractmethod
    def rows(
        self, model: PyTree, rule: Quadrature, chunk_size: int | None
    ) -> tuple[Array, Float[Array, "n p"]]:
        """The block and its Jacobian in the parameters, a row for each of its numbers."""

    @abc.abstractmethod
    def operator(
        self, params: PyTree, static: PyTree, rule: Quadrature, chunk_size: int
    ) -> lx.AbstractLinearOperator:
        """The Jacobian of the block, by its products."""

    @abc.abstractmethod
    def masses(self, block: Array, rule: Quadrature) -> Float[Array, " n"]:
        """What each point of the rule adds to the loss."""

    def equations(self, model: PyTree, rule: Quadrature) -> dict[str, int]:
        """The names of its equations, each with the number of its components; empty without."""
        del model, rule
        return {}

    def check(self, model: PyTree, rule: Quadrature) -> None:
        """Raises ValueError, which names the term, where it cannot be evaluated."""
        place = self.sites(rule)
        check_term(self.name, self.value, model, rule, self.weight, place, fn=self.written)


class Residual(AbstractResidual):
    """One term of a PINN loss: weight * integral of |fn(u, x)|^2 over a region.

    `fn(u, x)` takes the model `u` and ONE point x of shape (d,) and returns a scalar, a (k,) array,
    or a list or tuple of these, which become one array, or a dict of these: a system of equations
    with names, each of which has lines of its own in the history of a run. It may differentiate `u`
    at x, and may evaluate `u` at other points that are functions of x: `u(x) - u(x + shift)` on one
    of two faces makes u periodic. A function `fn(u, x, normal)` gets the unit normal (d,) of a
    boundary or surface too, `fn(u, x, value)` what was measured at the point (`Points(...,
    values=...)`), and `fn(u, x, normal, value)` both. It may be nonlinear in `u`. Where it is
    complex, |.|^2 is the sum of the squares of real and imaginary parts.

    `rule` is a quadrature rule, a `Quadrature`, or an array (n, d) of points, which then weigh 1/n
    each. `weight` is a positive number, an array (k,) with one for every component, a function
    of the point that returns either, or a dict with such weights for some of the named equations.

    Raises ValueError for a function of other arguments, and for a weight that is not positive.
    """

    fn: Callable[..., Any]
    rule: AbstractRule = eqx.field(converter=as_rule)
    weight: Weight = eqx.field(converter=as_weight, default=1.0)
    name: str = eqx.field(static=True, default="residual")

    def __check_init__(self):
        check_arguments(self.fn, "fn(u, x)", f"`fn` of the term '{self.name}'", self.extras)
        check_weight(self.weight, self.name)

    @property
    def written(self) -> Callable[..., Any]:
        """The function that a user wrote."""
        return self.fn

    @property
    def extras(self) -> tuple[str, ...]:
        """What `fn` asks for besides the point: "normal", "value"."""
        return extras_of(self.fn)

    def sites(self, rule: Quadrature) -> Site:
        """What `value` is called with at the points of a rule.

        Raises ValueError where the rule has no normals or values and `fn` asks for them.
        """
        return sites(self.extras, rule, f"the term '{self.name}'")

    def value(self, model: PyTree, site: Site) -> Float[Array, "*k"]:
        """The real numbers whose squares are summed at one site, but for a constant weight.

        Complex components become two: all real parts, then all imaginary parts. A weight that is
        not one number is in them as its square root.
        """
        owner = f"the residual of the term '{self.name}'"
        x, extras = split(site)
        returned = self.fn(model, x, **extras)
        values = numbers(returned, owner)
        if not is_number(self.weight):
            roots = jnp.sqrt(self._weight_at(x, returned, values, owner))
            values = values * roots.astype(values.dtype)
        return real(values)

    def block(self, model: PyTree, rule: Quadrature, chunk_size: int | None) -> Array:
        """sqrt(weight * w_i) r(x_i), of shape (n,) or (n, k)."""
        values = map_points(lambda x: self.value(model, x), self.sites(rule), chunk_size)
        return _scaled(row_scales(self, rule), values)

    def rows(
        self, model: PyTree, rule: Quadrature, chunk_size: int | None
    ) -> tuple[Array, Float[Array, "n p"]]:
        """The block and its Jacobian, one reverse sweep a point."""
        params, static = _tree.trainable(model)

        def residual(q: PyTree, x: Site) -> tuple[Array, None]:
            return self.value(eqx.combine(q, static), x), None

        here = self.sites(rule)
        values, rows, _ = map_points(lambda x: point_row(residual, params, x), here, chunk_size)
        scales = row_scales(self, rule)
        rows = _scaled(scales, rows)
        return _scaled(scales, values), rows.reshape(-1, rows.shape[-1])

    def operator(
        self, params: PyTree, static: PyTree, rule: Quadrature, chunk_size: int
    ) -> lx.AbstractLinearOperator:
        """The Jacobian of the block, applied in chunks, never stored."""

        def block(q: PyTree, points: Quadrature) -> Array:
            return self.block(eqx.combine(q, static), points, None)

        return ChunkedJacobian(block, params, rule, chunk_size)

    def masses(self, block: Array, rule: Quadrature) -> Float[Array, " n"]:
        """Half the squares of the block, point by point."""
        return 0.5 * jnp.sum(block.reshape(rule.weights.size, -1) ** 2, axis=1)

    def _weight_at(self, x: Array, returned: Any, values: Array, owner: str) -> Array:
        if isinstance(returned, Mapping):
            return weight_of_system(self.weight, x, named(returned, owner), owner)
        if isinstance(self.weight, Mapping):
            msg = f"{owner} has named weights, but returns no dict of named equations: return one."
            raise ValueError(msg)
        return weight_at(self.weight, x, values, owner)

    def equations(self, model: PyTree, rule: Quadrature) -> dict[str, int]:
        """The names of the equations, each with the number of its components; empty for a term
        that returns no dict."""
        sizes: dict[str, int] = {}

        def traced(site: Site) -> Any:
            x, extras = split(site)
            returned = self.fn(model, x, **extras)
            if isinstance(returned, Mapping):
                parts = named(returned, f"the residual of the term '{self.name}'")
                sizes.update({name: part.size for name, part in parts.items()})

        eqx.filter_eval_shape(traced, jax.tree.map(lambda a: a[0], self.sites(rule)))
        return sizes


class ResidualObjective(AbstractQuadratureObjective):
    """The PINN loss L(theta) = 1/2 sum_terms weight sum_i w_i |r(u_theta, x_i)|^2.

    Quadrature weights and term weights enter the residual vector as square roots, so L is
    1/2 |b|^2 with b the stacked blocks, and the energy natural gradient of a linear PDE (Mueller
    and Zeinhofer, ICML 2023, Eq. 9) is the Gauss-Newton step: least squares with A = db/dtheta.

    `chunk_size` bounds the memory of derivatives by treating that many points at a time; chunks
    that fit the cache are also faster on CPUs.
    """

    is_least_squares: ClassVar[bool] = True
    terms: tuple[AbstractResidual, ...]
    chunk_size: int | None = eqx.field(static=True)

    def __init__(self, terms: Sequence[AbstractResidual], *, chunk_size: int | None = 512):
        self.terms = list_of_terms(terms, AbstractResidual, "a ResidualObjective")
        self.chunk_size = chunk_size

    def point_losses(self, model: PyTree, batch: PyTree) -> tuple[Float[Array, " n"], ...]:
        parts = zip(self.terms, self.residuals(model, batch), batch, strict=True)
        return tuple(term.masses(block, rule) for term, block, rule in parts)

    def equation_losses(self, model: PyTree, batch: PyTree) -> dict[str, Float[Array, ""]]:
        """What every named equation of a system adds to the loss, by "term.equation"."""
        found: dict[str, Array] = {}
        names = distinct_names(self.term_names)
        for label, term, rule in zip(names, self.terms, batch, strict=True):
            sizes = term.equations(model, rule)
            if not sizes:
                continue
            block = term.block(model, rule, self.chunk_size)
            columns = jnp.sum(block.reshape(-1, sum(sizes.values())) ** 2, axis=0)
            ends = np.cumsum(list(sizes.values()))[:-1]
            for name, part in zip(sizes, jnp.split(columns, ends), strict=True):
                found[f"{label}.{name}"] = 0.5 * jnp.sum(part)
        return found

    def residuals(self, model: PyTree, batch: PyTree) -> tuple[Array, ...]:
        """Blocks of real numbers, one a term: sqrt(weight * w_i) r(x_i), of shape (n,) or (n, k);
        of a weak term L^{-1} R, of shape (m,) or (m, k)."""
        return tuple(
            term.block(model, rule, self.chunk_size)
            for term, rule in zip(self.terms, batch, strict=True)
        )

    def evaluate(self, model: PyTree, batch: PyTree) -> Evaluation:
        blocks = self.residuals(model, batch)
        return Evaluation(0.5 * _tree.dot(blocks, blocks), blocks)

    def system(
        self, model: PyTree, batch: PyTree, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        """A = db/dtheta and target b; with `matrix_free` A is applied in chunks, never stored."""
        if matrix_free:
            return self._matrix_free_system(model, batch)
        pairs = [
            term.rows(model, rule, self.chunk_size)
            for term, rule in zip(self.terms, batch, strict=True)
        ]
        blocks, rows = tuple(b for b, _ in pairs), [r for _, r in pairs]
        return LeastSquaresSystem(stacked_rows(rows, model, blocks), target=blocks)

    def _matrix_free_system(self, model: PyTree, batch: PyTree) -> LeastSquaresSystem:
        params, static = _tree.trainable(model)
        chunk_size = self.chunk_size or 512

        operator = StackedOperator(
            [
                term.operator(params, static, rule, chunk_size)
                for term, rule in zip(self.terms, batch, strict=True)
            ]
        )
        return LeastSquaresSystem(operator, target=self.residuals(model, batch))

    def reduction(self, before: Evaluation, after: Evaluation, step: PyTree) -> Scalar:
        """1/2 (b0 - b1).(b0 + b1): it keeps the digits that the difference of losses loses."""
        del step
        b0, b1 = before.right_hand_side, after.right_hand_side
        return 0.5 * _tree.dot(_tree.subtract(b0, b1), _tree.add(b0, b1))


def row_scales(term: Residual, rule: Quadrature) -> Float[Array, " n"]:
    """Square roots of the quadrature weights, and of the term's weight where it is a number."""
    weight: Any = term.weight
    return jnp.sqrt(weight * rule.weights if is_number(weight) else rule.weights)


def _scaled(scales: Float[Array, " n"], values: Array) -> Array:
    return values * scales.reshape(-1, *(1,) * (values.ndim - 1))
