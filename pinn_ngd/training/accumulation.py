"""The error of a solution in windows: what each makes, and what it takes over from the one before.

Window k takes the solution before it as exact at its start a, and its own estimate says nothing of
the error there. Let e be the estimated error of window k - 1, as a function, and P e the change of
the solution in window k when its initial value changes by e(a), by the linearized equation. An
error at a is taken to grow as this one does, and to be as large as in the mean of its window:

    error of window k = own error + (|P e| / |e(a)|) * error of window k - 1,

with root mean squares over window k and over space. No cancellation is counted on. It is no bound:
shapes that grow faster than e are not seen.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PyTree

from ..evaluation.errors import norms
from ..objectives.windows import InWindow, is_initial, time_of, window_of, with_before
from ..validation.estimate import Corrected, domain_points
from ..validation.mesh import Mesh, rules_of
from ..validation.propagation import propagated
from .result import TrainResult

TINY = 1e-300  # instead of zero, below a fraction
NUDGE = 1e-3  # of the solution: large against rounding, small against nonlinearity


@dataclasses.dataclass(frozen=True)
class Accumulated:
    """Errors of one window, relative to the solution there in L2.

    `own` is that of the solution alone, `handed_on` what it has from the window before, `solution`
    their sum, and `network` the same for the network that was not corrected. `growth` is the factor
    |P e| / |e(a)|, and `size` the root mean square of the solution times the root of the window's
    share of the time.
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
        is_corrected = isinstance(result.solution, Corrected)
        own = estimate.corrected_l2 if is_corrected else estimate.relative_l2
        growth = handed_on = 0.0
        if k > 0:
            error = results[k - 1].estimate.error  # pyright: ignore[reportOptionalMemberAccess]
            there = _on_cells(objective, result.cells)
            growth = _growth(posed[k - 1], there, result.model, error, norm, sizes[k])
            late = max(1.0, _at_end(posed[k - 1], error) / max(norm(error), TINY))
            handed_on = growth * late * found[-1].solution * sizes[k - 1] / sizes[k]
        size = sizes[k] * math.sqrt(float(window_of(objective).rate))
        found.append(Accumulated(own, handed_on, estimate.relative_l2 + handed_on, growth, size))
    return tuple(found)


def _on_cells(objective: Any, cells: Mesh) -> Any:
    """The objective on points that were enough for its window.

    On fewer, those of a start that had to grow, the linearized equation has other solutions.
    """
    return objective.with_rules(rules_of(objective, cells)) if cells else objective


def _norm(objective: Any) -> Callable[[Any], float]:
    """The root mean square over the whole interval of a function in a window's own time."""
    points = domain_points(objective)
    scale = math.sqrt(float(points.weights.sum()))
    return lambda function: norms(function, points.points, points.weights, False)[0] / scale


def _at_end(objective: Any, function: Callable) -> float:
    """The root mean square of a function at the end of the interval, on the initial points."""
    time = time_of(objective)
    term = next(term for term in objective.terms if is_initial(term, time))
    points = (term.rule.held_out() or term.rule).quadrature(jax.random.key(0))
    places = points.points.at[:, 0].set(time.b)
    return norms(function, places, points.weights / points.weights.sum(), False)[0]


def _growth(
    earlier: Any, objective: Any, model: PyTree, error: Callable, norm: Any, size: float
) -> float:
    """|P e| / |e(a)|, of an error e of the window before."""
    start = _at_end(earlier, error)
    if start == 0:
        return 0.0
    change = InWindow(error, window_of(earlier))
    factor = NUDGE * size / start
    perturbed = with_before(objective, lambda before: _Nudged(before, change, factor))
    return norm(propagated(objective, perturbed, model)) / (factor * start)
