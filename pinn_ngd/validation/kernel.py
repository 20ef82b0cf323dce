"""Whether the theory of exact natural gradients in wide networks says something about a problem."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .. import _tree
from ..linalg import spectral_factor
from ..objectives import AbstractObjective

LARGEST_DRIFT = 1 / 6  # C / 3 with C < 1/2
LIMIT = 2e9  # operations of a QR factorization, of which six take some seconds
DIRECTIONS = 4


class KernelConditions(NamedTuple):
    """The two conditions of Zhang, Martens and Grosse (NeurIPS 2019), measured at a model.

    With J the Jacobian of n residuals r in p parameters and K = J J^T:

    - `rank` is the numerical rank of J: the first condition is that it is n;
    - `smallest` and `largest` are eigenvalues of K, the first 0 where n > p;
    - `radius` = 3 |r| / sqrt(`smallest`), of the ball in which the second condition is asked;
    - `drift` is the largest |J(w) - J|_2 / sqrt(`smallest`) found there, at the end of the exact
      step and on the sphere in random directions. The condition is that it is below 1/6 everywhere;
      a few points can refute it and cannot prove it.

    Where both hold with a constant C (1/6 is C / 3 of the largest, 1/2), a step of a rate eta of at
    most (1 - 2 C) / (1 + C)^2 multiplies |r|^2 by at most 1 - eta, however badly K is conditioned.
    """

    rows: int
    parameters: int
    rank: int
    smallest: float
    largest: float
    radius: float
    drift: float

    @property
    def full_rank(self) -> bool:
        """Whether the residuals can be changed independently, to first order."""
        return self.rank == self.rows

    @property
    def stable(self) -> bool:
        """Whether no point was found where the Jacobian is too far from that at the model."""
        return self.full_rank and self.drift < LARGEST_DRIFT

    def __str__(self) -> str:
        size = f"{self.rows:,} residuals and {self.parameters:,} parameters"
        if not self.full_rank:
            return (
                f"Exact natural gradient: {size}, rank {self.rank:,}: below full row rank, so the"
                " theory of overparameterized networks does not apply and the residual ends at a"
                " least-squares one."
            )
        found = (
            f"Exact natural gradient: {size}, eigenvalues of the kernel {self.smallest:.1e} to"
            f" {self.largest:.1e}; the Jacobian changes by {self.drift:.1e} of the root of the"
            f" smallest within the radius {self.radius:.1e}"
        )
        if self.stable:
            return f"{found}, less than 1/6 at all points tried: the theory may apply."
        return f"{found}, more than the 1/6 allowed: the theory does not apply."


def kernel_conditions(
    objective: AbstractObjective, model: PyTree, batch: PyTree, *, key: PRNGKeyArray
) -> KernelConditions | None:
    """The conditions at a model; None for objectives without a target or too large a Jacobian.

    Costs six Jacobians and their singular values.
    """
    with_target = eqx.filter_eval_shape(objective.system, model, batch)
    parameters = _tree.size(model)
    rows = with_target.operator.out_size()
    operations = rows * parameters * min(rows, parameters)
    if with_target.target is None or operations > LIMIT:
        return None
    numbers = _measured(objective, model, batch, key)
    rank, smallest, largest, radius, drift = (float(number) for number in numbers)
    return KernelConditions(rows, parameters, int(rank), smallest, largest, radius, drift)


@eqx.filter_jit
def _measured(
    objective: AbstractObjective, model: PyTree, batch: PyTree, key: PRNGKeyArray
) -> tuple[Array, ...]:
    params, static = _tree.trainable(model)
    system = objective.system(model, batch)
    here = system.operator.as_matrix()
    # Not from the kernel, whose eigenvalues below eps of the largest are noise.
    factor = spectral_factor(here, method="qr")
    singular = factor.singular_values
    target = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(system.target)])
    exact = ravel_pytree(params)[1](factor.solve(target, 0.0))
    wide = here.shape[0] <= here.shape[1]
    root, largest = jnp.where(wide, singular[-1], 0), singular[0] ** 2
    radius = 3 * _tree.norm(system.target) / root

    def change(step: PyTree) -> Array:
        there = eqx.combine(_tree.subtract(params, step), static)
        moved = objective.system(there, batch).operator.as_matrix() - here
        return jnp.linalg.norm(_triangle(moved), ord=2)

    def outside(key: PRNGKeyArray) -> PyTree:
        return _tree.scale(radius, _tree.random_direction(params, key))

    steps = [exact, *map(outside, jax.random.split(key, DIRECTIONS))]
    every = jax.tree.map(lambda *leaves: jnp.stack(leaves), *steps)
    drift = jnp.max(jax.lax.map(change, every)) / root
    return factor.rank(None), root**2, largest, radius, drift


def _triangle(matrix: Float[Array, "n p"]) -> Float[Array, "m m"]:
    """A small matrix with the singular values of `matrix`."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return jnp.linalg.qr(tall, mode="r")
