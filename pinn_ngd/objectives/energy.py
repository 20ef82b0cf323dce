"""Deep Ritz objectives: variational energies, integrated by quadrature."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PyTree, Scalar

from .. import _tree
from ..geometry.calculus import gradient
from ..geometry.quadrature import AbstractRule, Quadrature, as_rule
from ..linalg import LeastSquaresSystem
from .base import Evaluation, with_gradient
from .quadrature import AbstractQuadratureObjective, stacked_rows
from .returned import numbers, real_scalar
from .rows import map_points, point_row
from .sites import Site, extras_of, sites, split
from .terms import check_arguments, check_term, list_of_terms
from .weights import Weight, as_weight, check_weight, weight_at


def value_and_gradient(u: Callable, x: Float[Array, " d"]) -> Inexact[Array, " 1+d"]:
    """The features (u(x), du/dx_1, ..., du/dx_d) on which most energy densities depend."""
    return jnp.concatenate([jnp.atleast_1d(u(x)), jnp.ravel(gradient(u)(x))])


class Energy(eqx.Module):
    """One term of a variational energy: weight * integral of density(x, F(u)(x)).

    `features(u, x)` is linear in u and returns a (k,) array; the default is the value followed by
    the gradient. On a boundary, `features(u, x, normal)` gets the unit normal (d,) too, and with
    `Points(..., values=...)` what was measured, as `value`. `density(x, features)` is any smooth
    function of them, convex for the metric to be the exact Hessian. A density is one real number;
    where `u` is complex, let `features` return real and imaginary parts.

    `rule` is a quadrature rule, a `Quadrature`, or an array (n, d) of points, which then weigh 1/n
    each. `weight` is a positive number, or a function of the point that returns one.

    Raises ValueError for functions of other arguments, and for a weight that is not positive.
    """

    density: Callable[[Array, Array], Any]
    rule: AbstractRule = eqx.field(converter=as_rule)
    features: Callable[..., Any] = value_and_gradient
    weight: Weight = eqx.field(converter=as_weight, default=1.0)
    name: str = eqx.field(static=True, default="energy")

    def __check_init__(self):
        check_arguments(self.density, "density(x, features)", f"`density` of '{self.name}'")
        owner = f"`features` of '{self.name}'"
        check_arguments(self.features, "features(u, x)", owner, extras_of(self.features))
        check_weight(self.weight, self.name)

    def sites(self, rule: Quadrature) -> Site:
        """What `value` is called with at the points of a rule.

        Raises ValueError where the rule has no normals or values and `features` asks for them.
        """
        return sites(extras_of(self.features), rule, f"the term '{self.name}'")

    def check(self, model: PyTree, rule: Quadrature) -> None:
        """Raises ValueError, which names the term, where it cannot be evaluated."""
        place = self.sites(rule)
        check_term(self.name, self.value, model, rule, self.weight, place, fn=self.written)

    def numbers(self, model: PyTree, site: Site) -> Float[Array, " k"]:
        """The features at one site."""
        owner, (x, extras) = f"`features` of the term '{self.name}'", split(site)
        found = jnp.atleast_1d(numbers(self.features(model, x, **extras), owner))
        if jnp.issubdtype(found.dtype, jnp.complexfloating):
            msg = f"{owner} are complex: let them return real and imaginary parts as real numbers."
            raise ValueError(msg)
        return found

    def density_of(self, x: Float[Array, " d"], features: Float[Array, " k"]) -> Float[Array, ""]:
        """The density at one point."""
        return real_scalar(self.density(x, features), f"`density` of the term '{self.name}'")

    @property
    def written(self) -> Callable[..., Any]:
        """The function of the model that a user wrote."""
        return self.features

    def value(self, model: PyTree, site: Site) -> Float[Array, ""]:
        """The density at one site of a model, times the weight."""
        x, _ = split(site)
        density = self.density_of(x, self.numbers(model, site))
        return weight_at(self.weight, x, density, f"the term '{self.name}'") * density


class EnergyObjective(AbstractQuadratureObjective):
    """E(theta) = sum_terms weight sum_i w_i e(x_i, F u_theta(x_i)): the deep Ritz method.

    The natural metric is the Hessian of E in function space pulled back to the parameters
    (Mueller and Zeinhofer, ICML 2023, Section 3): with S = d^2 e / dF^2 and S = L L^T, the rows of
    A are sqrt(w) L^T dF/dtheta and the Gram matrix is A^T A. Where e is not convex the negative
    eigenvalues of S are dropped. E has no residual form, so the system carries a gradient.
    """

    has_products: ClassVar[bool] = False
    terms: tuple[Energy, ...]
    chunk_size: int | None = eqx.field(static=True)

    def __init__(self, terms: Sequence[Energy], *, chunk_size: int | None = 512):
        self.terms = list_of_terms(terms, Energy, "an EnergyObjective")
        self.chunk_size = chunk_size

    def point_losses(self, model: PyTree, batch: PyTree) -> tuple[Float[Array, " n"], ...]:
        pairs = zip(self.terms, batch, strict=True)
        return tuple(_densities(term, model, rule, self.chunk_size) for term, rule in pairs)

    def energy(self, model: PyTree, batch: PyTree) -> Scalar:
        """The energy alone."""
        pairs = zip(self.terms, batch, strict=True)
        parts = [_integral(term, model, rule, self.chunk_size) for term, rule in pairs]
        return sum(parts[1:], start=parts[0])

    def evaluate(self, model: PyTree, batch: PyTree) -> Evaluation:
        return with_gradient(lambda m: self.energy(m, batch), model)

    def system(
        self, model: PyTree, batch: PyTree, *, matrix_free: bool = False
    ) -> LeastSquaresSystem:
        if matrix_free:
            msg = "a matrix-free system is not available for energies; use `form='primal'`."
            raise NotImplementedError(msg)
        blocks = [
            _metric_rows(term, model, rule, self.chunk_size)
            for term, rule in zip(self.terms, batch, strict=True)
        ]
        gradient = self.evaluate(model, batch).right_hand_side
        return LeastSquaresSystem(stacked_rows(blocks, model), gradient=gradient)

    def reduction(self, before: Evaluation, after: Evaluation, step: PyTree) -> Scalar:
        """E(theta) - E(theta - step), by gradients where the energies agree to many digits.

        Near a minimizer an energy difference is O(|step|^2) and drowns in the rounding of E long
        before its gradient does. There the trapezoidal rule along the segment,
        step . (g0 + g1) / 2, is exact to O(|step|^3) and keeps its relative accuracy.
        """
        difference = before.loss - after.loss
        slopes = _tree.add(before.right_hand_side, after.right_hand_side)
        trapezoid = 0.5 * _tree.dot(step, slopes)
        magnitude = jnp.maximum(jnp.abs(before.loss), jnp.abs(after.loss))
        noise = 1e6 * jnp.finfo(difference.dtype).eps * magnitude
        return jnp.where(jnp.abs(difference) > noise, difference, trapezoid)


def _integral(term: Energy, model: PyTree, rule: Quadrature, chunk_size: int | None) -> Scalar:
    return jnp.sum(_densities(term, model, rule, chunk_size))


def _densities(
    term: Energy, model: PyTree, rule: Quadrature, chunk_size: int | None
) -> Float[Array, " n"]:
    values = map_points(lambda x: term.value(model, x), term.sites(rule), chunk_size)
    return rule.weights * values


def _metric_rows(term: Energy, model: PyTree, rule: Quadrature, chunk_size: int | None) -> Array:
    params, static = _tree.trainable(model)

    def rows(point: tuple[Site, Array]) -> Array:
        site, w = point
        x, _ = split(site)

        def features(q: PyTree, site: Site) -> tuple[Array, None]:
            return term.numbers(eqx.combine(q, static), site), None

        values, jacobian, _ = point_row(features, params, site)
        weight = weight_at(term.weight, x, w, f"the term '{term.name}'")
        return jnp.sqrt(weight * w) * (_root(term, x, values).T @ jacobian)

    out = map_points(rows, (term.sites(rule), rule.weights), chunk_size)
    return out.reshape(-1, out.shape[-1])


def _root(term: Energy, x: Array, features: Array) -> Float[Array, "k k"]:
    """L with L L^T the positive part of the density's Hessian in the features."""
    hessian = jax.hessian(term.density_of, argnums=1)(x, features)
    values, vectors = jnp.linalg.eigh(hessian)
    return vectors * jnp.sqrt(jnp.maximum(values, jnp.zeros_like(values)))
