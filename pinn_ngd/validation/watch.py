"""What a run knows of its own error while it trains, and what it does about it."""

import math
from typing import Any

from jaxtyping import PyTree

from ..objectives import AbstractObjective
from .estimate import ErrorEstimate, Estimator, domain_points, is_pointwise
from .held_out import FEWEST, HeldOut, Look, can_hold_out, losses_of, part_of
from .mesh import Mesh, as_mesh, enriched, refined, rules_of, starting_mesh
from .rounding import is_energy

GAP = 4.0  # held-out over training loss from which on more points can help
FALLING = 0.5  # of the last held-out loss: below, it still follows
SMOOTH = 0.1  # of the held-out loss at the last growth: below, higher order pays more than cells
ENERGY_GAP = 1e-8  # of the energy: quadrature errors below are left alone
NEGLIGIBLE = 1e-20  # of the held-out loss at the start: residuals smaller by 1e10 are left alone
SOLVED = 1e-6  # of the held-out loss at the start: residuals smaller by a thousand
LARGEST_GROWTH = 64  # times the rows of the start
LARGEST_LOOK = 16384  # points after a call; of more a part, always the same, shows the losses

Numbers = dict[str, float]


class Watch:
    """Held-out residuals, the error estimate and the points of one run.

    `objective` is the objective on the present points; `refine` puts more of them where they are
    needed. Everything that it decides follows from models and losses, never from the clock, so
    that a resumed run grows as the one that was not cut: `state` is all that a checkpoint needs.
    Without held-out points (or with rules of unknown kind) it only looks on, or does nothing.

    `cells` are the `mesh_before_growth` of an earlier run of the same terms, to begin with; raises
    ValueError for those of other terms.
    """

    def __init__(self, objective: Any, *, grow: bool, cells: Mesh = ()):
        self.original, self.objective = objective, objective
        self.grow = grow and not objective.resampled
        self.held: HeldOut | None = None
        self.seen: HeldOut | None = None
        self.look: Look | None = None
        self.estimator: Estimator | None = None
        self.estimate: ErrorEstimate | None = None
        self.mesh: Mesh = ()
        self.mesh_before_growth: Mesh = ()  # or that of the start
        self.pending, self.of_energy = False, False
        self.start_loss, self.before, self.grown_at = math.nan, math.inf, math.inf
        if isinstance(objective, AbstractObjective) and can_hold_out(objective):
            self.norm_points = domain_points(objective)
            self.mesh_before_growth = _checked(cells, objective)
            self._place(self.mesh_before_growth)

    @property
    def points(self) -> int:
        """How many training points there are."""
        return sum(rule.size for rule in self.objective.rules)

    @property
    def is_negligible(self) -> bool:
        """Whether the held-out loss is so small against the start that it is left alone."""
        return self.look is not None and self.look.loss <= NEGLIGIBLE * self.start_loss

    @property
    def needs_time(self) -> bool:
        """Whether more steps may help: the held-out loss is above `SOLVED` of its start, and points
        may grow. On fixed points they need not change it, and energies have no zero."""
        loss = self.before if self.look is None else self.look.loss
        return self.grow and not self.of_energy and loss > SOLVED * self.start_loss

    @property
    def state(self) -> dict[str, Any]:
        """What decisions depend on, as plain numbers and tuples."""
        before = self.before if self.look is None else self.look.loss
        losses = {"start": self.start_loss, "before": before, "grown_at": self.grown_at}
        meshes = {"mesh": self.mesh, "mesh_before_growth": self.mesh_before_growth}
        return {**meshes, "pending": self.pending, **losses}

    def restore(self, state: dict[str, Any], model: PyTree = None) -> None:
        """Take up the `state` of an earlier run, of the model that it had if that goes on."""
        if self.held is None:
            return
        self._place(as_mesh(state["mesh"]))
        if "mesh_before_growth" in state:  # older checkpoints have none
            self.mesh_before_growth = as_mesh(state["mesh_before_growth"])
        self.start_loss, self.before = state["start"], state["before"]
        self.grown_at, self.pending = state["grown_at"], state["pending"]
        if model is not None:
            self._choose_points(model)

    def start(self, model: PyTree) -> None:
        """Remember the held-out loss of the model that the run starts from."""
        if self.held is None:
            return
        self._choose_points(model)
        if math.isnan(self.start_loss):
            self.look = self._looked_at(self.held)(model)
            self.start_loss = self.before = self.look.loss

    def look_at(self, model: PyTree, batch: Any) -> Numbers:
        """Evaluate the residuals, held-out ones and those of the batch that the model was trained
        on, term by term; returns numbers for the history.

        Of both at most `LARGEST_LOOK` points, so that a look costs little beside a step that
        takes a part of the points itself; of energies all, since quadrature errors count.
        """
        if self.seen is None:
            return {}
        self.before = self.look.loss if self.look is not None else self.before
        self.look, self.estimate = self.seen(model), None
        part = batch if self.of_energy else part_of(batch, LARGEST_LOOK, FEWEST)
        trained, equations = losses_of(self.original, model, part)
        losses = {"held_out_loss": self.look.loss}
        for (name, held_out), mass in zip(self.look.terms.items(), trained, strict=True):
            losses |= {f"loss_{name}": float(mass.sum()), f"held_out_{name}": held_out}
        for label, found in (("loss", equations), ("held_out", self.look.equations)):
            losses |= {f"{label}_{name}": loss for name, loss in found.items()}
        return {**losses, "points": self.points}

    def gap(self, training_loss: float, *, stalled: bool = False) -> bool:
        """Whether the held-out loss no longer follows the training loss down.

        A gap alone is harmless while the held-out loss still falls. In a run that `stalled` it
        does not. Energies have no zero to compare with: there the quadrature error, which is the
        difference of the two, counts against the energy.
        """
        if self.look is None:
            return False
        if self.of_energy:
            return self._energy_gap(training_loss, stalled)
        least = max(GAP * training_loss, NEGLIGIBLE * self.start_loss)
        if not self.look.loss > least:
            return False
        return stalled or not self.look.loss < FALLING * self.before

    def _energy_gap(self, training_energy: float, stalled: bool) -> bool:
        assert self.look is not None
        size = ENERGY_GAP * max(abs(self.look.loss), abs(training_energy))
        if not self.look.loss - training_energy > size:
            return False
        return stalled or not self.look.loss < self.before - size

    def refine(self, model: PyTree) -> bool:
        """Add points for `model`, that of the last look; False where that is not allowed or not
        possible.

        The first time all cells get more of them, and again where the last growth let the held-out
        loss fall tenfold: then the solution is smooth between the points. Otherwise cells are cut,
        where the held-out residual is large first.
        """
        if not self.grow or self.held is None or self.look is None:
            return False
        if self.look.loss < SMOOTH * self.grown_at:
            mesh = enriched(self.original, self.mesh)
        else:
            where = [rule.points for rule in self.held.batch]
            everywhere = self.look if self.seen is self.held else self.held(model)
            mesh = refined(self.original, self.mesh, where, everywhere.masses)
        rows = sum(rule.size for rule in rules_of(self.original, mesh))
        start = sum(rule.size for rule in self.original.rules)
        if mesh == self.mesh or rows > LARGEST_GROWTH * start:
            return False
        self.grown_at, self.mesh_before_growth = self.look.loss, self.mesh
        self._place(mesh)
        return True

    def refine_at(self, model: PyTree) -> bool:
        """Make up for a refinement that was due when an earlier run ended."""
        self.pending = False
        if self.held is not None:
            self._choose_points(model)
        self.look = None if self.seen is None else self.seen(model)
        return self.refine(model)

    def measure(self, model: PyTree) -> Numbers:
        """Estimate the error; returns numbers for the history, as far as they are known."""
        if self.estimator is None:
            self.estimator = Estimator(self.objective, self.norm_points, template=self.original)
        if not is_pointwise(model, self.norm_points) or not self.estimator.affordable(model):
            return {}
        self.estimate = found = self.estimator(model)
        numbers = {"unexplained": found.unexplained}
        if found.known:
            numbers["estimated_relative_l2"] = found.relative_l2
            numbers["estimated_relative_h1"] = found.relative_h1
        if found.reliable:
            numbers["estimated_corrected_l2"] = found.corrected_l2
        return numbers

    def _choose_points(self, model: PyTree) -> None:
        """Which points a look takes: that depends on what the objective is for this model."""
        assert self.held is not None
        self.of_energy = is_energy(self.original, model, self.held.batch)
        self.seen = self._looked_at(self.held)

    def _looked_at(self, held: HeldOut) -> HeldOut:
        return held if self.of_energy else held.thinned(LARGEST_LOOK, FEWEST)

    def _place(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.objective = self.original.with_rules(rules_of(self.original, mesh))
        self.held = HeldOut(self.objective, template=self.original)
        self.seen = self._looked_at(self.held)
        self.estimator = None


def _checked(cells: Mesh, objective: Any) -> Mesh:
    """The mesh to begin with."""
    start = starting_mesh(objective)
    if not cells:
        return start
    if len(cells) != len(start):
        raise ValueError(
            f"`cells` are of {len(cells)} terms, and the objective has {len(start)}: give those of "
            "a run with the same terms."
        )
    return cells
