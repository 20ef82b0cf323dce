"""Least-squares objectives: squared PDE residuals, integrated by quadrature."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from .. import _tree
from ..geometry.quadrature import AbstractRule, Quadrature, as_rule
from ..linalg import ChunkedJacobian, LeastSquaresSystem, StackedOperator
from .base import Evaluation
from .quadrature import AbstractQuadratureObjective, stacked_rows
from .returned import numbers, real
from .rows import map_points, point_row
from .sites import Site, extras_of, sites, split
from .terms import check_arguments
from .weights import Weight, as_weight, check_weight, is_number, weight_at


class Residual(eqx.Module):
    """One term of a PINN loss: weight * integral of |fn(u, x)|^2 over a region.

    `fn(u, x)` takes the model `u` and ONE point x of shape (d,) and returns a scalar, a (k,) array,
    or a list or tuple of these, which become one array. It must be pointwise: it may differentiate
    `u` at x, but sees no other point. A function `fn(u, x, normal)` gets the unit normal (d,) of a
    boundary or surface too, `fn(u, x, value)` what was measured at the point (`Points(...,
    values=...)`), and `fn(u, x, normal, value)` both. It may be nonlinear in `u`. Where it is
    complex, |.|^2 is the sum of the squares of real and imaginary parts.

    `rule` is a quadrature rule, a `Quadrature`, or an array (n, d) of points, which then weigh 1/n
    each. `weight` is a positive number, an array (k,) with one for every component, or a function
    of the point that returns either.

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
        values = numbers(self.fn(model, x, **extras), owner)
        if not is_number(self.weight):
            roots = jnp.sqrt(weight_at(self.weight, x, values, owner))
            values = values * roots.astype(values.dtype)
        return real(values)


class ResidualObjective(AbstractQuadratureObjective):
    """The PINN loss L(theta) = 1/2 sum_terms weight sum_i w_i |r(u_theta, x_i)|^2.

    Quadrature weights and term weights enter the residual vector as square roots, so L is
    1/2 |b|^2 with b the stacked blocks, and the energy natural gradient of a linear PDE (Mueller
    and Zeinhofer, ICML 2023, Eq. 9) is the Gauss-Newton step: least squares with A = db/dtheta.

    `chunk_size` bounds the memory of derivatives by treating that many points at a time; chunks
    that fit the cache are also faster on CPUs.
    """

    is_least_squares: ClassVar[bool] = True
    terms: tuple[Residual, ...]
    chunk_size: int | None = eqx.field(static=True)

    def __init__(self, terms: Sequence[Residual], *, chunk_size: int | None = 512):
        if not terms:
            msg = "`terms` is empty: a ResidualObjective needs at least one Residual."
            raise ValueError(msg)
        self.terms = tuple(terms)
        self.chunk_size = chunk_size

    def point_losses(self, model: PyTree, batch: PyTree) -> tuple[Float[Array, " n"], ...]:
        blocks = self.residuals(model, batch)
        return tuple(0.5 * jnp.sum(block.reshape(len(block), -1) ** 2, axis=1) for block in blocks)

    def residuals(self, model: PyTree, batch: PyTree) -> tuple[Array, ...]:
        """Blocks sqrt(weight * w_i) r(x_i), of shape (n,) or (n, k), one a term, always real."""
        return tuple(
            _block(term, model, rule, self.chunk_size)
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
            _rows(term, model, rule, self.chunk_size)
            for term, rule in zip(self.terms, batch, strict=True)
        ]
        blocks, rows = tuple(b for b, _ in pairs), [r for _, r in pairs]
        return LeastSquaresSystem(stacked_rows(rows, model, blocks), target=blocks)

    def _matrix_free_system(self, model: PyTree, batch: PyTree) -> LeastSquaresSystem:
        params, static = _tree.trainable(model)
        chunk_size = self.chunk_size or 512

        def block(term: Residual) -> Callable:
            return lambda q, rule: _block(term, eqx.combine(q, static), rule, None)

        operator = StackedOperator(
            [
                ChunkedJacobian(block(term), params, rule, chunk_size)
                for term, rule in zip(self.terms, batch, strict=True)
            ]
        )
        return LeastSquaresSystem(operator, target=self.residuals(model, batch))

    def reduction(self, before: Evaluation, after: Evaluation, step: PyTree) -> Scalar:
        """1/2 (b0 - b1).(b0 + b1): it keeps the digits that the difference of losses loses."""
        del step
        b0, b1 = before.right_hand_side, after.right_hand_side
        return 0.5 * _tree.dot(_tree.subtract(b0, b1), _tree.add(b0, b1))


def _scales(term: Residual, rule: Quadrature) -> Float[Array, " n"]:
    """Square roots of the quadrature weights, and of the term's weight where it is a number."""
    weight: Any = term.weight
    return jnp.sqrt(weight * rule.weights if is_number(weight) else rule.weights)


def _scaled(scales: Float[Array, " n"], values: Array) -> Array:
    return values * scales.reshape(-1, *(1,) * (values.ndim - 1))


def _block(term: Residual, model: PyTree, rule: Quadrature, chunk_size: int | None) -> Array:
    values = map_points(lambda x: term.value(model, x), term.sites(rule), chunk_size)
    return _scaled(_scales(term, rule), values)


def _rows(
    term: Residual, model: PyTree, rule: Quadrature, chunk_size: int | None
) -> tuple[Array, Array]:
    params, static = _tree.trainable(model)

    def residual(q: PyTree, x: Site) -> tuple[Array, None]:
        return term.value(eqx.combine(q, static), x), None

    here = term.sites(rule)
    values, rows, _ = map_points(lambda x: point_row(residual, params, x), here, chunk_size)
    scales = _scales(term, rule)
    rows = _scaled(scales, rows)
    return _scaled(scales, values), rows.reshape(-1, rows.shape[-1])
