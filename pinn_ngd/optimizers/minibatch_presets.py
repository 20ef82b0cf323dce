"""Named optimizers of minibatches: natural gradients and the baselines they are held against."""

from typing import Any

import optax

from ..linalg import Cholesky, Normal, get_solver
from .adapters import OptaxOptimizer
from .base import AbstractOptimizer
from .damping import damping_rule
from .directions import AbstractDirection, ConjugateGradients, Exact, Filtered, clipped
from .minibatch import MinibatchNaturalGradient
from .schedules import schedule as rate_of


def descent(
    rate: float, momentum: float, schedule: str, decay_steps: int
) -> optax.GradientTransformation:
    """-rate times the accumulated direction: plain or heavy-ball descent with a schedule."""
    return optax.sgd(rate_of(schedule, rate, decay_steps), momentum=momentum or None)


def _natural(
    direction: AbstractDirection,
    transformation: optax.GradientTransformation,
    damping: float,
    adaption: str,
) -> AbstractOptimizer:
    rule = damping_rule(adaption, damping)
    return MinibatchNaturalGradient(direction, transformation, rule)


def ngd(
    *,
    solver: Any = "spectral-gram",
    rate: float = 0.1,
    momentum: float = 0.0,
    damping: float = 1e-2,
    adaption: str = "fixed",
    schedule: str = "constant",
    decay_steps: int = 1000,
) -> AbstractOptimizer:
    """Natural gradient of a minibatch by a dense solver, for small networks."""
    chosen = get_solver(solver) if isinstance(solver, str) else solver
    transformation = descent(rate, momentum, schedule, decay_steps)
    return _natural(Exact(chosen), transformation, damping, adaption)


def ngd_woodbury(
    *,
    rate: float = 0.1,
    momentum: float = 0.9,
    damping: float = 1.0,
    adaption: str = "fixed",
    schedule: str = "constant",
    decay_steps: int = 1000,
) -> AbstractOptimizer:
    """Natural gradient of a minibatch by Woodbury's identity: a matrix of rows x rows."""
    transformation = descent(rate, momentum, schedule, decay_steps)
    return _natural(Exact(Normal(Cholesky()), "dual"), transformation, damping, adaption)


def ngd_cg(
    *,
    iterations: int = 10,
    rate: float = 0.1,
    momentum: float = 0.9,
    damping: float = 1.0,
    adaption: str = "fixed",
    schedule: str = "constant",
    decay_steps: int = 1000,
) -> AbstractOptimizer:
    """Natural gradient of a minibatch by a few warm-started conjugate-gradient iterations."""
    transformation = descent(rate, momentum, schedule, decay_steps)
    return _natural(ConjugateGradients(iterations), transformation, damping, adaption)


def spectral_clipping(
    *,
    rate: float = 0.1,
    momentum: float = 0.9,
    damping: float = 1e-6,
    schedule: str = "constant",
    decay_steps: int = 1000,
) -> AbstractOptimizer:
    """Gradient descent with curvature modes above 1 scaled down to 1: the filter min(1, 1/a)."""
    transformation = descent(rate, momentum, schedule, decay_steps)
    return _natural(Filtered(clipped), transformation, damping, "fixed")


def sgd(
    *,
    rate: float = 0.1,
    momentum: float = 0.9,
    schedule: str = "constant",
    decay_steps: int = 1000,
) -> AbstractOptimizer:
    """Stochastic gradient descent with momentum."""
    return OptaxOptimizer(descent(rate, momentum, schedule, decay_steps))


def signsgd(
    *, rate: float = 1e-3, schedule: str = "constant", decay_steps: int = 1000
) -> AbstractOptimizer:
    """Descent along the sign of the gradient: what Adam is when both its betas are zero."""
    return OptaxOptimizer(optax.sign_sgd(rate_of(schedule, rate, decay_steps)))
