"""Runs of problems that ask for windows of time."""

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import PRNGKeyArray, PyTree

from ..objectives.windows import by_window, edges_of, time_of
from ..storage import FolderError
from ..storage.checkpoint import Checkpoint, Snapshot, save_checkpoint
from ..storage.fingerprint import identity_of
from ..training import TrainResult, train_windows
from ..training.window_files import WindowFiles
from .problem import Problem


def trained_like(problem: Problem, model: PyTree, watch: Mapping[str, Any]) -> PyTree:
    """The structure of what a run of a problem made of its network: one for every window that it
    came to, as its checkpoint says."""
    if problem.windows is None:
        return model
    edges = edges_of(problem.objective, problem.windows)
    count = int(watch.get("windows", len(edges) - 1))
    return by_window([model] * count, edges, time_of(problem.objective))


def goes_on_in_windows(problem: Problem, checkpoint: Checkpoint, *, has_result: bool) -> bool:
    """Whether a window of an earlier run is there to go on from.

    Raises FolderError where all windows have ended and the result is written.
    """
    assert problem.windows is not None
    files = WindowFiles(checkpoint, edges_of(problem.objective, problem.windows))
    if has_result and files.all_ended:
        raise FolderError(
            "all windows of this run have ended, and more steps in one of them would change the "
            "later ones: start it without `resume`."
        )
    return files.begun(1)


def trained_in_windows(
    problem: Problem,
    objective: Any,
    model: PyTree,
    optimizer: Any,
    *,
    key: PRNGKeyArray,
    checkpoint: Checkpoint,
    resume: bool,
    **options: Any,
) -> TrainResult:
    """Train window by window; what comes out is kept in the checkpoint, for `load_run`."""
    assert problem.windows is not None
    result = train_windows(
        objective, model, optimizer, windows=problem.windows, key=key, checkpoint=checkpoint,
        resume=resume, **options,
    )  # fmt: skip
    identity = {**checkpoint.identity, **identity_of(objective, model, optimizer)}
    snapshot = Snapshot(
        result.model, result.state, step=result.steps, seconds=result.seconds,
        key=jax.random.key(0), loss=result.loss, identity=identity,
        watch={"windows": len(result.windows)},
    )  # fmt: skip
    save_checkpoint(checkpoint.path, snapshot)
    return result
