"""The checkpoints of a run in windows: one file a window, and a mark on those that ended."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..storage.checkpoint import Checkpoint, amend_watch, read_watch
from ..storage.files import remove
from ..validation import Look
from .result import TrainResult

ENDED = "ended"


class WindowFiles:
    """Where the windows of one run have their checkpoints; nowhere without a `checkpoint`.

    Window 2 of `latest.eqx` is in `latest-window-2.eqx`. A window that ended, so that the next one
    could begin, is marked with its end and is not trained again.
    """

    def __init__(self, checkpoint: Checkpoint | None, edges: Sequence[float]):
        self.checkpoint, self.edges = checkpoint, tuple(edges)

    def path(self, number: int) -> Path:
        """The file of a window; the first has number 1."""
        assert self.checkpoint is not None
        whole = Path(self.checkpoint.path)
        return whole.with_name(f"{whole.stem}-window-{number}{whole.suffix}")

    def of(self, number: int) -> Checkpoint | None:
        """The checkpoint of a window, whose identity has all windows."""
        if self.checkpoint is None:
            return None
        identity = {**self.checkpoint.identity, "windows": list(self.edges), "window": number}
        return dataclasses.replace(self.checkpoint, path=self.path(number), identity=identity)

    def begun(self, number: int) -> bool:
        """Whether a window has a checkpoint."""
        return self.checkpoint is not None and self.path(number).is_file()

    def end_of(self, number: int) -> dict[str, Any] | None:
        """How a window ended; None for one that has not."""
        return read_watch(self.path(number)).get(ENDED) if self.begun(number) else None

    @property
    def all_ended(self) -> bool:
        """Whether nothing is left to be trained."""
        return all(self.end_of(number) is not None for number in range(1, len(self.edges)))

    def forget(self) -> None:
        """Remove the files of an older run."""
        if self.checkpoint is not None:
            whole = Path(self.checkpoint.path)
            for path in whole.parent.glob(f"{whole.stem}-window-*{whole.suffix}"):
                remove(path)

    def close(self, number: int, result: TrainResult) -> None:
        """Mark a window as ended: its points do not grow when it is read again."""
        if self.checkpoint is None:
            return
        look = result.held_out
        end: dict[str, Any] = {name: getattr(result, name) for name in ("status", "message")}
        end["steps"] = result.steps
        end["look"] = None if look is None else [look.loss, look.terms, look.worst, look.where]
        amend_watch(self.path(number), {"pending": False, ENDED: end})

    @contextlib.contextmanager
    def copied(self, number: int) -> Iterator[Checkpoint]:
        """A copy of a window's file, which a run that only reads it may write to."""
        found = self.of(number)
        assert found is not None
        copy = self.path(number).with_suffix(".copy")
        shutil.copyfile(self.path(number), copy)
        try:
            yield dataclasses.replace(found, path=copy)
        finally:
            remove(copy)


def as_ended(result: TrainResult, end: dict[str, Any]) -> TrainResult:
    """The result of a window that was read again, with the end that it had."""
    look = None
    if end["look"] is not None:
        loss, terms, worst, where = end["look"]
        look = Look(loss, terms, (), worst, tuple(where))
    return dataclasses.replace(result, status=end["status"], message=end["message"], held_out=look)
