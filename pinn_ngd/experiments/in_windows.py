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
from .problem import Problem


def trained_like(problem: Problem, model: PyTree, watch: Mapping[str, Any]) -> PyTree:
    """The structure of what a run of a problem made of its network: one for every window that it
    came to, as its checkpoint says."""
    if problem.windows is None:
        return model
    edges = edges_of(problem.objective, problem.windows)
    count = int(watch.get("windows", len(edges) - 1))
    return by_window([model] * count, edges, time_of(problem.objective))


def check_no_resume(problem: Problem, goes_on: bool) -> None:
    """Raises FolderError where a run in windows, which has no checkpoint, should go on."""
    if goes_on and problem.windows is not None:
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
    snapshot = Snapshot(
        result.model, result.state, step=result.steps, seconds=result.seconds,
        key=jax.random.key(0), loss=result.loss, identity=identity,
        watch={"windows": len(result.windows)},
    )  # fmt: skip
    save_checkpoint(checkpoint.path, snapshot)
    return result
