"""The training loop: one for every optimizer."""

import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from .advance import Carry, advance_plainly, as_arrays, compiled_advance, plain_errors
from .callbacks import AbstractCallback
from .checkpoint import Checkpoint, Snapshot, load_checkpoint, save_checkpoint
from .clock import Evaluate, EvaluationClock
from .result import Budget, Ending, Record, Run, TrainResult

SOLVES = ("forward", "linearized", "adjoint")
INTERRUPTED = Ending("interrupted", "interrupted from the keyboard; the results so far are kept")


def train(
    objective: Any,
    model: PyTree,
    optimizer: Any,
    *,
    steps: int | None = None,
    seconds: float | None = None,
    key: PRNGKeyArray,
    callbacks: Iterable[AbstractCallback] = (),
    evaluate: Evaluate | None = None,
    evaluate_every: int | None = None,
    checkpoint: Checkpoint | None = None,
    resume: bool = False,
    stride: int | None = None,
) -> TrainResult:
    """Minimize `objective` over the parameters of `model`, until a budget is used up.

    One compiled call makes `stride` steps (the optimizer's own number by default) with one batch
    of points; where the objective resamples, every call gets a fresh batch, drawn outside
    compilation. A call is compiled exactly once. All randomness is folded from `key` and the
    number of the step, so a run that is resumed from a checkpoint repeats, bit for bit, the run
    that was never cut; a resumed run uses the key of its checkpoint.

    **Budgets.** `steps` and `seconds` are totals, including what happened before a resumed
    checkpoint. `seconds` counts drawing points and stepping, until the device is done. It
    counts neither compilation (`compile_seconds` does, with the optimizer's `init`) nor
    evaluation, callbacks and checkpoints. It is looked at between calls.

    **Evaluation.** `evaluate(model)` returns a dict of floats that join the history. It is called
    after the first call, then so rarely that it costs about a tenth of the training time, or
    every `evaluate_every` steps; always at the end.

    **Ends.** See `TrainResult`. A step whose loss or parameters are not finite is thrown away and
    the last finite model returned. Any other exception of the step, of `evaluate` or of a callback
    is raised, after every callback was told.

    Raises ValueError without a budget, for data that `objective.check` refuses, for a `stride`
    below 1 and for `resume` without `checkpoint`; FileNotFoundError and ValueError where the
    checkpoint cannot be read; TypeError where a step changes the shapes of its state.
    """
    budget = Budget(steps, seconds)
    if resume and checkpoint is None:
        raise ValueError("`resume` needs `checkpoint`: pass `checkpoint=Checkpoint(path)`.")
    _warn_about_precision(model, optimizer)
    loop = _Loop(objective, optimizer, budget, _stride(optimizer, objective, stride))
    loop.callbacks, loop.checkpoint = tuple(callbacks), checkpoint
    loop.evaluation = EvaluationClock(evaluate, evaluate_every)
    return loop.run(model, key, resume=resume)


