"""Callbacks: they stop a run, write its history or show its progress."""

import os
from pathlib import Path
from typing import Any, Literal, TextIO

from jaxtyping import PyTree

from ..storage.files import from_json, in_words, write_bytes
from ..storage.files import to_json as to_json
from .result import Record, Run, TrainResult


class AbstractCallback:
    """Hooks of a run; a subclass overrides what it needs.

    Every hook runs on the host between compiled calls, and its time does not count as training.
    """

    message: str = "stopped by a callback"

    def on_start(self, run: Run) -> None:
        """Before the step is compiled."""

    def on_step(self, record: Record, model: PyTree) -> Literal["stop"] | None:
        """After each compiled call, with its history line; return "stop" to end the run.

        The result then carries `message` as the reason.
        """

    def points(self, record: Record, model: PyTree, objective: Any, batch: Any) -> Any:
        """After `on_step`: other points for the steps to come, a `Quadrature` of the same size for
        every term of `objective`, in place of those of the `batch`; None keeps these."""

    def on_end(self, result: TrainResult) -> None:
        """After the last step, also of a run that failed, raised or was interrupted."""


class StopWhen(AbstractCallback):
    """Ends the run once a number of the history line, e.g. "relative_l2", is below a bound.

    Lines without the number (measures are taken only now and then) are passed over.
    """

    def __init__(self, measure: str, below: float):
        self.measure, self.below = measure, below

    def on_step(self, record: Record, model: PyTree) -> Literal["stop"] | None:
        del model
        value = record.get(self.measure)
        if value is None or not value < self.below:
            return None
        self.message = (
            f"{self.measure} fell to {value:.3g}, below the target of {self.below:g}, "
            f"after {record['step']} steps"
        )
        return "stop"


class JSONLWriter(AbstractCallback):
    """Appends each history line to a file as JSON, and flushes it so that a killed run loses none.

    With `fresh` the file belongs to one run: it is emptied when a run starts from scratch, and a
    resumed run drops the lines after its checkpoint and continues. Numbers that are not finite
    become null, because JSON has no numbers for them. Raises FolderError where the file cannot be
    written.
    """

    def __init__(self, path: str | os.PathLike, *, fresh: bool = False):
        self.path, self.fresh = Path(path), fresh
        self.file: TextIO | None = None
        self.last_step: int | None = None
        self.last_start, self.last_text = 0, ""

    def on_start(self, run: Run) -> None:
        with in_words(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.fresh:
                keep_lines(self.path, until=run.start if run.resumed else 0)
            self.file = self.path.open("a", encoding="utf-8")
            if _is_cut(self.path):
                self.file.write("\n")
        self.last_step = None

    def on_step(self, record: Record, model: PyTree) -> None:
        del model
        self._write(record)

    def on_end(self, result: TrainResult) -> None:
        """Write the last line again, because the final evaluation can come after it was written."""
        if self.file is None:
            return
        file, last = self.file, result.history[-1] if result.history else None
        try:
            if last is not None and to_json(last) != self.last_text:
                if last["step"] == self.last_step:
                    file.truncate(self.last_start)
                self._write(last)
        finally:
            self.file = None
            with in_words(self.path):
                file.close()

    def _write(self, record: Record) -> None:
        if self.file is None:
            raise ValueError("`on_step` came before `on_start`: pass the writer to `train`.")
        with in_words(self.path):
            self.last_step, self.last_start = record["step"], self.file.seek(0, os.SEEK_END)
            self.last_text = to_json(record)
            self.file.write(self.last_text + "\n")
            self.file.flush()


def keep_lines(path: Path, *, until: int) -> None:
    """Keep the lines of a history file up to a step, and drop all others."""
    if not path.is_file():
        return
    lines = path.read_bytes().splitlines()
    kept = [line for line in lines if 0 < _step_of(line) <= until]
    write_bytes(path, lambda file: file.write(b"".join(line + b"\n" for line in kept)))


def _step_of(line: bytes) -> int:
    """The step of a line; 0 for a line that a killed run left unfinished."""
    record = from_json(line)
    step = record.get("step") if isinstance(record, dict) else None
    return step if isinstance(step, int) else 0


def _is_cut(path: Path) -> bool:
    """Whether the last line of a file has no end."""
    data = path.read_bytes()
    return bool(data) and not data.endswith(b"\n")
