"""An error estimate without an exact solution: one Gauss-Newton step that is not taken.

Let r be the residual of a model u at held-out points and J its Jacobian there. The step
d = argmin |r - J d|^2 + damping |d|^2 leads towards the solution, and e = J_u d, the change of u
along it, is the error of u in the network's tangent space. Whether the error lies there is tested
at yet other points: where r - J d is small against r, the linearized equation J_u d = u - u* holds
between the points too.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PyTree

from .. import _tree
from ..evaluation.errors import norms_of_both
from ..geometry.quadrature import AbstractRule, Cells, Quadrature
from ..geometry.region import AbstractRegion
from ..linalg import LeastSquaresSystem, Spectral, prepare
from ..objectives import AbstractObjective
from .energies import energy_error, relatives_needed
from .held_out import FACTOR, FEWEST, HeldOut
from .remainder import PointsOfTest
from .rounding import is_energy
from .rows import held_out_system, row_count
from .spaces import Tangent, TangentSum

TEST_FACTOR = 2.3  # points along every axis at which the step is tested, a training point
LARGEST_TEST = 32768  # of these points; of more a part is drawn
DAMPINGS = (1e-12, 1e-16, 1e-20, 1e-24, 1e-28)  # relative to s_max^2; the test chooses among them
RELIABLE = 0.1  # of the residual unexplained
UNKNOWN = 0.5  # above, the estimate says nothing
LARGEST_COST = 1e11  # rows x parameters x the smaller of both, of one factorization
REDUCED_COST = 2e10  # of a part of the rows, where all of them would cost more
LARGEST_MATRIX = 1.5e8  # numbers in this part: 1.2 GB
LAST_DIGITS = 50.0  # units of rounding: no corrected solution is claimed to be better


@dataclasses.dataclass(frozen=True)
class ErrorEstimate:
    """The estimated error |e| / |u - e| in L2 and H1, not a number where it is not known.

    `unexplained` is the largest |r - J d| / |r| of a term at the test points (for energies see
    `energy_error`): where it is above 0.1 the estimate is not `reliable` and no more than a lower
    bound, and above 0.5 the error is not known. `error` is e as a function of a point. `left` is
    the same ratio for the residual of u - e itself, whose equation may be nonlinear, in place of
    r - J d; None where it was not evaluated. `spread` tells by how much steps of other damping
    disagree: the difference |e - e'| / |u - e| to the step d' that explains the residual second
    best, times the root of the ratio of what d and d' leave unexplained.
    """

    relative_l2: float
    relative_h1: float
    unexplained: float
    error: Callable[[Array], Array]
    model: PyTree
    left: float | None = None
    spread: float = 0.0

    @property
    def corrected(self) -> "Corrected":
        """The model less its estimated error, u - e: a better solution, by one over `unexplained`.

        It is linear in the parameters' step, so nothing of the network's nonlinearity spoils it,
        and costs two evaluations of the network. Where the estimate is not reliable, nor is this.
        """
        return Corrected(self.model, self.error)

    @property
    def solution(self) -> Any:
        """`corrected` where that is reliably estimated to be better, else the model itself."""
        return self.corrected if self.corrects else self.model

    @property
    def corrects(self) -> bool:
        """Whether `corrected` is reliably estimated to be better than the model."""
        return self.reliable and self.corrected_l2 < self.relative_l2

    @property
    def corrected_l2(self) -> float:
        """The relative L2 error that `corrected` is estimated to have.

        That of the model, times the part of the residual that is `left`. Where this was not
        evaluated, as for energies, times the larger of `unexplained` and the error itself, by which
        Newton's method falls short for a nonlinear equation. Not less than `spread`: a residual may
        hardly feel a slow part of the error beside a fast one, which the steps then disagree on.
        Not less than rounding, which for an energy, quadratic in the error, is the root of that of
        residuals.
        """
        left = max(self.unexplained, self.relative_l2) if self.left is None else self.left
        eps = float(jnp.finfo(jnp.result_type(float)).eps)
        rounding = eps**0.5 if isinstance(self.error, TangentSum) else LAST_DIGITS * eps
        return max(self.relative_l2 * left, self.spread, rounding)

    def is_below(self, tolerance: float, *, corrected: bool = False) -> bool:
        """Whether the error of the model, or of what is `corrected`, is reliably that small."""
        error = min(self.corrected_l2, self.relative_l2) if corrected else self.relative_l2
        return self.reliable and error <= tolerance

    def error_of(self, of: Callable[[PyTree], Any]) -> Float[Array, "..."]:
        """The estimated error of `of(model)`, such as an unknown coefficient, `lambda m: m.k`.

        It is the derivative of `of` along the step d: `of(model)` minus it is the better value.
        Raises ValueError for an energy, whose error is not one of the model's own parameters.
        """
        if not isinstance(self.error, Tangent):
            raise ValueError(
                "the error of an energy is estimated in other functions than those of the model's "
                "parameters, so that it tells nothing of a coefficient."
            )
        return self.error.along(lambda model: jnp.asarray(of(model)))[1]

    @property
    def reliable(self) -> bool:
        """Whether the step explains the residual at points that it was not made for."""
        return self.unexplained <= RELIABLE

    @property
    def known(self) -> bool:
        """Whether the step explains enough to tell a number, be it a lower bound."""
        return self.unexplained <= UNKNOWN


class Corrected(eqx.Module):
    """x -> u(x) - e(x), a model and its estimated error.

    Other numbers of the model, such as an unknown coefficient `u.k`, are corrected alike: by their
    derivative along the step.
    """

    model: PyTree
    error: Callable[[Array], Array]

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        return self.model(x) - self.error(x)

    def __getattr__(self, name: str) -> Inexact[Array, "..."]:
        if name.startswith("_") or not isinstance(self.error, Tangent):
            raise AttributeError(name)
        if not eqx.is_inexact_array(getattr(self.model, name)):
            raise AttributeError(f"of a corrected model only numbers are known, not `{name}`.")
        value, change = self.error.along(lambda model: getattr(model, name))
        return value - change


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
        self.objectives = objective, objective if template is None else template
        self.made = HeldOut(objective, template=template)
        tested = HeldOut(objective, TEST_FACTOR, template=template)
        self.tested = tested.thinned(LARGEST_TEST, FEWEST)
        self.points = domain_points(objective) if norm_points is None else norm_points
        self._rows: int | None = None

    def of_energy(self, model: PyTree) -> bool:
        """Whether the objective answers to a step with a gradient, not with residuals."""
        return is_energy(self.made.objective, model, self.made.batch)

    def affordable(self, model: PyTree) -> bool:
        """Whether the error can be estimated in reasonable time and memory.

        That of an energy needs more points than unknowns. For residuals a part of the held-out
        points serves where all of them are too many: see `factored`.
        """
        if not self.of_energy(model):
            return True
        params = _tree.size(model) * (1 + 2 * relatives_needed(model))
        return _cost(max(self.rows(model), params), params) <= LARGEST_COST

    def rows(self, model: PyTree) -> int:
        """How many rows all held-out points have: one for each component of each of them."""
        if self._rows is None:
            self._rows = row_count(self.made, model)
        return self._rows

    def factored(self, model: PyTree) -> HeldOut:
        """The held-out points whose rows are factored.

        All of them, where this is affordable, else a random part: its step has the smallest norm
        of those that fit it, and the test points tell whether it is worth anything between.
        """
        params = _tree.size(model)
        if _cost(self.rows(model), params) <= LARGEST_COST:
            return self.made
        rows = (REDUCED_COST / params) ** 0.5
        if rows > params:
            rows = REDUCED_COST / params**2
        points = min(rows, LARGEST_MATRIX / params) * self.made.size / self.rows(model)
        return self.made.thinned(max(1, int(points)))

    def __call__(self, model: PyTree) -> ErrorEstimate:
        """The estimate at one model: one factorization of the held-out rows."""
        if self.of_energy(model):
            return self._measured(model, *energy_error(*self.objectives, model))
        steps = _damped_steps(held_out_system(self.factored(model), model))
        tested = PointsOfTest(self.tested, model)
        unexplained = [tested.unexplained(step) for step in steps]
        best, second = np.argsort(unexplained, stable=True)[:2]  # what is not a number comes last
        error, least = Tangent(model, steps[best]), unexplained[best]
        if not least <= RELIABLE:
            return self._measured(model, error, least)
        # The difference is the error of the second best step. That of the best one is smaller, by
        # the ratio of their residuals where all of the error is felt alike, and by less elsewhere.
        share = (least / (unexplained[second] or 1.0)) ** 0.5
        apart = jax.tree.map(lambda a, b: share * (a - b), steps[best], steps[second])
        left = tested.left(Corrected(model, error))
        return self._measured(model, error, least, left, Tangent(model, apart))

    def _measured(
        self,
        model: PyTree,
        error: Any,
        unexplained: float,
        left: float | None = None,
        apart: Tangent | None = None,
    ) -> ErrorEstimate:
        """Norms relative to u - e, which is the solution where the estimate is right: a model far
        from it may be much larger or smaller."""
        points = self.points.points, self.points.weights
        sizes, errors = norms_of_both((Corrected(model, error), error), *points)
        l2, h1 = (e / s if s > 0 else float("nan") for e, s in zip(errors, sizes, strict=True))
        if not unexplained <= UNKNOWN:
            l2 = h1 = float("nan")
        spread = 0.0
        if apart is not None and sizes[0] > 0:
            spread = norms_of_both((Corrected(model, apart), apart), *points)[1][0] / sizes[0]
        return ErrorEstimate(l2, h1, unexplained, error, model, left, spread)


def _cost(rows: int, params: int) -> int:
    return rows * params * min(rows, params)


@eqx.filter_jit
def _damped_steps(system: LeastSquaresSystem) -> list[PyTree]:
    """A step for each of `DAMPINGS`, of one factorization, compiled as one program."""
    prepared = prepare(system, Spectral(method="qr", refine=False))
    scale = prepared.state.factor.singular_values[0] ** 2
    dampings = jnp.asarray(DAMPINGS, scale.dtype) * scale
    steps = jax.lax.map(lambda damping: prepared.solve(damping=damping).value, dampings)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], steps) for i in range(len(DAMPINGS))]


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
    region = getattr(rule, "region", None)
    return isinstance(region, AbstractRegion) and region.fills_space
