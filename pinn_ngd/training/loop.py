"""The training loop: one for every optimizer."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from ..storage.checkpoint import Checkpoint, Snapshot
from ..validation import Watch
from . import accepted, setup
from .adaptive import moved_again, moved_by, moves_points, moving, on_new_points
from .advance import Carry, advance_plainly, as_arrays, plain_errors, refusals
from .callbacks import AbstractCallback
from .clock import Evaluate, EvaluationClock, counted
from .devices import check_shared, compiled_on, mesh_of
from .digits import all_digits
from .executables import forget_executables
from .failure import failed_step
from .parts import Accuracy, Parts
from .processes import Processes, ProcessLost
from .records import add_solves, record_of
from .result import Ending, Record, TrainResult
from .saver import Saver
from .signals import Signals, heard, patiently
from .threads import blas_threads as limited_blas
from .told import snapshot_of, told_at_end, told_at_start
from .verdict import CUT, has_stalled, interrupted, judged


def train(
    objective: Any,
    model: PyTree,
    optimizer: Any,
    *,
    steps: int | float | None = None,
    seconds: int | float | None = None,
    overtime: int | float = 1.0,
    key: PRNGKeyArray | int,
    callbacks: Iterable[Any] | AbstractCallback | Callable = (),
    evaluate: Evaluate | None = None,
    evaluate_every: int | None = None,
    checkpoint: Checkpoint | str | os.PathLike | None = None,
    resume: bool = False,
    stride: int | None = None,
    grow: bool = True,
    cells: tuple = (),
    tolerance: float | None = None,
    corrected: bool = False,
    blas_threads: int | None = 1,
    mesh: Any = None,
) -> TrainResult:
    """Minimize `objective` over the parameters of `model`, until a budget is used up.

    `optimizer` is one of `pinn_ngd.optimizers`, its name, or an Optax transformation; `key` a key
    or a seed; `callbacks` are callbacks or plain functions of (record) or (record, model), one or
    several; `checkpoint` is a `Checkpoint` or its path. BLAS runs on `blas_threads` threads; one is
    fastest at a few hundred rows or columns, None leaves it alone.

    One compiled call makes `stride` steps (the optimizer's own number by default) with one batch
    of points; where the objective resamples, every call gets a fresh batch, drawn outside
    compilation. A call is compiled once for every number of points. All randomness is folded from
    `key` and the number of the step, so a run resumed from a checkpoint repeats, bit for bit, the
    run that was never cut; it uses the key of its checkpoint.

    **Budgets.** `steps` and `seconds` are totals, including what happened before a resumed
    checkpoint, looked at between calls. `seconds` counts drawing points and stepping, neither
    compilation (`compile_seconds` does, with the optimizer's `init`) nor what is done beside. Where
    points grow, a run with a held-out loss above 1e-6 of its start may take `overtime` times both.

    **Evaluation.** `evaluate(model)` returns a dict of floats that join the history. It is called
    after the first call, then so rarely that it costs about a tenth of the training time, or
    every `evaluate_every` steps; always at the end.

    **Held-out points.** An objective with points is evaluated at other, finer ones after a call.
    With `grow` points are added as soon as the loss there no longer follows the training loss;
    `cells` of an earlier result are more from the start. The error is estimated in a tenth of the
    time and at the end. Where that is reliably below `tolerance` (1e-13 by default), of the model
    or if `corrected` of the solution, the run ends.

    **Devices.** Those of `mesh`, a `jax.sharding.Mesh` or their number, share the points; the run
    is the same to rounding. Of several processes (`jax.distributed.initialize`) all call `train`
    alike, and the first one calls the callbacks and writes. See docs/several-devices.md.

    **Ends.** See `TrainResult`. A step whose loss or parameters are not finite is thrown away and
    the last finite model returned. Ctrl-C, SIGTERM and SIGHUP (in the main thread) end the run
    after the call in progress, a second one at once. Other exceptions are raised at the end.

    Raises ValueError without a budget, for what `check_start` refuses (docs/problems.md), `cells`
    of other terms, `stride` or `overtime` below 1 and `resume` without `checkpoint`; ValueError and
    FileNotFoundError for a checkpoint that cannot be read or is of another run; TypeError where a
    step changes the shapes of its state."""
    budget, key = accepted.budget_of(steps, seconds, overtime), accepted.key_of(key)
    objective, optimizer = accepted.objective_of(objective), accepted.optimizer_of(optimizer)
    checkpoint = accepted.checkpoint_of(checkpoint, resume)
    setup.warn_about_precision(model, optimizer)
    processes = Processes(mesh_of(mesh))
    check_shared(objective, model, optimizer, processes.mesh)
    stride, told = setup.stride_of(optimizer, objective, stride), accepted.callbacks_of(callbacks)
    grow &= not moves_points(told)
    parts = objective, model, optimizer
    same = {"steps": budget.steps, "overtime": budget.overtime, "stride": stride, "resume": resume}
    same |= {"growing_points": grow, "key": str(jax.random.key_data(key))}
    processes.check_alike(*parts, same)
    made = Parts(
        optimizer, budget, stride, told if processes.writes else moving(told),
        Saver.of(checkpoint, *parts, writes=processes.writes, grow=grow, stride=stride),
        EvaluationClock(accepted.evaluate_of(evaluate), evaluate_every),
        Watch(objective, grow=grow, cells=cells),
        Accuracy(accepted.tolerance_of(tolerance), corrected), processes,
    )  # fmt: skip
    with heard() as signals, limited_blas(blas_threads), all_digits(optimizer):
        return _Loop(made, signals).run(model, key, resume=resume)


class _Loop:
    """The mutable state of one run."""

    def __init__(self, parts: Parts, signals: Signals):
        self.optimizer, self.budget, self.stride = parts.optimizer, parts.budget, parts.stride
        self.callbacks, self.saver, self.watch = parts.callbacks, parts.saver, parts.watch
        self.objective, self.accuracy = parts.watch.objective, parts.accuracy
        self.processes = parts.processes
        self.evaluation, self.estimation = parts.evaluation, parts.estimation()
        self.signals, self.started = signals, list[AbstractCallback]()
        self.evaluated: PyTree = None
        self.history: list[Record] = []
        self.step, self.lines, self.loss = 0, 0, float("nan")
        self.seconds, self.compile_seconds = 0.0, 0.0
        self.solves: dict[str, int] = {}
        self.moved = False  # the points, by a callback
        self.ready = False  # to be saved: not before the start, not within a call

    def run(self, model: PyTree, key: PRNGKeyArray, *, resume: bool) -> TrainResult:
        self.carry = Carry(as_arrays(model), as_arrays(model), None)
        try:
            self._start(key, resume)
            with patiently(self.signals):
                ending = self._until_the_end()
        except (KeyboardInterrupt, ProcessLost) as error:
            ending = self.signals.ending() or interrupted(error)
        except BaseException as error:  # `sys.exit` too
            self._tell_the_end(Ending("failed", f"{type(error).__name__}: {error}"))
            raise
        with patiently(self.signals):
            return self._finish(ending)

    def _start(self, key: PRNGKeyArray, resume: bool) -> None:
        with counted(self, "compile_seconds"):
            self._set_key(key)
            self.batch = self._draw(0)
            model, beside = self.carry.model, (self.evaluation.evaluate, self.optimizer)
            setup.check_start(self.objective, model, self.batch, *beside)
            state = as_arrays(self.optimizer.init(model, self.objective, self.batch))
            self.carry = Carry(model, model, state)
            if resume and self.saver is not None:
                self._restore(self.saver.load((model, state)))
            self._tell_the_start(resume)
            if self.saver is not None and not resume:
                self.saver.forget()
            self.ready = True
            self.watch.start(self.carry.model)

    def _set_key(self, key: PRNGKeyArray) -> None:
        self.key, (self.batch_key, self.step_key) = key, jax.random.split(key)

    def _draw(self, number: int) -> PyTree:
        return as_arrays(setup.batch_of(self.objective, self.batch_key, number))

    def _restore(self, snapshot: Snapshot) -> None:
        self.processes.check_same(step_of_the_checkpoint=snapshot.step)
        self._set_key(snapshot.key)
        self.step, self.lines = snapshot.step, snapshot.lines
        self.seconds, self.compile_seconds = snapshot.seconds, snapshot.compile_seconds
        self.solves, self.loss = dict(snapshot.solves), snapshot.loss
        self.carry = Carry(snapshot.model, snapshot.model, snapshot.state)
        self.watch.restore(dict(snapshot.watch), snapshot.model)
        self.objective = self.watch.objective
        self.batch, self.moved = moved_again(self._draw(0), snapshot.watch)
        due = self.watch.pending and self.budget.ending(*self.used) is None
        if due and self.watch.refine_at(self.answer()):
            self._take_new_points()

    def _tell_the_start(self, resumed: bool) -> None:
        run = told_at_start(self, resumed)
        for callback in self.callbacks:
            self.started.append(callback)
            callback.on_start(run)

    def _until_the_end(self) -> Ending:
        (ending,) = self.processes.agree(self.budget.at_start(*self.used))
        if ending is None:
            self._compile()
        while ending is None:
            (ending,) = self.processes.agree(self._one_call() or self.signals.ending())
        return ending

    def _compile(self) -> None:
        with counted(self, "compile_seconds"):
            forget_executables()
            if self.optimizer.jittable:
                self.call = compiled_on(self.processes, self.stride, *self._arguments())
            else:
                self.call = advance_plainly

    def _arguments(self) -> tuple[Any, ...]:
        start = np.asarray(self.step, np.int32)
        limit = np.asarray(self.budget.allowance(self.step, self.stride), np.int32)
        parts = (self.optimizer, self.objective, self.carry, self.batch)
        return (*parts, self.step_key, start, limit)

    def _one_call(self) -> Ending | None:
        """One call: steps, evaluation, history, callbacks, checkpoint. Returns the end, if any."""
        self.ready = False
        with refusals(self.step) as refused:
            progress, infos = self._advance()
        if refused:
            self.ready = True
            return refused[0]
        ending, told = self._ending(progress, infos), None
        if progress.count > 0:
            add_solves(self.solves, infos, int(progress.count))
            numbers = record_of(infos, int(progress.count) - 1) | self.solves
            numbers |= self._look(numbers["loss"], ending)
            ending = ending or self.budget.ending(*self.used)
            self.ready = True
            told = self._note(numbers, last=ending is not None)
            self.ready = False
            ending, told = self.processes.agree(ending, told)
            self.watch.pending = self.processes.agree_whether(self.watch.pending)
            if not progress.failed and self._grown(told or ending):
                ending = self.budget.ending(*self.used)
            elif not (progress.failed or told):
                self._move_points()
        self.ready = True
        if ending is None and self.saver is not None and self.saver.due():
            self._save()
        return ending if progress.failed else told or ending

    def _look(self, loss: float, ending: Ending | None) -> Record:
        """The losses at held-out points, whose time counts as training since they steer the run."""
        with counted(self, "seconds"):
            numbers = self.watch.look_at(self.answer(), self.batch)
            # If the run is cut before the points grow, the resumed run lets them grow.
            self.watch.pending = self.watch.gap(loss, stalled=has_stalled(ending))
            return numbers

    def _grown(self, ending: Ending | None) -> bool:
        """Take more points where the residual is larger between them; whether it did."""
        if not self.watch.pending or not (ending is None or has_stalled(ending)):
            return False
        self.watch.pending = False
        solved = has_stalled(ending) and self.accuracy.reached(self.watch.estimate)
        if solved or not setup.refined(self.watch, self.optimizer, self.answer()):
            return False
        self._take_new_points()
        self._compile()
        return True

    def _move_points(self) -> None:
        run = self.history[-1], self.answer(), self.objective, self.batch
        if (found := moved_by(self.callbacks, *run)) is not None:
            self.batch, self.moved = as_arrays(found), True
            self.carry = on_new_points(self.optimizer, self.carry)

    def _take_new_points(self) -> None:
        self.objective, self.batch = self.watch.objective, self.watch.objective.batch()
        self.moved, self.carry = False, on_new_points(self.optimizer, self.carry)

    def _estimate(self) -> bool:
        """Estimate the error anew; whether it is below the tolerance."""
        numbers = self.estimation.measure(self.answer(), self.step, self.seconds)
        if self.history:
            self.history[-1].update(numbers)
        return self.accuracy.reached(self.watch.estimate)

    def _advance(self) -> tuple[Any, Any]:
        with counted(self, "seconds"):
            if self.objective.resampled:
                self.batch = self._draw(self.step // self.stride)
            with plain_errors():
                carry, progress, infos = self.call(*self._arguments())
                jax.block_until_ready(eqx.filter(carry, eqx.is_array))
            progress, infos = jax.device_get((progress, infos))
            self.carry, self.step = carry, self.step + int(progress.count)
        return progress, infos

    def _ending(self, progress: Any, infos: Any) -> Ending | None:
        if progress.failed:
            # Step back where the loss of the kept model is not finite, and say what happened.
            run = self.optimizer, self.objective, self.carry, self.batch, self.step_key
            self.carry, ending = failed_step(*run, self.step, float(infos.loss[progress.count]))
            return ending
        if code := int(infos.stop[progress.count - 1]):
            default = f"the optimizer stopped with code {code}"
            return Ending("stalled", self.optimizer.stop_reasons.get(code, default))

    @property
    def used(self) -> tuple[int, float, bool]:
        return self.step, self.seconds, self.watch.needs_time

    def _note(self, numbers: Record, *, last: bool) -> Ending | None:
        """Write the history line of a call and ask the callbacks whether to go on."""
        record = {"step": self.step, "seconds": self.seconds, **numbers}
        self.history.append(record)
        self.loss = record["loss"]
        if last or self.evaluation.due(self.step, self.seconds):
            self._evaluate()
        ending = None
        if (last or self.estimation.due(self.step, self.seconds)) and self._estimate():
            ending = Ending("converged", self.accuracy.in_words)
        for callback in self.callbacks:
            if callback.on_step(record, self.answer()) == "stop" and ending is None:
                ending = Ending("stopped", callback.message)
        return ending

    def _evaluate(self) -> None:
        measures = self.evaluation.measure(self.answer(), self.step, self.seconds)
        self.evaluated = self.carry.model
        if self.history:
            self.history[-1].update(measures)

    def answer(self) -> PyTree:
        model, state = self.carry.model, self.carry.state
        answer = getattr(self.optimizer, "answer", None)  # a duck-typed optimizer may have none
        return model if answer is None or state is None else answer(model, state)

    def _save(self) -> None:
        if self.saver is not None and self.ready:
            self.saver.save(snapshot_of(self))

    def _finish(self, ending: Ending) -> TrainResult:
        ending = self.signals.over(ending)
        if self.evaluated is not self.carry.model:
            self._evaluate()
        if self.ready and self.watch.estimate is None and ending.status not in CUT:
            self._estimate()
        self._save()
        fitted = self.objective, self.carry.model, self.batch
        ending = judged(ending, self.history, self.watch, fitted)
        return self._tell_the_end(self.signals.over(ending))

    def _tell_the_end(self, ending: Ending) -> TrainResult:
        result = told_at_end(self, ending)
        for callback in self.started:
            callback.on_end(result)
        return result
