"""Long evolutions, solved window by window of time with a warm start."""

import dataclasses
import math
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import jax
from jaxtyping import PyTree

from .. import _tree
from ..models import WithUnknowns
from ..objectives.windows import (
    ByWindow,
    InWindow,
    Window,
    by_window,
    edges_of,
    in_window,
    time_of,
)
from ..storage.checkpoint import Checkpoint
from ..validation import Corrected, ErrorEstimate, Look, Tangent
from .accepted import (
    budget_of,
    callbacks_of,
    checkpoint_of,
    key_of,
    objective_of,
    tolerance_of,
)
from .accumulation import Accumulated, accumulated
from .adaptive import moves_points
from .clock import Evaluate
from .loop import train
from .result import Budget, Record, TrainResult
from .window_files import WindowFiles, as_ended
from .window_relay import Relay
from .window_shares import share_of

ENDED = ("failed", "interrupted", "stopped")  # no window follows
WORST_FIRST = (*ENDED, "overfitted", "stalled", "budget", "converged")


@dataclasses.dataclass(frozen=True)
class WindowsResult(TrainResult):
    """The outcome of `train_windows`: one result for the whole time, and one for every window.

    `model` and `solution` are functions of all times. `edges` are the times at which windows begin
    and end, `windows` the results of the windows in their own time. `estimate.relative_l2` is the
    estimated error of `model` over all times and `estimate.corrected_l2` that of `solution`; both
    contain what windows hand on to each other. `accumulated` tells this window by window.
    """

    edges: tuple[float, ...] = ()
    windows: tuple[TrainResult, ...] = ()
    accumulated: tuple[Accumulated, ...] = ()

    @property
    def solution(self) -> Any:
        """The most accurate function that the run knows: in each window the corrected solution
        where that is estimated to be better, else the network."""
        parts = zip(self.model.parts, self.windows, strict=True)
        solutions = [InWindow(result.solution, part.window) for part, result in parts]
        return ByWindow(tuple(solutions), self.model.starts)


def train_windows(
    objective: Any,
    model: PyTree,
    optimizer: Any,
    *,
    windows: int | Sequence[float],
    steps: int | float | None = None,
    seconds: int | float | None = None,
    key: Any,
    callbacks: Iterable[Any] | Any = (),
    evaluate: Evaluate | None = None,
    tolerance: float | None = None,
    checkpoint: Checkpoint | str | os.PathLike | None = None,
    resume: bool = False,
    **options: Any,
) -> WindowsResult:
    """Minimize an objective in space-time window by window, each starting where the last one ended.

    `windows` is a number of equal windows, or the times at which they begin and end. In every
    window the problem is the one of `objective` under a change of time, with the same network. A
    window starts from the parameters that the one before ended with, and from the points that it
    had before they grew last. Windows from the third on compile nothing as long as their points are
    those that an earlier one had. Terms on `domain.initial()` compare with the solution of the
    window before, the corrected one where that is estimated to be better (`TrainResult.solution`),
    whether they prescribe values or derivatives in time.

    **Budgets.** `steps` and `seconds` are for all windows together: each may use its share of what
    is left, so that what an early window saves is for the later ones. Where points grow, a window
    whose held-out loss is above 1e-6 of its start borrows up to two more shares from the later
    ones, each of which keeps half of an equal share of the whole. A `tolerance` for the whole is
    divided by the number of windows. The other arguments and options are those of `train`, but for
    `overtime`. `evaluate` is called once, on the function of all times.

    **Checkpoints.** Every window has a file of its own beside the path of `checkpoint`, such as
    `latest-window-2.eqx`. With `resume` windows that ended are read and not trained again, and the
    one that was cut goes on within itself, bit for bit as if nothing had happened. The history is
    that of this process, as in `train`.

    **Errors.** The estimate of each window takes the state at its start as exact. What an error
    there becomes is estimated too, by the linearized equation: see `training.accumulation`.

    Raises ValueError for windows that do not cover the time interval in order, for objectives
    without a term at its start or with terms at its end, and as `train` does; FileNotFoundError
    where `resume` finds no first window.
    """
    budget, key = budget_of(steps, seconds), key_of(key)
    edges = edges_of(objective_of(objective), windows)
    count = len(edges) - 1
    files = WindowFiles(checkpoint_of(checkpoint, resume), edges)
    given = callbacks_of(callbacks)
    _check(evaluate, model, given, options)
    relay, time = Relay(given, budget, files, resume), time_of(objective)
    tolerance = tolerance_of(tolerance)
    least = None if tolerance is None else tolerance / count
    results: list[TrainResult] = []
    posed: list[Any] = []
    before = None
    for number, (start, stop) in enumerate(pairwise(edges)):
        window = Window(start, stop, time)
        posed.append(in_window(objective, window, before))
        share = share_of(budget, relay.steps, relay.seconds, count - number, count)
        # With the points that the last window ended with, every window would have more than the one
        # before, whether its own solution asks for them or not.
        cells = results[-1].cells if results else ()
        own = {"key": jax.random.fold_in(key, number), "tolerance": least, "cells": cells}
        arguments = {**own, **options}
        with relay.showing(number + 1, window):
            run = posed[-1], model, optimizer, number + 1
            result = _one(*run, share=share, relay=relay, arguments=arguments)
        results.append(result)
        if result.status in ENDED:
            break
        model, before = result.model, InWindow(_handed_on(result), window)
    whole = _whole(edges, posed, results, relay.history, evaluate)
    relay.closes(whole)
    return whole


