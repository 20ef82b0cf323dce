"""What a named optimizer is: a record of settings that builds an optimizer."""

import abc
from typing import Annotated, Any, ClassVar

import equinox as eqx
import lineax as lx
import optax

from ..._settings import SHARED, Count, Fraction, Positive, check_fields
from ...linalg import get_solver
from ..base import AbstractOptimizer
from ..damping import AbstractDamping, damping_rule
from ..minibatch.schedules import schedule

Solver = lx.AbstractLinearSolver | str


class AbstractPreset(eqx.Module):
    """The settings of a named optimizer, and how the optimizer is built of them.

    Every field is a setting. Its annotation says what it may be, its default is the value that the
    name stands for, and the first line of the class's docstring describes the optimizer. `bibtex`
    are the entries that `citation` prints. With `averaged` the name has the setting `average` too
    (see `Averaged`).
    """

    bibtex: ClassVar[tuple[str, ...]] = ()
    averaged: ClassVar[bool] = False

    def __check_init__(self):
        check_fields(self)

    @abc.abstractmethod
    def build(self) -> AbstractOptimizer:
        """The optimizer with these settings; raises ValueError for names that do not exist."""


class AbstractScheduled(AbstractPreset):
    """A learning rate `rate`, and the `schedule` by which it changes in `decay_steps` steps."""

    averaged: ClassVar[bool] = True
    rate: Positive = 0.1
    schedule: Annotated[str, SHARED] = "constant"
    decay_steps: Annotated[Count, SHARED] = 1000

    def learning_rate(self) -> Any:
        """The rate as a function of the step."""
        return schedule(self.schedule, self.rate, self.decay_steps)


class AbstractDescent(AbstractScheduled):
    """Plain descent, or heavy-ball descent where `momentum` is positive."""

    momentum: Fraction = 0.9

    def transformation(self) -> optax.GradientTransformation:
        """-rate times the accumulated direction."""
        return optax.sgd(self.learning_rate(), momentum=self.momentum or None)


class AbstractDamped(AbstractPreset):
    """The first `damping` of a minibatch natural gradient, and how it adapts (`adaption`)."""

    damping: Positive = 1.0
    adaption: str = "fixed"

    def damping_rule(self) -> AbstractDamping:
        """The rule by which the damping goes from step to step."""
        return damping_rule(self.adaption, self.damping)


def solver_of(solver: Solver) -> lx.AbstractLinearSolver:
    """The solver that is meant by its name or by itself; ValueError for an unknown name."""
    return get_solver(solver) if isinstance(solver, str) else solver
