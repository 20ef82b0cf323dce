"""The folder that a run leaves behind: config.json, history.jsonl, result.json, checkpoint/."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..storage.checkpoint import Checkpoint
from ..storage.files import FolderError, clean, in_words, remove, shown, to_json, write_text
from ..storage.lock import locked
from ..storage.reading import read_config as read_config
from ..storage.reading import read_history as read_history
from ..storage.reading import read_result as read_result
from ..training.callbacks import JSONLWriter
from ..training.records import scores_in
from ..training.result import TrainResult
from .environment import command_line, environment
from .environment import plain as plain

CONFIG, HISTORY, RESULT = "config.json", "history.jsonl", "result.json"


class RunFolder:
    """Paths and files of one run.

        folder = RunFolder("runs/poisson-2d-engd-tr-0")
        with folder.lock():
            folder.write_config({"problem": "poisson-2d"}, fresh=True)
            result = train(..., callbacks=[folder.writer()], checkpoint=folder.checkpoint())
            folder.write_result(result, problem="poisson-2d")

    Every file is written whole or not at all. What the file system refuses is a `FolderError`.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.config_path = self.path / CONFIG
        self.history_path = self.path / HISTORY
        self.result_path = self.path / RESULT
        self.checkpoint_path = self.path / "checkpoint" / "latest.eqx"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer while the block runs; what killed writers left is removed first.

        Raises FolderError where another process writes, or where nobody may.
        """
        with locked(self.path):
            clean(self.path)
            clean(self.checkpoint_path.parent)
            yield

    def holds(self, path: Path) -> bool:
        """Whether there is such a file; FolderError for a path that no file can have."""
        with in_words(path):
            return path.is_file()

    def check_problem(self, problem: str) -> None:
        """Raises FolderError where the folder belongs to a run of another problem, or to others."""
        if not self.holds(self.config_path):
            return
        there = read_config(self.path)["settings"].get("problem")
        if there != problem:
            raise FolderError(
                f"the folder `{shown(self.path)}` holds a run of the problem {there!r}, not of "
                f"{problem!r}: give another folder (`--out`), or delete this one."
            )

    def write_config(
        self,
        settings: dict[str, Any],
        *,
        more: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> None:
        """Write the resolved settings and the surroundings of a run, and remove an old result.

        `more` stands beside the settings as it is. A `fresh` run removes the history and the
        checkpoint of an older one too. Nothing is removed before everything has been written.
        """
        config = {
            "settings": self._portable(plain(settings)),
            **(more or {}),
            "environment": environment(),
            "command": self._portable(command_line()),
        }
        old = (self.history_path, self.checkpoint_path) if fresh else ()

        def clear() -> None:
            for path in (self.result_path, *old):
                remove(path)

        write_text(self.config_path, to_json(config, indent=2) + "\n", before=clear)

    def writer(self) -> JSONLWriter:
        """The callback that writes `history.jsonl`, one run only."""
        return JSONLWriter(self.history_path, fresh=True)

    def checkpoint(
        self, every_seconds: float = 30.0, identity: Mapping[str, Any] | None = None
    ) -> Checkpoint:
        """Where and how often `train` writes its checkpoint, and what the run is."""
        return Checkpoint(self.checkpoint_path, every_seconds, identity or {})

    def write_result(self, result: TrainResult, **description: Any) -> dict[str, Any]:
        """Write and return `result.json`: the `values_of` a result."""
        values = self.values_of(result, **description)
        write_text(self.result_path, to_json(values, indent=2) + "\n")
        return values

    def values_of(self, result: TrainResult, **description: Any) -> dict[str, Any]:
        """What `result.json` says of a result.

        `description` holds what the loop does not know: problem, optimizer, solver, seed,
        parameters, and measures such as relative_h1; it wins over the measures of the result. The
        names of the problem's own ones are under `scores`.
        """
        fields = ("steps", "seconds", "compile_seconds", "loss", "status", "message")
        head = ("problem", "optimizer", "solver", "seed", "parameters")
        values = dict.fromkeys(head) | result.measures
        values |= {name: getattr(result, name) for name in fields}
        values |= result.solves | _trust(result)
        values["scores"] = list(scores_in(result.measures))
        return self._portable(plain(values | description))

    def _portable(self, value: Any) -> Any:
        """Absolute paths of the machine as relative ones or names, but for the folder's own."""
        if isinstance(value, dict):
            return {key: self._portable(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._portable(item) for item in value]
        if not isinstance(value, str):
            return value
        option, equals, rest = value.partition("=")
        if equals and option.startswith("-"):
            return option + equals + self._portable(rest)
        return _shorten(value, self.path)


def _trust(result: TrainResult) -> dict[str, Any]:
    """What is known of the error: held-out losses, where the worst is, whether to believe."""
    found: dict[str, Any] = {}
    if result.held_out is not None:
        look = result.held_out
        found |= {"held_out_loss": look.loss, "held_out_terms": look.terms}
        found |= {"worst_residual": {"term": look.worst, "point": look.where}}
    if result.history and "points" in result.history[-1]:
        found["points"] = result.history[-1]["points"]
    if result.estimate is not None:
        found["estimate_reliable"] = result.estimate.reliable
    return found


def _shorten(text: str, own: Path) -> str:
    path = Path(text)
    if not path.is_absolute() or path == own:
        return text
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name
