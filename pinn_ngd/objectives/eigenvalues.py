"""Eigenvalue problems as least squares: L u_k = lambda_k u_k, with the eigenvalues as parameters.

The residual L u_k - lambda_k u_k vanishes for u_k = 0, too. So one more term asks the functions to
be orthonormal, and the start is a Rayleigh-Ritz approximation: it is near the lowest eigenfunctions
already, and decides which ones are found.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float, PyTree

from ..geometry.quadrature import AbstractRule, Points
from .residual import Residual

LEAST_NORM = 1e-10  # of the largest square of a norm: below, features depend on each other


def orthonormal(
    rule: AbstractRule, *, weight: float = 100.0, name: str = "orthonormal"
) -> Residual:
    """The term weight/2 sum_{i <= j} (integral of u_i u_j - delta_ij)^2, for u: (d,) -> (k,).

    One integral constraint for every pair of functions; for a scalar u the normalization alone.
    The integral is taken by `rule`, which is fixed: it neither grows nor is held out.
    """
    points = rule.quadrature()

    def constraint(u: Any, _: Array) -> Float[Array, " pairs"]:
        def products(x: Array) -> Array:
            v = jnp.atleast_1d(u(x))
            return jnp.outer(v, v)

        gram = points.integrate(products)
        return (gram - jnp.eye(len(gram)))[jnp.triu_indices(len(gram))]

    return Residual(constraint, Points(np.zeros((1, 1))), weight, name)


def rayleigh_ritz(
    model: PyTree,
    energy: Callable[[Callable, Array], Any],
    rule: AbstractRule,
    *,
    layer: Callable[[Any], Any] = lambda m: m.solution.layers[-1],
) -> PyTree:
    """The model with the best eigenfunctions that its last layer can make, and their eigenvalues.

    In the span of the features that enter `layer`, with every parameter before it as it is, the
    Rayleigh quotient integral of energy(u, x) / integral of u(x)^2 is made stationary, a symmetric
    eigenvalue problem of the size of the layer. The k lowest solutions become the k functions of
    the model, and `model.eigenvalues` (k,). `energy(u, x)` is the quadratic density of a scalar u
    at one point, such as `gradient(u)(x) @ gradient(u)(x)` for -Laplace: weak, so that the
    functions must fulfill essential boundary conditions by construction (`models.HardDirichlet`).

    Raises ValueError where the layer has fewer independent features than there are eigenvalues.
    """
    points, last = rule.quadrature(), layer(model)
    count = model.eigenvalues.size

    def function(c: Array) -> Callable[[Array], Array]:
        weight = last.weight.at[0].set(c[:-1])
        bias = last.bias.at[0].set(c[-1])
        changed = eqx.tree_at(lambda m: [layer(m).weight, layer(m).bias], model, [weight, bias])
        return lambda x: jnp.atleast_1d(changed(x))[0]

    def integrals(c: Array) -> Array:
        u = function(c)
        return points.integrate(lambda x: jnp.stack([jnp.asarray(energy(u, x)), u(x) ** 2]))

    zero = jnp.zeros(last.weight.shape[1] + 1, last.weight.dtype)
    form, mass = 0.5 * np.asarray(jax.jit(jax.hessian(integrals))(zero))
    values, vectors = _lowest(form, mass, count)
    # The functions are rows of the layer, of equal norm one, signs as they come.
    changes = [jnp.asarray(vectors[:-1].T), jnp.asarray(vectors[-1])]
    model = eqx.tree_at(lambda m: [layer(m).weight, layer(m).bias], model, changes)
    found = jnp.asarray(values).reshape(model.eigenvalues.shape)
    return eqx.tree_at(lambda m: m.eigenvalues, model, found)


def _lowest(form: np.ndarray, mass: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest eigenvalues of form c = lambda mass c, and vectors of mass norm one as columns."""
    sizes, basis = scipy.linalg.eigh(mass)
    kept = sizes > LEAST_NORM * sizes[-1]
    if kept.sum() < count:
        raise ValueError(
            f"the layer has {kept.sum()} independent features, too few for {count} eigenvalues: "
            "take a wider last hidden layer."
        )
    basis = basis[:, kept] / np.sqrt(sizes[kept])
    values, vectors = scipy.linalg.eigh(basis.T @ form @ basis)
    return values[:count], basis @ vectors[:, :count]
