"""Residuals at points that training never sees."""

import copy
import dataclasses

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, PyTree

from ..geometry.quadrature import Quadrature
from ..geometry.quadrature.base import drawn
from ..objectives import AbstractObjective, distinct_names
from .chunks import chunks

FACTOR = 1.6  # held-out points a training point, along every axis
FEWEST = 512  # points of a term, where only a part of all points is evaluated


@dataclasses.dataclass(frozen=True)
class Look:
    """An objective at held-out points.

    `loss` is the sum of the `terms`, which are losses by name; `masses` what each point adds to
    the loss, an array a term. `worst` names the term with the largest residual, `where` the point.
    `equations` is what every named equation of a system adds.
    """

    loss: float
    terms: dict[str, float]
    masses: tuple[np.ndarray, ...]
    worst: str
    where: tuple[float, ...]
    equations: dict[str, float] = dataclasses.field(default_factory=dict)


class HeldOut:
    """An objective on its held-out points: `factor` times as many along every axis, and others.

    `template` is an objective with the same terms, whatever their points, to share compiled code.
    A term whose rule knows no held-out points keeps its own. Raises ValueError where no term has
    any: ask `can_hold_out` before.
    """

    def __init__(
        self,
        objective: AbstractObjective,
        factor: float = FACTOR,
        *,
        template: AbstractObjective | None = None,
    ):
        if not can_hold_out(objective):
            raise ValueError(
                "no rule of the objective has held-out points: give `held_out` to your own rules, "
                "or take GaussLegendre, Sobol, MonteCarlo, Trapezoid or Equispaced."
            )
        rules = [rule.held_out(factor) or rule for rule in objective.rules]
        self.batch: tuple[Quadrature, ...] = objective.with_rules(rules).batch(jax.random.key(0))
        # Compiled functions know an objective by its structure: with rules of its own every set of
        # held-out points would compile anew, although the points are an argument.
        self.objective = objective if template is None else template
        self.weights = [np.asarray(rule.weights) for rule in self.batch]

    @property
    def size(self) -> int:
        """How many points there are."""
        return sum(len(weights) for weights in self.weights)

    def thinned(self, count: int, fewest: int = 1) -> "HeldOut":
        """About `count` of the points, as `part_of` draws them, for all of them."""
        part = part_of(self.batch, count, fewest)
        if part is self.batch:
            return self
        fewer = copy.copy(self)
        fewer.batch = part
        fewer.weights = [np.asarray(rule.weights) for rule in fewer.batch]
        return fewer

    def __call__(self, model: PyTree) -> Look:
        """Losses of all terms, and where the largest residual is."""
        masses, equations = losses_of(self.objective, model, self.batch)
        sums = [float(mass.sum()) for mass in masses]
        names = distinct_names(self.objective.term_names)
        worst, point = self._largest(masses)
        terms = dict(zip(names, sums, strict=True))
        return Look(sum(sums), terms, masses, names[worst], point, equations)

    def _largest(self, masses: tuple[np.ndarray, ...]) -> tuple[int, tuple[float, ...]]:
        """Term and point of the largest squared residual, term weights included."""
        pairs = zip(masses, self.weights, strict=True)
        sizes = [np.nan_to_num(mass / weights, nan=np.inf) for mass, weights in pairs]
        term = int(np.argmax([size.max() for size in sizes]))
        point = self.batch[term].points[int(np.argmax(sizes[term]))]
        return term, tuple(float(x) for x in point)


def part_of(batch: tuple[Quadrature, ...], count: int, fewest: int = 1) -> tuple[Quadrature, ...]:
    """About `count` of the points of a batch, drawn at random in every term, always the same.

    Of a term no fewer than `fewest`, where it has as many. Weights grow as the number of points
    falls, so that sums keep their expectation. Points with test functions stay whole and do not
    count.
    """
    sizes = [0 if rule.tests is not None else rule.weights.size for rule in batch]
    if count >= sum(sizes):
        return batch
    share = count / sum(sizes)
    shares = [max(share, min(1.0, fewest / max(1, size))) for size in sizes]
    keys = jax.random.split(jax.random.key(0), len(batch))
    return tuple(drawn(*parts) for parts in zip(batch, keys, shares, strict=True))


class AsGiven:
    """An objective on its own points, where no rule knows others."""

    def __init__(self, objective: AbstractObjective):
        self.objective, self.batch = objective, objective.batch(jax.random.key(0))


def masses_of(
    objective: AbstractObjective, model: PyTree, batch: tuple[Quadrature, ...]
) -> tuple[np.ndarray, ...]:
    """What each point of a batch adds to the loss, an array a term."""
    return losses_of(objective, model, batch)[0]


def losses_of(
    objective: AbstractObjective, model: PyTree, batch: tuple[Quadrature, ...]
) -> tuple[tuple[np.ndarray, ...], dict[str, float]]:
    """What each point of a batch adds to the loss, an array a term, and what every named equation
    adds. The residuals are evaluated once for both."""
    parts = [_losses(objective, model, part) for part in chunks(batch)]
    masses = tuple(
        np.concatenate([np.asarray(part[i]) for part, _ in parts])[: rule.weights.size]
        for i, rule in enumerate(batch)
    )
    return masses, {name: sum(float(part[name]) for _, part in parts) for name in parts[0][1]}


def can_hold_out(objective: AbstractObjective) -> bool:
    """Whether a rule of the objective knows of points that training does not use."""
    return any(rule.held_out() is not None for rule in objective.rules)


@eqx.filter_jit
def _losses(
    objective: AbstractObjective, model: PyTree, batch: tuple[Quadrature, ...]
) -> tuple[tuple[Array, ...], dict[str, Array]]:
    """Both call for the same residuals, which the compiler evaluates once."""
    return objective.point_losses(model, batch), objective.equation_losses(model, batch)