class _Loop:
    """The mutable state of one run."""

    def __init__(self, objective: Any, optimizer: Any, budget: Budget, stride: int):
        self.objective, self.optimizer = objective, optimizer
        self.budget, self.stride = budget, stride
        self.callbacks: tuple[AbstractCallback, ...] = ()
        self.started: list[AbstractCallback] = []
        self.checkpoint: Checkpoint | None = None
        self.evaluation, self.evaluated = EvaluationClock(None), None
        self.history: list[Record] = []
        self.step, self.lines = 0, 0
        self.seconds, self.compile_seconds = 0.0, 0.0
        self.solves: dict[str, int] = {}
        self.saved_at = time.monotonic()
        self.ready = False

    def run(self, model: PyTree, key: PRNGKeyArray, *, resume: bool) -> TrainResult:
        self.carry = Carry(as_arrays(model), as_arrays(model), None)
        try:
            self._start(key, resume)
            ending = self._until_the_end()
        except KeyboardInterrupt:
            ending = INTERRUPTED
        except Exception as error:
            self._tell_the_end(Ending("failed", f"{type(error).__name__}: {error}"))
            raise
        return self._finish(ending)

    def _start(self, key: PRNGKeyArray, resume: bool) -> None:
        begun = time.perf_counter()
        self._set_key(key)
        self.batch = self._draw(0)
        model = self.carry.model
        if hasattr(self.objective, "check"):
            self.objective.check(model, self.batch)
        state = as_arrays(self.optimizer.init(model, self.objective, self.batch))
        self.carry = Carry(model, model, state)
        if resume and self.checkpoint is not None:
            self._restore(load_checkpoint(self.checkpoint.path, like=(model, state)))
        elif self.checkpoint is not None:
            Path(self.checkpoint.path).unlink(missing_ok=True)
        self.ready = True
        self.compile_seconds += time.perf_counter() - begun
        self._tell_the_start(resume)

    def _set_key(self, key: PRNGKeyArray) -> None:
        typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        self.key = key if typed else jax.random.wrap_key_data(key)
        self.batch_key, self.step_key = jax.random.split(self.key)

    def _draw(self, number: int) -> PyTree:
        if hasattr(self.objective, "draw"):
            return as_arrays(self.objective.draw(self.batch_key, number))
        return as_arrays(self.objective.batch(jax.random.fold_in(self.batch_key, number)))

    def _restore(self, snapshot: Snapshot) -> None:
        self._set_key(snapshot.key)
        self.step, self.lines = snapshot.step, snapshot.lines
        self.seconds, self.compile_seconds = snapshot.seconds, snapshot.compile_seconds
        self.solves = dict(snapshot.solves)
        self.carry = Carry(snapshot.model, snapshot.model, snapshot.state)

    def _tell_the_start(self, resumed: bool) -> None:
        run = Run(
            steps=self.budget.steps,
            seconds=self.budget.seconds,
            start=self.step,
            start_seconds=self.seconds,
            resumed=resumed,
            stride=self.stride,
            objective=self.objective,
            optimizer=self.optimizer,
            model=self._answer(),
        )
        for callback in self.callbacks:
            self.started.append(callback)
            callback.on_start(run)

    def _until_the_end(self) -> Ending:
        ending = self.budget.ending(self.step, self.seconds)
        if ending is None:
            self._compile()
        while ending is None:
            ending = self._one_call()
        return ending

    def _compile(self) -> None:
        begun = time.perf_counter()
        if self.optimizer.jittable:
            self.call = compiled_advance(self.stride, *self._arguments())
        else:
            self.call = advance_plainly
        self.compile_seconds += time.perf_counter() - begun

    def _arguments(self) -> tuple[Any, ...]:
        start = np.asarray(self.step, np.int32)
        limit = np.asarray(self.budget.allowance(self.step, self.stride), np.int32)
        parts = (self.optimizer, self.objective, self.carry, self.batch)
        return (*parts, self.step_key, start, limit)

    def _one_call(self) -> Ending | None:
        """One call: steps, evaluation, history, callbacks, checkpoint. Returns the end, if any."""
        progress, infos = self._advance()
        ending = self._ending(progress, infos)
        verdict = None
        if progress.count > 0:
            self._count(infos, int(progress.count))
            numbers = _record(infos, int(progress.count) - 1) | self.solves
            verdict = self._note(numbers, last=ending is not None)
        if ending is None and self._checkpoint_due():
            self._save()
        return ending if progress.failed else verdict or ending

    def _advance(self) -> tuple[Any, Any]:
        begun = time.perf_counter()
        if self.objective.resampled:
            self.batch = self._draw(self.step // self.stride)
        with plain_errors():
            carry, progress, infos = self.call(*self._arguments())
            jax.block_until_ready(eqx.filter(carry, eqx.is_array))
        progress, infos = jax.device_get((progress, infos))
        self.carry, self.step = carry, self.step + int(progress.count)
        self.seconds += time.perf_counter() - begun
        return progress, infos

    def _count(self, infos: Any, steps: int) -> None:
        """Add the solves of a call to the totals of the run."""
        counts = getattr(infos, "solves", None)
        if counts is None:
            return
        for name in SOLVES:
            new = int(np.sum(getattr(counts, name)[:steps], dtype=np.int64))
            self.solves[f"{name}_solves"] = self.solves.get(f"{name}_solves", 0) + new

    def _ending(self, progress: Any, infos: Any) -> Ending | None:
        if progress.failed:
            return self._failure(float(infos.loss[progress.count]))
        code = int(infos.stop[progress.count - 1])
        if code != 0:
            default = f"the optimizer stopped with code {code}"
            return Ending("stopped", self.optimizer.stop_reasons.get(code, default))
        return self.budget.ending(self.step, self.seconds)

    def _failure(self, loss: float) -> Ending:
        """Step back where the loss of the kept model is not finite, and say what happened."""
        if not np.isfinite(_loss(self.objective, self.carry.model, self.batch)):
            self.carry = Carry(self.carry.previous, self.carry.previous, self.carry.state)
        what = "parameters that are" if np.isfinite(loss) else f"a loss ({loss}) that is"
        return Ending(
            "failed",
            f"step {self.step + 1} gave {what} not finite; the last finite model is kept. Likely "
            "causes: a learning rate or step too large, too little damping, a residual that "
            "divides by zero or takes the root or logarithm of a negative number, or float32. "
            "Cures: a smaller step, more damping, float64, and JAX_DEBUG_NANS=1 to find the line.",
        )

    def _note(self, numbers: Record, *, last: bool) -> Ending | None:
        """Write the history line of a call and ask the callbacks whether to go on."""
        record = {"step": self.step, "seconds": self.seconds, **numbers}
        self.history.append(record)
        if last or self.evaluation.due(self.step, self.seconds):
            self._evaluate()
        ending = None
        for callback in self.callbacks:
            if callback.on_step(record, self._answer()) == "stop" and ending is None:
                ending = Ending("stopped", callback.message)
        return ending

    def _evaluate(self) -> None:
        metrics = self.evaluation.measure(self._answer(), self.step, self.seconds)
        self.evaluated = self.carry.model
        if self.history:
            self.history[-1].update(metrics)

    def _answer(self) -> PyTree:
        model, state = self.carry.model, self.carry.state
        answer = getattr(self.optimizer, "answer", None)  # one of your own may have none
        return model if answer is None or state is None else answer(model, state)

    def _checkpoint_due(self) -> bool:
        waited = time.monotonic() - self.saved_at
        return self.checkpoint is not None and waited >= self.checkpoint.every_seconds

    def _save(self) -> None:
        if self.checkpoint is None or not self.ready:
            return
        snapshot = Snapshot(
            self.carry.model,
            self.carry.state,
            step=self.step,
            seconds=self.seconds,
            key=self.key,
            compile_seconds=self.compile_seconds,
            lines=self.lines + len(self.history),
            solves=self.solves,
            answer=self._answer(),
        )
        save_checkpoint(self.checkpoint.path, snapshot)
        self.saved_at = time.monotonic()

    def _finish(self, ending: Ending) -> TrainResult:
        if self.evaluated is not self.carry.model:
            self._evaluate()
        self._save()
        return self._tell_the_end(ending)

    def _tell_the_end(self, ending: Ending) -> TrainResult:
        result = TrainResult(
            model=self._answer(),
            state=self.carry.state,
            history=self.history,
            status=ending.status,
            message=ending.message,
            steps=self.step,
            seconds=self.seconds,
            compile_seconds=self.compile_seconds,
            loss=self.history[-1]["loss"] if self.history else float("nan"),
            metrics=self.evaluation.latest,
            solves=self.solves,
        )
        for callback in self.started:
            callback.on_end(result)
        return result


def _stride(optimizer: Any, objective: Any, stride: int | None) -> int:
    if stride is not None and stride < 1:
        raise ValueError(f"`stride` is {stride}: a compiled call makes 1 step or more.")
    if not optimizer.jittable:
        return 1
    if stride is not None:
        return stride
    return getattr(objective, "steps_per_batch", None) or optimizer.stride


def _warn_about_precision(model: PyTree, optimizer: Any) -> None:
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    single = any(jnp.finfo(leaf.dtype).bits < 64 for leaf in leaves)
    if single and getattr(optimizer, "wants_float64", False):
        warnings.warn(
            "the model has float32 parameters, and this optimizer loses its digits in float32: "
            'call `jax.config.update("jax_enable_x64", True)` before the model is built, or '
            "expect a relative error of 1e-3 at best.",
            UserWarning,
            stacklevel=3,
        )


def _record(infos: Any, index: int) -> Record:
    names = ("loss", "gradient_norm", "damping", "step_length", "predicted", "actual")
    numbers: Record = {name: float(getattr(infos, name)[index]) for name in names}
    for name in ("rank", "condition"):
        if getattr(infos, name, None) is not None:
            numbers[name] = float(getattr(infos, name)[index])
    return numbers | {"accepted": bool(infos.accepted[index])}


def _loss(objective: Any, model: PyTree, batch: PyTree) -> float:
    value = eqx.filter_jit(type(objective).loss)(objective, model, batch)
    return float(value)
