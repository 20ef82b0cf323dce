"""How much to regularize: one training for each of several weights of a regularizing term.

Measurements with noise determine a field only as far as something keeps it smooth. Too small a
weight of the term that does so lets the field follow the noise, too large a one forgets what was
measured. Three rules choose: the corner of the L-curve (Hansen 1992, doi:10.1137/1034115), the
discrepancy principle (Morozov 1966), and generalized cross validation (Golub, Heath and Wahba 1979,
doi:10.1080/00401706.1979.10489751).
"""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..geometry.quadrature import Quadrature
from ..objectives import ResidualObjective, is_data
from .accepted import key_of, optimizer_of
from .advance import Carry, advance, as_arrays
from .setup import batch_of

APART = 0.03  # of the width and height of an L-curve: nearer points count as one
WRONG_WAY = 0.05  # of a misfit or penalty: more shows that a training was too short
SMALLEST = 1e-24  # of the square of the largest singular value: rows below are rounding error


@dataclasses.dataclass(frozen=True)
class RegularizationPath:
    """Models for the same data and several weights of a regularizing term, weights ascending.

    `misfits` are sums of (of(u, x_i) - values_i)^2 / sigma_i^2 over all `count` measured numbers,
    `penalties` the sums of squares of the regularizing term at weight one, and `freedoms`
    the degrees of freedom tr(A_d (A^T A)^-1 A_d^T) of the fit, where A_d are the data's rows among
    all rows A: how many numbers the model takes from the measurements.
    """

    weights: np.ndarray
    misfits: np.ndarray
    penalties: np.ndarray
    freedoms: np.ndarray
    count: int
    models: tuple[PyTree, ...]

    @property
    def corner(self) -> int:
        """The place of the weight at the corner of the L-curve. It needs no knowledge of sigma.

        Both logarithms are scaled to [0, 1]. Points that crowd together, as they do where the curve
        hardly moves, count as one, and of the others the one is taken where the circle through it
        and its two neighbors turns left most sharply (Menger's curvature).
        """
        x, y = (_unit(np.log(values)) for values in (self.misfits, self.penalties))
        return _sharpest_left_turn(x, y)

    @property
    def discrepancy(self) -> int:
        """The place of the largest weight whose misfit is not above its expectation, `count`.

        It trusts sigma. Zero where all weights miss the data by more than their noise.
        """
        fitting = np.flatnonzero(self.misfits <= self.count)
        return int(fitting[-1]) if fitting.size else 0

    @property
    def generalized_cross_validation(self) -> np.ndarray:
        """misfit / count / (1 - freedom / count)^2 of every weight, an estimate of how a model
        predicts data that were left out, up to a factor."""
        return self.misfits / self.count / (1 - self.freedoms / self.count) ** 2

    @property
    def cross_validated(self) -> int:
        """The place of the least generalized cross validation. It needs no knowledge of sigma."""
        return int(np.argmin(self.generalized_cross_validation))


def l_curve(
    objective: ResidualObjective,
    model: PyTree,
    weights: Sequence[float] | np.ndarray,
    *,
    term: str = "regularization",
    optimizer: Any = "engd-tr",
    steps: int = 50,
    key: Any = 0,
) -> RegularizationPath:
    """Train once for each weight of the term called `term`, largest first, each from the last.

    Each of `weights` multiplies the weight that the term has. Measurements are the terms made by
    `Data`. All trainings share one compiled program, in which the weight is an argument, and make
    at most `steps` steps on the points of the objective, which do not grow.

    Warns where misfit or penalty are not monotone in the weight, as those of minimizers are.
    Raises ValueError for fewer than three weights or one that is not positive, for an objective
    without a term of that name or without `Data`, and for an optimizer that is not compiled.
    """
    ascending, place = _checked_weights(weights), _place_of(objective, term)
    optimizer, key = optimizer_of(optimizer), key_of(key)
    if not optimizer.jittable:
        raise ValueError(
            f"{type(optimizer).__name__} runs in Python, but the trainings of an L-curve share one "
            'compiled program: take "engd-tr".'
        )
    batch, model = as_arrays(batch_of(objective, key, 0)), as_arrays(model)
    objective.check(model, batch)
    models, numbers = [], []
    for weight in ascending[::-1]:
        scaled = _with_weight(batch, place, weight)
        model = _trained(optimizer, objective, model, scaled, key, steps)
        models.insert(0, model)
        numbers.insert(0, np.asarray(_misfit_penalty_freedom(objective, model, scaled, place)))
    misfits, penalties, freedoms = np.transpose(numbers)
    _warn_unless_monotone(misfits, penalties / ascending, steps)
    count = _count(objective)
    return RegularizationPath(
        ascending, misfits, penalties / ascending, freedoms, count, tuple(models)
    )


