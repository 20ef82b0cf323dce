"""The windows of a run, shown to its callbacks as one run."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from jaxtyping import PyTree

from ..objectives.windows import InWindow, Window
from .callbacks import AbstractCallback
from .result import Budget, Record, Run, TrainResult
from .window_files import WindowFiles


class Relay(AbstractCallback):
    """Shows the windows to callbacks as one run, and keeps its history.

    The run begins with the first window that is trained, or at the end where all are only read.
    """

    def __init__(
        self,
        callbacks: tuple[AbstractCallback, ...],
        budget: Budget,
        files: WindowFiles,
        resumes: bool,
    ):
        self.callbacks, self.budget = callbacks, budget
        self.files, self.resumes = files, resumes
        self.reads, self.told = False, False
        self.run: Run | None = None
        self.history: list[Record] = []
        self.number, self.steps, self.seconds = 0, 0, 0.0
        self.window: Any = None
        self.last: TrainResult | None = None

    @contextlib.contextmanager
    def showing(self, number: int, window: Window) -> Iterator[None]:
        """A window begins; where it raises, that is the end of all."""
        self.number, self.window = number, window
        try:
            yield
        except BaseException as error:
            if self.last is not None:
                why = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
                self.closes(dataclasses.replace(self.last, history=self.history, **why))
            raise

    def on_start(self, run: Run) -> None:
        self.run = dataclasses.replace(
            run, steps=self.budget.steps, seconds=self.budget.seconds, resumed=self.resumes,
            start=self.steps + run.start, start_seconds=self.seconds + run.start_seconds,
            overtime=1.0,  # what a window borrows the later ones lack, so that the whole takes none
        )  # fmt: skip
        if not self.reads:
            self._begins()

    def _begins(self) -> None:
        if self.told or self.run is None:
            return
        self.told = True
        for callback in self.callbacks:
            callback.on_start(self.run)
        if not self.resumes:
            self.files.forget()

    def on_step(self, record: Record, model: PyTree) -> Any:
        line, answers = self._line(record), []
        self.history.append(line)
        for callback in self.callbacks:
            answers.append(callback.on_step(line, InWindow(model, self.window)))
            if answers[-1] == "stop":
                self.message = callback.message
        return "stop" if "stop" in answers else None

    def on_end(self, result: TrainResult) -> None:
        """The end of a window. Its last line may have been completed after it was shown."""
        self.last = result
        if result.history:
            self.history[-1].update(self._line(result.history[-1]))
        self.steps, self.seconds = self.steps + result.steps, self.seconds + result.seconds

    def closes(self, whole: TrainResult) -> None:
        """The end of all windows."""
        self._begins()
        for callback in self.callbacks:
            callback.on_end(whole)

    def _line(self, record: Record) -> Record:
        totals = {
            "step": self.steps + record["step"],
            "seconds": self.seconds + record["seconds"],
        }
        return {**record, **totals, "window": self.number}
