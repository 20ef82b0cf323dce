"""An error estimate without an exact solution: one Gauss-Newton step that is not taken.

Let r be the residual of a model u at held-out points and J its Jacobian there. The step
d = argmin |r - J d|^2 + damping |d|^2 leads towards the solution, and e = J_u d, the change of u
along it, is the error of u in the network's tangent space. Whether the error lies there is tested
at yet other points: where r - J d is small against r, the linearized equation J_u d = u - u* holds
between the points too.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PyTree

from .. import _tree
from ..domains import Box, Interval, SpaceTime
from ..evaluation import norms
from ..linalg import JacobianRows, LeastSquaresSystem, Spectral, prepare
from ..objectives import AbstractObjective
from ..quadrature import AbstractRule, Cells, Quadrature
from .chunks import chunks
from .held_out import FACTOR, HeldOut
from .rounding import is_gradient

TEST_FACTOR = 2.3  # points along every axis at which the step is tested, a training point
DAMPINGS = (1e-12, 1e-16, 1e-20, 1e-24, 1e-28)  # relative to s_max^2; the test chooses among them
ENERGY_DAMPING = 1e-18  # below, the rounding of the energy's gradient drowns the step
RELIABLE = 0.1
LARGEST_COST = 2e12  # floating-point operations of one factorization


@dataclasses.dataclass(frozen=True)
class ErrorEstimate:
    """The estimated error |e| / |u| in L2 and H1.

    `unexplained` is |r - J d| / |r| at the test points: where it is above 0.1 the estimate is not
    `reliable`, and no more than a lower bound. `error` is e as a function of a point.
    """

    relative_l2: float
    relative_h1: float
    unexplained: float
    error: "Tangent"

    @property
    def corrected(self) -> "Corrected":
        """The model less its estimated error, u - e: a better solution, by one over `unexplained`.

        It is linear in the parameters' step, so nothing of the network's nonlinearity spoils it,
        and costs two evaluations of the network. Where the estimate is not reliable, nor is this.
        """
        return Corrected(self.error.model, self.error)

    @property
    def reliable(self) -> bool:
        """Whether the step explains the residual at points that it was not made for."""
        return self.unexplained <= RELIABLE


class Tangent(eqx.Module):
    """x -> d/dt u_{theta + t d}(x) at t = 0: how a step d of the parameters changes the model."""

    model: PyTree
    step: PyTree

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        params, static = _tree.trainable(self.model)
        return jax.jvp(lambda q: eqx.combine(q, static)(x), (params,), (self.step,))[1]


class Corrected(eqx.Module):
    """x -> u(x) - e(x), a model and its estimated error."""

    model: PyTree
    error: Tangent

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        return self.model(x) - self.error(x)


def estimate_error(objective: AbstractObjective, model: PyTree) -> ErrorEstimate:
    """The estimated error of a model that was trained on the points of `objective`.

    Needs rules with held-out points and a model that is a function of a point: see `Estimator`.
    """
    return Estimator(objective)(model)


class Estimator:
    """Estimates errors of models on the points of one objective, again and again.

    The norms are taken at the held-out points of the first term that lives on a whole domain, not
    on its boundary. Raises ValueError where the rules know no held-out points.
    """

    def __init__(
        self,
        objective: AbstractObjective,
        norm_points: Quadrature | None = None,
        *,
        template: AbstractObjective | None = None,
    ):
        self.made = HeldOut(objective, template=template)
        self.tested = HeldOut(objective, TEST_FACTOR, template=template)
        self.points = domain_points(objective) if norm_points is None else norm_points

    def affordable(self, model: PyTree) -> bool:
        """Whether the held-out rows can be factored in reasonable time and memory."""
        rows, params = sum(len(w) for w in self.made.weights), _tree.size(model)
        return rows * params * min(rows, params) <= LARGEST_COST

    def __call__(self, model: PyTree) -> ErrorEstimate:
        """The estimate at one model: one factorization of the held-out rows."""
        system = _rows(self.made, model)
        prepared = prepare(system, Spectral(method="qr", refine=False))
        scale = float(prepared.state.factor.singular_values[0]) ** 2
        relative = (ENERGY_DAMPING,) if system.target is None else DAMPINGS
        steps = [prepared.solve(damping=factor * scale).value for factor in relative]
        unexplained = [_unexplained(self.tested, model, step) for step in steps]
        best = int(np.argmin(np.nan_to_num(unexplained, nan=np.inf)))
        return self._measured(model, steps[best], unexplained[best])

    def _measured(self, model: PyTree, step: PyTree, unexplained: float) -> ErrorEstimate:
        error, points = Tangent(model, step), self.points
        sizes = norms(model, points.points, points.weights, True)
        errors = norms(error, points.points, points.weights, True)
        l2, h1 = (e / s if s > 0 else float("nan") for e, s in zip(errors, sizes, strict=True))
        return ErrorEstimate(l2, h1, unexplained, error)


def domain_points(objective: AbstractObjective) -> Quadrature:
    """Held-out points of the first term that lives on a whole domain, else of the largest term."""
    rules = objective.rules
    inside = [rule for rule in rules if _is_inside(rule)]
    rule = inside[0] if inside else max(rules, key=lambda rule: rule.size)
    return (rule.held_out(FACTOR) or rule).quadrature(jax.random.key(0))


def is_pointwise(model: PyTree, quadrature: Quadrature) -> bool:
    """Whether a model is a function of a point: otherwise it has no error in L2."""
    if not callable(model):
        return False
    try:
        value = jax.eval_shape(model, quadrature.points[0])
    except Exception:  # whatever it is, it does not take a point
        return False
    return isinstance(value, jax.ShapeDtypeStruct) and jnp.issubdtype(value.dtype, jnp.inexact)


def _is_inside(rule: AbstractRule) -> bool:
    if isinstance(rule, Cells):
        return all(_is_inside(cell) for cell in rule.rules)
    return isinstance(getattr(rule, "region", None), Interval | Box | SpaceTime)


def _rows(held: HeldOut, model: PyTree) -> LeastSquaresSystem:
    """The system of all held-out points as one matrix, without its rows of zeros."""
    parts = [_chunk_rows(held.objective, model, part) for part in chunks(held.batch)]
    matrix = np.concatenate([np.asarray(rows) for rows, _, _ in parts])
    kept = np.any(matrix != 0, axis=1)
    kept[0] = True  # a system has a row
    params = jax.eval_shape(lambda: _tree.trainable(model)[0])
    out = jax.ShapeDtypeStruct((int(kept.sum()),), matrix.dtype)
    operator = JacobianRows(jnp.asarray(matrix[kept]), params, out)
    if parts[0][1] is None:
        gradient = jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *(g for *_, g in parts))
        return LeastSquaresSystem(operator, gradient=gradient)
    target = np.concatenate([np.asarray(b) for _, b, _ in parts])
    return LeastSquaresSystem(operator, jnp.asarray(target[kept]))


@eqx.filter_jit
def _chunk_rows(objective: AbstractObjective, model: PyTree, batch: Any) -> tuple[Any, Any, Any]:
    """Rows, and either the target, flat, or the gradient."""
    system = objective.system(model, batch)
    assert isinstance(system.operator, JacobianRows)
    if system.target is None:
        return system.operator.matrix, None, system.gradient
    blocks = [jnp.ravel(block) for block in jax.tree.leaves(system.target)]
    return system.operator.matrix, jnp.concatenate(blocks), None


def _unexplained(held: HeldOut, model: PyTree, step: PyTree) -> float:
    """|r - J d| / |r| at the test points; for an energy how far d is from stationary there."""
    parts = [_chunk_test(held.objective, model, part, step) for part in chunks(held.batch)]
    before, after = np.sum(np.asarray(parts), axis=0)
    return 0.0 if before == 0 else float(np.sqrt(np.abs(after / before)))


@eqx.filter_jit
def _chunk_test(
    objective: AbstractObjective, model: PyTree, batch: Any, step: PyTree
) -> tuple[Array, Array]:
    """(|r|^2, |r - J d|^2); for an energy with gradient g and Hessian H (d.H d, g.d - d.H d)."""
    params, static = _tree.trainable(model)

    def right_hand_side(q: PyTree) -> PyTree:
        return objective.evaluate(eqx.combine(q, static), batch).right_hand_side

    r, change = jax.jvp(right_hand_side, (params,), (step,))
    if is_gradient(r, params):
        curvature = _tree.dot(step, change)
        return curvature, _tree.dot(r, step) - curvature
    left = _tree.subtract(r, change)
    return _tree.dot(r, r), _tree.dot(left, left)
