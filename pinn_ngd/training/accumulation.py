"""The error of a solution in windows: what each makes, and what it takes over from the one before.

Window k takes the solution before it as exact at its start, and its own estimate says nothing of
the error there. Let e be the estimated error of window k - 1, as a function, and P e the change of
the solution in window k when its initial value changes by e, by the linearized equation. An error
is taken to be carried on as this one is:

    error of window k = own error + (|P e| / |e|) * error of window k - 1,

with root mean squares over the two windows. For a linear equation and an error of the same shape
this is exact up to cancellation, which is not counted on; shapes that grow faster are not seen.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PyTree

from ..evaluation.errors import norms
from ..objectives.windows import InWindow, window_of, with_before
from ..validation.estimate import domain_points
from ..validation.propagation import propagated
from .result import TrainResult

NUDGE = 1e-3  # of the solution: large against rounding, small against nonlinearity


@dataclasses.dataclass(frozen=True)
class Accumulated:
    """Errors of one window, relative to the solution there in L2.

    `own` is that of the solution alone, `handed_on` what it has from the window before, `solution`
    their sum, and `network` the same for the network that was not corrected. `growth` is the factor
    |P e| / |e|, and `size` the norm of the solution over the window's duration.
    """

    own: float
    handed_on: float
    network: float
    growth: float
    size: float

    @property
    def solution(self) -> float:
        """The estimated relative error of the solution, all that came before included."""
        return self.own + self.handed_on


class _Nudged(eqx.Module):
    """A solution changed by a multiple of an error."""

    solution: PyTree
    error: PyTree
    factor: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        return self.solution(x) + self.factor * self.error(x)


def accumulated(posed: Sequence[Any], results: Sequence[TrainResult]) -> tuple[Accumulated, ...]:
    """The errors of all windows; empty where one of them is not known.

    `posed` are the objectives of the windows, as `objectives.in_window` made them.
    """
    if any(r.estimate is None or not r.estimate.known for r in results):
        return ()
    norm = _norm(posed[0])
    sizes = [norm(result.model) for result in results]
    found: list[Accumulated] = []
    for k, (objective, result) in enumerate(zip(posed, results, strict=True)):
        estimate = result.estimate
        assert estimate is not None
        own = estimate.relative_l2 if result.solution is result.model else estimate.corrected_l2
        growth = handed_on = 0.0
        if k > 0:
            error = results[k - 1].estimate.error  # pyright: ignore[reportOptionalMemberAccess]
            growth = _growth(posed[k - 1], objective, result.model, error, norm, sizes[k])
            handed_on = growth * found[-1].solution * sizes[k - 1] / sizes[k]
        size = sizes[k] * math.sqrt(float(window_of(objective).rate))
        found.append(Accumulated(own, handed_on, estimate.relative_l2 + handed_on, growth, size))
    return tuple(found)


def _norm(objective: Any) -> Callable[[Any], float]:
    """The L2 norm over the whole interval of a function in a window's own time."""
    points = domain_points(objective)
    return lambda function: norms(function, points.points, points.weights, False)[0]


def _growth(
    earlier: Any, objective: Any, model: PyTree, error: Callable, norm: Any, size: float
) -> float:
    """|P e| / |e|, of an error e of the window before."""
    length = norm(error)
    if not length > 0:
        return 0.0
    change = InWindow(error, window_of(earlier))
    factor = NUDGE * size / length
    perturbed = with_before(objective, lambda before: _Nudged(before, change, factor))
    return norm(propagated(objective, perturbed, model)) / (factor * length)
