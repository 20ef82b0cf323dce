"""Runs of problems that ask for windows of time."""

from typing import Any

import jax
from jaxtyping import PRNGKeyArray, PyTree

from ..objectives.windows import by_window, edges_of, time_of
from ..storage import FolderError
from ..storage.checkpoint import Checkpoint, Snapshot, save_checkpoint
from ..storage.fingerprint import identity_of
from ..training import TrainResult, train_windows
from .problem import Problem


def trained_like(problem: Problem, model: PyTree) -> PyTree:
    """The structure of what a run of a problem makes of its network: one for every window."""
    if problem.windows is None:
        return model
    edges = edges_of(problem.objective, problem.windows)
    return by_window([model] * (len(edges) - 1), edges, time_of(problem.objective))


def check_no_resume(problem: Problem, resume: bool) -> None:
    """Raises FolderError where a run in windows, which has no checkpoint, should go on."""
    if resume and problem.windows is not None:
        raise FolderError(
            "a run in windows of time keeps no checkpoint from which it could go on: start it "
            "without `resume`."
        )


def trained_in_windows(
    problem: Problem,
    objective: Any,
    model: PyTree,
    optimizer: Any,
    *,
    key: PRNGKeyArray,
    checkpoint: Checkpoint,
    **options: Any,
) -> TrainResult:
    """Train window by window; what comes out is kept in the checkpoint, for `load_run`."""
    assert problem.windows is not None
    result = train_windows(objective, model, optimizer, windows=problem.windows, key=key, **options)
    identity = {**checkpoint.identity, **identity_of(objective, model, optimizer)}
    if len(result.windows) == len(result.edges) - 1:
        snapshot = Snapshot(
            result.model, result.state, step=result.steps, seconds=result.seconds,
            key=jax.random.key(0), loss=result.loss, identity=identity,
        )  # fmt: skip
        save_checkpoint(checkpoint.path, snapshot)
    return result
