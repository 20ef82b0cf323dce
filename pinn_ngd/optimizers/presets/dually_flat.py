"""Named optimizers of exponential families: the metric is inverted by its map of coordinates."""

import abc
from typing import Annotated, ClassVar

import optax

from ..._settings import SHARED, Count, Positive
from ...linalg import InverseJacobian
from ...metrics import DuallyFlat
from ..base import AbstractOptimizer
from ..damping import Undamped
from ..minibatch.base_points import (
    AbstractBasePoint,
    AuxiliaryDescent,
    Iterate,
    Renewed,
    RunningStatistics,
)
from ..minibatch.directions import Exact
from ..minibatch.natural_gradient import MinibatchNaturalGradient
from .citations import cited
from .preset import AbstractScheduled


class AbstractDuallyFlat(AbstractScheduled):
    """theta <- theta - rate_k F(zeta)^-1 g, with rate_k = rate / (1 + k / decay_steps) by default.

    F is the Fisher matrix of the model's exponential family at the base point zeta. In the end the
    default rates are 1 / k, which is what makes the metric at the truth efficient.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("dually-flat", "convergent", "natural", "lineax")
    rate: Positive = 0.1
    schedule: Annotated[str, SHARED] = "inverse"
    decay_steps: Annotated[Count, SHARED] = 10

    @abc.abstractmethod
    def base_point(self) -> AbstractBasePoint:
        """Where the metric is measured."""

    def build(self) -> AbstractOptimizer:
        return MinibatchNaturalGradient(
            Exact(InverseJacobian()),
            optax.sgd(self.learning_rate()),
            Undamped(),
            DuallyFlat(),
            self.base_point(),
        )


class SNGD(AbstractDuallyFlat):
    """Natural gradient of an exponential family, in the metric at the iterate.

    The metric is renewed every `every` steps only: MOD(every) of the authors.
    """

    every: Count = 1

    def base_point(self) -> AbstractBasePoint:
        return Iterate() if self.every == 1 else Renewed(self.every)


class MEGD(AbstractDuallyFlat):
    """Gradient descent of an exponential family, in the metric at the start: maximum entropy."""

    def base_point(self) -> AbstractBasePoint:
        return Renewed()


class CSNGD(AbstractDuallyFlat):
    """Convergent natural gradient of an exponential family: metric on a slow path of its own.

    That path is plain descent with the rates horizon / (horizon + k).
    """

    horizon: Positive = 1000.0

    def base_point(self) -> AbstractBasePoint:
        return AuxiliaryDescent(self.horizon)


class DSNGD(AbstractDuallyFlat):
    """Dual natural gradient: metric of the joint model that the data so far make most likely.

    The start counts as `weight` examples, by default one more than there are parameters.
    """

    weight: Positive | None = None

    def base_point(self) -> AbstractBasePoint:
        return RunningStatistics(self.weight)