def _one(
    objective: Any,
    model: PyTree,
    optimizer: Any,
    number: int,
    *,
    share: Budget,
    relay: Relay,
    arguments: dict[str, Any],
) -> TrainResult:
    """A window that is trained, from its start or from its checkpoint, or read if it ended."""
    files, resume = relay.files, relay.resumes
    if resume and (end := files.end_of(number)) is not None:
        relay.reads = True
        with files.copied(number) as copy:
            found = train(
                objective, model, optimizer, steps=end["steps"], checkpoint=copy, resume=True,
                callbacks=relay, **arguments,
            )  # fmt: skip
        return as_ended(found, end)
    relay.reads = False
    result = train(
        objective, model, optimizer, **vars(share), checkpoint=files.of(number),
        resume=resume and (number == 1 or files.begun(number)), callbacks=relay, **arguments,
    )  # fmt: skip
    if result.status not in ENDED:
        files.close(number, result)
    return result


def _handed_on(result: TrainResult) -> Corrected:
    """The solution of a window, of one structure whether it is corrected or not, so that the
    windows after it share their compiled code."""
    solution = result.solution
    if isinstance(solution, Corrected):
        return solution
    nothing = _tree.zeros_like(_tree.trainable(solution)[0])
    return Corrected(solution, Tangent(solution, nothing))


def _check(evaluate: Any, model: PyTree, callbacks: Iterable[Any], options: dict[str, Any]) -> None:
    """ValueError for what windows cannot take, and for what `evaluate` refuses of the model."""
    if "overtime" in options:
        raise ValueError("windows lend each other time by themselves: leave `overtime` out.")
    if moves_points(callbacks):
        raise ValueError(
            "callbacks that move points, such as RAD, know one run and no windows: leave them out."
        )
    if isinstance(model, WithUnknowns):
        raise ValueError(
            "the unknowns of a `WithUnknowns` belong to the whole time, and every window would "
            "find its own: solve the problem at once, without windows."
        )
    if hasattr(evaluate, "check"):
        evaluate.check(model)


