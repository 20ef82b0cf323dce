"""What a run tells of itself: at its start, in its checkpoints and at its end."""

from typing import Any

from ..storage.checkpoint import Snapshot
from .adaptive import numbers_of
from .result import Ending, Run, TrainResult


def told_at_start(loop: Any, resumed: bool) -> Run:
    """What callbacks learn before the first step."""
    return Run(
        steps=loop.budget.steps, seconds=loop.budget.seconds, start=loop.step,
        start_seconds=loop.seconds, resumed=resumed, stride=loop.stride,
        objective=loop.objective, optimizer=loop.optimizer, model=loop.answer(),
        overtime=loop.budget.overtime,
    )  # fmt: skip


def snapshot_of(loop: Any) -> Snapshot:
    """Everything that a run needs to go on."""
    return Snapshot(
        loop.carry.model, loop.carry.state, step=loop.step, seconds=loop.seconds, key=loop.key,
        compile_seconds=loop.compile_seconds, lines=loop.lines + len(loop.history),
        loss=loop.loss, solves=loop.solves, answer=loop.answer(),
        watch=loop.watch.state | numbers_of(loop.batch, loop.moved),
    )  # fmt: skip


def told_at_end(loop: Any, ending: Ending) -> TrainResult:
    """The outcome of a run."""
    # A run that was cut has no estimate, and that of an earlier model is not its own.
    estimated = loop.estimation.latest if loop.watch.estimate is not None else {}
    return TrainResult(
        model=loop.answer(), state=loop.carry.state, history=loop.history,
        status=ending.status, message=ending.message, steps=loop.step, seconds=loop.seconds,
        compile_seconds=loop.compile_seconds, loss=loop.loss,
        measures=loop.evaluation.latest | estimated,
        solves=loop.solves, estimate=loop.watch.estimate, held_out=loop.watch.look,
        cells=loop.watch.mesh_before_growth,
    )  # fmt: skip
