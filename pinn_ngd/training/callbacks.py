"""What looks on while a model trains: stop, write, show."""

import json
import math
import os
from pathlib import Path
from typing import Any, Literal, TextIO

from jaxtyping import PyTree

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

    def on_end(self, result: TrainResult) -> None:
        """After the last step, also of a run that failed, raised or was interrupted."""


class StopWhen(AbstractCallback):
    """Ends the run once a number of the history line, e.g. "relative_l2", is below a bound.

    Lines without the number (metrics are evaluated only now and then) are passed over.
    """

    def __init__(self, metric: str, below: float):
        self.metric, self.below = metric, below

    def on_step(self, record: Record, model: PyTree) -> Literal["stop"] | None:
        del model
        value = record.get(self.metric)
        if value is None or not value < self.below:
            return None
        self.message = (
            f"{self.metric} fell to {value:.3g}, below the target of {self.below:g}, "
            f"after {record['step']} steps"
        )
        return "stop"


class JSONLWriter(AbstractCallback):
    """Appends each history line to a file as JSON and flushes it, so a dying run loses nothing.

    With `fresh` the file belongs to one run: it is emptied when a run starts from scratch, and a
    resumed run drops the lines after its checkpoint and continues. Numbers that are not finite
    become null, since JSON has no other word for them.
    """

    def __init__(self, path: str | os.PathLike, *, fresh: bool = False):
        self.path, self.fresh = Path(path), fresh
        self.file: TextIO | None = None
        self.last_step: int | None = None
        self.last_start = 0

    def on_start(self, run: Run) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.fresh:
            keep_lines(self.path, until=run.start if run.resumed else 0)
        self.file = self.path.open("a", encoding="utf-8")
        self.last_step = None

    def on_step(self, record: Record, model: PyTree) -> None:
        del model
        self._write(record)

    def on_end(self, result: TrainResult) -> None:
        """Complete the last line: the final evaluation can come after it was written."""
        if self.file is None:
            return
        if result.history:
            last = result.history[-1]
            if last["step"] == self.last_step:
                self.file.truncate(self.last_start)
            self._write(last)
        self.file.close()
        self.file = None

    def _write(self, record: Record) -> None:
        if self.file is None:
            raise ValueError("`on_step` came before `on_start`: pass the writer to `train`.")
        self.last_step, self.last_start = record["step"], self.file.seek(0, os.SEEK_END)
        self.file.write(to_json(record) + "\n")
        self.file.flush()


def to_json(value: Any, **settings: Any) -> str:
    """Strict JSON of plain Python values: infinities and NaN become null."""
    return json.dumps(_finite(value), allow_nan=False, **settings)


def keep_lines(path: Path, *, until: int) -> None:
    """Keep the lines of a history file up to a step, and drop the rest."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if 0 < _step_of(line) <= until]
    path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _step_of(line: str) -> int:
    """The step of a line; 0 for a line that a dying run left unfinished."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return 0


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