def _whole(
    edges: tuple[float, ...],
    posed: list[Any],
    results: list[TrainResult],
    history: list[Record],
    evaluate: Evaluate | None,
) -> WindowsResult:
    """One result of all windows."""
    time, last = time_of(posed[0]), results[-1]
    model = by_window([r.model for r in results], edges, time)
    windows = [part.window for part in model.parts]
    finished = len(results) == len(edges) - 1 and last.status not in ENDED
    errors = accumulated(posed, results) if finished else ()
    estimate = _estimate(model, results, errors)
    measures = {} if evaluate is None or not finished else dict(evaluate(model))
    if history:
        history[-1].update(measures)
    status = next(word for word in WORST_FIRST if word in {r.status for r in results})
    return WindowsResult(
        model=model, state=last.state, history=history, status=status,
        message=_message(edges, results, errors, estimate, finished),
        steps=sum(r.steps for r in results), seconds=sum(r.seconds for r in results),
        compile_seconds=sum(r.compile_seconds for r in results),
        loss=sum(r.loss for r in results), measures=measures | _numbers(estimate),
        solves=_summed([r.solves for r in results]), estimate=estimate,
        held_out=_look(results, windows), edges=edges, windows=tuple(results), accumulated=errors,
    )  # fmt: skip


def _estimate(
    model: ByWindow, results: list[TrainResult], errors: tuple[Accumulated, ...]
) -> ErrorEstimate | None:
    """The error of the whole, where that of every window is known."""
    if not errors:
        return None
    found = [r.estimate for r in results]
    size = math.hypot(*(e.size for e in errors))
    network, solution = (
        math.hypot(*(getattr(e, name) * e.size for e in errors)) / size
        for name in ("network", "solution")
    )
    h1 = math.nan  # derivatives in time and what windows hand on to them are not known
    unexplained = max(f.unexplained for f in found if f is not None)
    parts = zip(found, model.parts, strict=True)
    error = ByWindow(
        tuple(InWindow(f.error, p.window) for f, p in parts if f is not None), model.starts
    )
    left = solution / network if network > 0 else 1.0
    return ErrorEstimate(network, h1, unexplained, error, model, left)


def _numbers(estimate: ErrorEstimate | None) -> dict[str, float]:
    if estimate is None:
        return {}
    named = {"estimated_relative_l2": estimate.relative_l2, "unexplained": estimate.unexplained}
    corrected = {"estimated_corrected_l2": estimate.corrected_l2} if estimate.reliable else {}
    return named | corrected


def _summed(many: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(one.get(name, 0) for one in many) for one in many for name in one}


def _look(results: list[TrainResult], windows: list[Window]) -> Look | None:
    """The look at the window with the largest residual, in the time of the problem."""
    looks = [(r.held_out, w) for r, w in zip(results, windows, strict=False)]
    known = [(look, w) for look, w in looks if look is not None]
    if not known:
        return None
    look, window = max(known, key=lambda pair: pair[0].loss)
    where = window.inside(jax.numpy.asarray(look.where))
    terms = _added([one.terms for one, _ in known])
    return dataclasses.replace(
        look, loss=sum(terms.values()), terms=terms, where=tuple(float(x) for x in where)
    )


def _added(many: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(one[name] for one in many) for name in many[0]}


def _message(
    edges: tuple[float, ...],
    results: list[TrainResult],
    errors: tuple[Accumulated, ...],
    estimate: ErrorEstimate | None,
    finished: bool,
) -> str:
    count, last = len(edges) - 1, results[-1]
    if not finished:
        return (
            f"window {len(results)} of {count}: {last.message} Nothing is known after"
            f" t = {edges[len(results)]:g}"
        )
    if estimate is None:
        unknown = [k + 1 for k, r in enumerate(results) if not _is_known(r)]
        return (
            f"{count} windows; the error of window {unknown[0] if unknown else 1} cannot be "
            f"estimated, so that of the later ones is not known: {last.message}"
        )
    own = ", ".join(f"{e.own:.1e}" for e in errors)
    word = "" if estimate.reliable else "at least "
    return (
        f"{count} windows. Estimated relative L2 error {word}{estimate.corrected_l2:.1e} of the "
        f"solution ({estimate.relative_l2:.1e} of the networks), with what windows hand on to each "
        f"other; of each window alone {own}."
    )


def _is_known(result: TrainResult) -> bool:
    return result.estimate is not None and result.estimate.known
