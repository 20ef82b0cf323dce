"""The named optimizer of variational Gaussian processes."""

from typing import ClassVar

import optax

from ..._settings import Count, Positive, Whole
from ...metrics.normal import AbstractCoordinates, coordinates_of
from ..base import AbstractOptimizer
from ..minibatch.variational import VariationalNaturalGradient, check_gamma, ramp
from .citations import cited
from .preset import AbstractScheduled


class NGDGP(AbstractScheduled):
    """Natural gradients of the normal distributions in a Gaussian process model, Adam for the rest.

    The step length grows from `gamma_start` to `gamma` in `ramp` steps, evenly in its logarithm;
    gamma = 1 with `ramp` 0 and `other_steps` 0 solves a model with Gaussian noise in one step, if
    that step has all data; with minibatches it forgets every earlier batch. `coordinates` are
    "natural", "expectation", "mean-covariance", "mean-cholesky" or "mean-log-cholesky". A step of
    this optimizer is `natural_steps` natural gradients, then `other_steps` steps of Adam with the
    learning rate `rate`; see `VariationalNaturalGradient`, which takes any Optax transformation.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("variational", "adam", "natural")
    rate: Positive = 1e-2
    gamma: Positive = 0.1
    gamma_start: Positive = 1e-4
    ramp: Whole = 5
    coordinates: AbstractCoordinates | str = "natural"
    natural_steps: Count = 1
    other_steps: Whole = 1
    halvings: Whole = 5

    def build(self) -> AbstractOptimizer:
        check_gamma(self.gamma)
        return VariationalNaturalGradient(
            optax.adam(self.learning_rate()),
            ramp(self.gamma_start, self.gamma, self.ramp) if self.ramp else self.gamma,
            coordinates_of(self.coordinates),
            natural_steps=self.natural_steps,
            other_steps=self.other_steps,
            halvings=self.halvings,
        )
