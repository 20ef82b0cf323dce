"""Least-squares objectives: squared PDE residuals, integrated by quadrature."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from .. import _tree
from ..linalg import ChunkedJacobian, JacobianRows, LeastSquaresSystem, StackedOperator
from ..quadrature import AbstractRule, Quadrature
from ._rows import map_points, point_row
from .base import AbstractObjective, Evaluation


class Residual(eqx.Module):
    """One term of a PINN loss: weight * integral of |fn(u, x)|^2 over a region.

    `fn(u, x)` takes the model `u` and one point x of shape (d,) and returns a scalar or a (k,)
    array. It must be pointwise: it may differentiate `u` at x, but sees no other point. It may be
    nonlinear in `u`.
    """

    fn: Callable[[Callable, Array], Array]
    rule: AbstractRule
    weight: float = 1.0
    name: str = eqx.field(static=True, default="residual")

    def __check_init__(self):
        if not callable(self.fn):
            msg = "`fn` of a Residual must be a function `fn(u, x)` of the model and one point."
            raise TypeError(msg)
        if not self.weight > 0:
            msg = f"`weight` of the term '{self.name}' is {self.weight}; it must be positive."
            raise ValueError(msg)


class ResidualObjective(AbstractObjective):
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

    @property
    def rules(self) -> tuple[AbstractRule, ...]:
        return tuple(term.rule for term in self.terms)

    @property
    def term_names(self) -> tuple[str, ...]:
        return tuple(term.name for term in self.terms)

    def with_rules(self, rules: Sequence[AbstractRule]) -> "ResidualObjective":
        pairs = zip(self.terms, rules, strict=True)
        terms = [dataclasses.replace(term, rule=rule) for term, rule in pairs]
        return ResidualObjective(terms, chunk_size=self.chunk_size)

    def point_losses(self, model: PyTree, batch: PyTree) -> tuple[Float[Array, " n"], ...]:
        blocks = self.residuals(model, batch)
        return tuple(0.5 * jnp.sum(block.reshape(len(block), -1) ** 2, axis=1) for block in blocks)

    @property
    def resampled(self) -> bool:
        return any(term.rule.resampled for term in self.terms)

    def batch(self, key: Any = None) -> tuple[Quadrature, ...]:
        if key is None:
            return tuple(term.rule.quadrature(None) for term in self.terms)
        keys = jax.random.split(key, len(self.terms))
        return tuple(term.rule.quadrature(k) for term, k in zip(self.terms, keys, strict=True))

    def residuals(self, model: PyTree, batch: PyTree) -> tuple[Array, ...]:
        """Blocks sqrt(weight * w_i) r(x_i), of shape (n,) or (n, k), one a term."""
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
        params, _ = _tree.trainable(model)
        operator = JacobianRows(
            jnp.concatenate(rows), jax.eval_shape(lambda: params), jax.eval_shape(lambda: blocks)
        )
        return LeastSquaresSystem(operator, target=blocks)

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
    return jnp.sqrt(term.weight * rule.weights)


def _scaled(scales: Float[Array, " n"], values: Array) -> Array:
    return values * scales.reshape(-1, *(1,) * (values.ndim - 1))


def _block(term: Residual, model: PyTree, rule: Quadrature, chunk_size: int | None) -> Array:
    values = map_points(lambda x: term.fn(model, x), rule.points, chunk_size)
    return _scaled(_scales(term, rule), values)


def _rows(
    term: Residual, model: PyTree, rule: Quadrature, chunk_size: int | None
) -> tuple[Array, Array]:
    params, static = _tree.trainable(model)

    def residual(q: PyTree, x: Array) -> tuple[Array, None]:
        return term.fn(eqx.combine(q, static), x), None

    values, rows, _ = map_points(lambda x: point_row(residual, params, x), rule.points, chunk_size)
    scales = _scales(term, rule)
    rows = _scaled(scales, rows)
    return _scaled(scales, values), rows.reshape(-1, rows.shape[-1])