def _warn_unless_monotone(misfits: np.ndarray, penalties: np.ndarray, steps: int) -> None:
    """Minimizers have larger misfits and smaller penalties for larger weights, always."""
    falling, rising = -np.diff(np.log(misfits)), np.diff(np.log(penalties))
    if max(falling.max(), rising.max()) > WRONG_WAY:
        warnings.warn(
            f"the misfit does not rise, or the penalty does not fall, with the weight: {steps} "
            "steps were not enough for some of the weights, so take more.",
            UserWarning,
            stacklevel=3,
        )


def _unit(values: np.ndarray) -> np.ndarray:
    """Values mapped to [0, 1]."""
    return (values - values.min()) / (np.ptp(values) or 1.0)


def _sharpest_left_turn(x: np.ndarray, y: np.ndarray) -> int:
    """The point of a polygon with the largest signed curvature; its ends are never taken."""
    kept = [0]
    for i in range(1, len(x)):
        if np.hypot(x[i] - x[kept[-1]], y[i] - y[kept[-1]]) >= APART:
            kept.append(i)
    points = np.stack([x[kept], y[kept]], axis=1)
    if len(kept) < 3:
        return len(x) // 2
    before, after = np.diff(points[:-1], axis=0), np.diff(points[1:], axis=0)
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    sides = [np.linalg.norm(side, axis=1) for side in (before, after, before + after)]
    return kept[1 + int(np.argmax(2 * cross / np.prod(sides, axis=0)))]


def _trained(
    optimizer: Any, objective: Any, model: PyTree, batch: Any, key: Any, steps: int
) -> PyTree:
    """The model after at most so many steps with one batch."""
    carry = Carry(model, model, as_arrays(optimizer.init(model, objective, batch)))
    start, limit = np.asarray(0, np.int32), np.asarray(steps, np.int32)
    return _advance(steps, optimizer, objective, carry, batch, key, start, limit)[0].model


_advance = eqx.filter_jit(advance)


def _with_weight(
    batch: tuple[Quadrature, ...], place: int, weight: float
) -> tuple[Quadrature, ...]:
    """A batch whose term at `place` counts `weight` times: the weight is data, as points are."""
    rule = batch[place]
    heavier = eqx.tree_at(lambda r: r.weights, rule, weight * rule.weights)
    return (*batch[:place], heavier, *batch[place + 1 :])


@eqx.filter_jit
def _misfit_penalty_freedom(
    objective: ResidualObjective, model: PyTree, batch: tuple[Quadrature, ...], place: int
) -> Float[Array, "3"]:
    """Squares of the data's residuals and of the regularizing term, and degrees of freedom."""
    blocks = objective.residuals(model, batch)
    squares = jnp.stack([jnp.sum(block**2) for block in blocks])
    measured = np.asarray([is_data(term) for term in objective.terms])
    of_data = np.repeat(measured, [block.size for block in blocks])
    rows = objective.system(model, batch).operator.as_matrix()
    u, s, _ = jnp.linalg.svd(rows, full_matrices=False)
    filters = s**2 / (s**2 + SMALLEST * s[0] ** 2)
    freedom = jnp.sum(jnp.where(of_data[:, None], u, 0.0) ** 2 * filters)
    return jnp.stack([jnp.sum(jnp.where(measured, squares, 0.0)), squares[place], freedom])


def _count(objective: ResidualObjective) -> int:
    """How many numbers were measured."""
    rules = [term.rule.quadrature() for term in objective.terms if is_data(term)]
    return sum(rule.values[:, 0].size for rule in rules if rule.values is not None)


def _checked_weights(weights: Any) -> np.ndarray:
    found = np.unique(np.asarray(weights, float))
    if found.ndim != 1 or found.size < 3 or not np.all(np.isfinite(found) & (found > 0)):
        raise ValueError(
            f"`weights` are {weights!r}: a curve takes three different positive numbers or more, "
            "such as `numpy.logspace(-4, 4, 9)`."
        )
    return found


def _place_of(objective: ResidualObjective, term: str) -> int:
    names = objective.term_names
    if names.count(term) != 1:
        raise ValueError(
            f"{names.count(term)} terms are called '{term}', but one has to be: the terms are "
            f"{', '.join(names)}."
        )
    if not any(is_data(other) for other in objective.terms):
        raise ValueError(
            "no term is a measurement with a known noise: make one with `Data(points, values, "
            "sigma)`."
        )
    return names.index(term)
