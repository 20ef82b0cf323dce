"""A run as it was left, for who wants to go on with its model."""

import dataclasses
import functools
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PyTree

from ..storage import FolderError, load_model
from ..storage.checkpoint import read_identity, read_watch
from ..storage.files import shown, to_json
from ..storage.fingerprint import first_difference, identity_of
from ..storage.reading import read_config, read_history, read_result
from ..validation import ErrorEstimate, Watch
from .in_windows import trained_like
from .problem import Problem, built
from .problem_file import ProblemFile
from .run_folder import RunFolder

PARTS = ("terms", "network")


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """What lies in the folder of a run.

    `model` is the trained network, `problem` what it was trained for, `history` the lines of
    `history.jsonl` (empty where there is none), `result` what `result.json` holds (None where the
    run has not ended), `config` what `config.json` holds, `watch` where points were added.
    """

    model: PyTree
    problem: Problem
    history: list[dict[str, Any]]
    result: dict[str, Any] | None
    config: dict[str, Any]
    watch: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @functools.cached_property
    def estimate(self) -> ErrorEstimate | None:
        """The error estimate of the model, made anew on the points where the run ended: one
        factorization, at the first use. None where errors of such a model cannot be estimated."""
        start = self.problem.model(jax.random.key(self.config["settings"]["seed"]))
        objective = self.problem.objective_at(start)
        if self.problem.windows is not None:
            return None  # each window was estimated by itself, while it was trained
        watch = Watch(objective, grow=not self.problem.fixed_points)
        if watch.held is None:
            return None
        if self.watch:
            watch.restore(self.watch)
        watch.measure(self.model)
        return watch.estimate

    @property
    def solution(self) -> Any:
        """The most accurate function that the run knows: see `TrainResult.solution`."""
        return self.model if self.estimate is None else self.estimate.solution


def load_run(folder: str | os.PathLike, *, problem: Problem | None = None) -> LoadedRun:
    """Model, problem, history and result of a run that `pinn-ngd solve` or `run_problem` made.

    The problem is made again from its name and settings, or from the text of its file as it was
    then, which `config.json` keeps: that text is executed, so load runs of people whom you trust.
    A run of a `Problem` that no file defines needs it as `problem`.

        run = pinn_ngd.load_run("runs/poisson-2d-engd-tr-0")
        run.model(jnp.asarray([0.5, 0.5])), run.result["relative_l2"]
        run.solution(jnp.asarray([0.5, 0.5]))  # the model less its estimated error

    Raises FileNotFoundError where there is no run or no checkpoint yet, FolderError (a ValueError)
    for damaged files, and ValueError where the model does not fit, such as in single precision.
    Warns where the problem is not the one of the run.
    """
    paths = RunFolder(folder)
    config = read_config(folder)
    settings = config["settings"]
    if problem is None:
        problem = _problem_of(config, paths)
    said = {name: settings.get(name) is True for name in ("fixed_points", "balance", "normalize")}
    problem = dataclasses.replace(problem, **said)
    seed = settings.get("seed")
    if not isinstance(seed, int):
        raise FolderError(f"`{shown(paths.config_path)}` has no seed: give another folder.")
    start = problem.model(jax.random.key(seed))
    watch = read_watch(paths.checkpoint_path)
    model = load_model(paths.checkpoint_path, like=trained_like(problem, start, watch))
    _warn_of_another(problem, start, paths)
    history = read_history(folder) if paths.history_path.is_file() else []
    result = read_result(folder) if paths.result_path.is_file() else None
    return LoadedRun(model, problem, history, result, config, watch)


def _problem_of(config: Mapping[str, Any], paths: RunFolder) -> Problem:
    record = config.get("problem_file")
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        raise FolderError(
            f"`{shown(paths.path)}` is a run of a problem that no file defines: give it as "
            "`load_run(folder, problem=...)`."
        )
    arguments = record.get("arguments")
    file = _file_of(record)
    return built(file, arguments if isinstance(arguments, dict) else {})


def _warn_of_another(problem: Problem, start: PyTree, paths: RunFolder) -> None:
    there = read_identity(paths.checkpoint_path)
    here = json.loads(to_json(identity_of(problem.objective_at(start), start, None)))
    there, here = ({name: parts.get(name) for name in PARTS} for parts in (there, here))
    difference = first_difference(there, here)
    if difference is not None:
        warnings.warn(
            f"the run in `{shown(paths.path)}` was made with another problem ({difference}): if it "
            "was changed in Python, give it as `load_run(folder, problem=...)`.",
            UserWarning,
            stacklevel=3,
        )


def _file_of(record: Mapping[str, Any]) -> ProblemFile:
    """The problem file where it is as it was, else its recorded text."""
    name, text, beside = record["name"], record.get("text"), _beside(record)
    folder = Path(name).parent
    recorded = {Path(name): text, **{folder / other: beside[other] for other in beside}}
    if isinstance(text, str) and not all(_is_unchanged(*file) for file in recorded.items()):
        return ProblemFile.from_text(name, text, beside)
    file = ProblemFile(name)
    if file.sha256 != record.get("sha256"):
        warnings.warn(
            f"the problem {name!r} is not the one that the run was made with: this is another "
            "version of pinn_ngd.",
            UserWarning,
            stacklevel=4,
        )
    return file


def _beside(record: Mapping[str, Any]) -> dict[str, str]:
    """Names and texts of the files that the problem file imported from its folder."""
    beside = record.get("beside")
    files = beside if isinstance(beside, dict) else {}
    return {str(name): str(text) for name, text in files.items()}


def _is_unchanged(path: Path, text: str) -> bool:
    return os.path.isfile(path) and path.read_bytes() == text.encode("utf-8")
