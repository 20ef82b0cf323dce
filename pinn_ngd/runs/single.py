"""One function that runs a problem into a folder."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .. import _tree, optimizers, plotting
from ..optimizers import AbstractOptimizer, name_of
from ..problem import Problem
from ..training import (
    AbstractCallback,
    ProgressBar,
    RunFolder,
    TrainResult,
    read_history,
    read_result,
    train,
)
from ..training.accepted import budget_of, optimizer_of, seed_of
from ..training.callbacks import to_json
from ..training.run_folder import plain
from ..validation import ErrorEstimate
from .state_metrics import with_state

RUNS = Path("runs")
DONE = (
    "converged",
    "overfitted",
    "stalled",
    "budget",
    "stopped",
    "failed",
)  # an interrupted run is not: it can be resumed


def run_problem(
    problem: Problem,
    optimizer: str | AbstractOptimizer | Any | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    solver_name: str | None = None,
    seed: int = 0,
    steps: int | float | None = None,
    seconds: int | float | None = None,
    tolerance: float | None = None,
    fixed_points: bool | None = None,
    out: str | os.PathLike | None = None,
    resume: bool = False,
    progress: bool = False,
    pictures: bool = True,
    callbacks: Iterable[AbstractCallback] = (),
) -> dict[str, Any]:
    """Train `problem` and leave config, history, result, checkpoint and pictures in a folder.

    `optimizer` is a registered name with `settings` over its own (those of its metric are called
    "metric.floor" and the like), `solver_name` one of `linalg.solver_names()`; without them the
    problem's own are taken. It may also be an optimizer or an Optax transformation, which brings
    all its settings along. The network is
    `problem.model(jax.random.key(seed))`. Where neither `steps` nor `seconds` is given the
    problem's budgets hold; where one is given, only that one. The folder is
    `runs/<problem>-<optimizer>-<seed>` unless `out` names another.

    The run ends early where the estimated relative error is below `tolerance`. Points grow unless
    `fixed_points` (by default the problem's own word) keeps those of the problem file.

    With `resume` a run that was cut or got a larger budget goes on from its checkpoint, and one
    that ended under these very settings is not repeated.

    Returns what `result.json` holds, and `folder`. Raises ValueError for unknown names and
    settings; whatever the problem's own code raises passes through, after `result.json` has been
    written with status "failed".
    """
    if fixed_points is not None:
        problem = dataclasses.replace(problem, fixed_points=fixed_points)
    plan = _plan(problem, optimizer, settings, solver_name, seed, steps, seconds, tolerance)
    folder = RunFolder(RUNS / plan.name if out is None else out)
    if resume and (ended := _ended(folder, plan)) is not None:
        return ended | {"folder": str(folder.path)}
    resume = resume and folder.checkpoint_path.is_file()
    folder.write_config(plan.record)
    bars = (ProgressBar(),) if progress else ()
    result = _trained(plan, folder, (folder.writer(), *bars, *callbacks), resume=resume)
    values = _written(plan, folder, result)
    if pictures:
        draw(problem, result.model, folder, result.estimate)
    return values | {"folder": str(folder.path)}


@dataclasses.dataclass(frozen=True)
class _Plan:
    """A run with everything resolved; `record` is what `config.json` says about it."""

    problem: Problem
    optimizer: Any
    name: str
    seed: int
    steps: int | None
    seconds: float | None
    tolerance: float | None
    record: dict[str, Any]


def _plan(
    problem: Problem,
    name: Any,
    settings: Mapping[str, Any] | None,
    solver_name: str | None,
    seed: int,
    steps: int | float | None,
    seconds: int | float | None,
    tolerance: float | None,
) -> _Plan:
    given = problem.optimizer if name is None else name
    seed = seed_of(seed)
    name, optimizer, chosen = _chosen(problem, given, dict(settings or {}), solver_name)
    if steps is None and seconds is None:
        steps, seconds = problem.steps, problem.seconds
    budget = budget_of(steps, seconds)  # refuses before anything in the folder is touched
    steps, seconds = budget.steps, budget.seconds
    record = {
        "problem": problem.name,
        "problem_settings": dict(problem.settings),
        "optimizer": name,
        "optimizer_settings": chosen,
        "seed": seed,
        "steps": steps,
        "seconds": seconds,
        "tolerance": tolerance,
        "fixed_points": problem.fixed_points,
        "default_dtype": str(jnp.result_type(float)),
        "resolved_optimizer": optimizer,
    }
    label = f"{problem.name}-{name}-{seed}"
    return _Plan(problem, optimizer, label, seed, steps, seconds, tolerance, record)


def _chosen(
    problem: Problem, given: Any, settings: dict[str, Any], solver_name: str | None
) -> tuple[str, Any, dict[str, Any]]:
    """Name, optimizer and effective settings; an object has a name made of its class's."""
    if not isinstance(given, str):
        optimizer = optimizer_of(given)
        if settings or solver_name is not None:
            some = next(iter(settings), "solver_name")
            msg = (
                f"`{some}` goes with the name of an optimizer, and `optimizer` is an object: build"
                " it with these settings instead."
            )
            raise ValueError(msg)
        return name_of(optimizer), optimizer, {}
    own = problem.optimizer_settings if given == problem.optimizer else {}
    chosen = {**own, **settings}
    if solver_name is not None:
        chosen["solver"] = solver_name
    optimizer = optimizers.get(given, **with_state(given, chosen, problem))
    return given, optimizer, {**optimizers.settings(given), **chosen}


def _ended(folder: RunFolder, plan: _Plan) -> dict[str, Any] | None:
    """The result of a run in the folder that ended under the same settings, if there is one."""
    if not (folder.result_path.is_file() and folder.config_path.is_file()):
        return None
    try:
        there = json.loads(folder.config_path.read_text(encoding="utf-8"))["settings"]
        result = read_result(folder.path)
    except (ValueError, KeyError):
        return None
    same = there == json.loads(to_json(plain(plan.record)))
    return result if same and result.get("status") in DONE else None


class _Keep(AbstractCallback):
    """Keeps the result of a run that raises, which `train` cannot return."""

    result: TrainResult | None = None

    def on_end(self, result: TrainResult) -> None:
        self.result = result


def _trained(
    plan: _Plan, folder: RunFolder, callbacks: tuple[AbstractCallback, ...], *, resume: bool
) -> TrainResult:
    problem, keep = plan.problem, _Keep()
    key = jax.random.key(plan.seed)
    model = problem.model(key)
    evaluate = problem.evaluator() if problem.is_measured else None
    try:
        return train(
            problem.objective,
            model,
            plan.optimizer,
            steps=plan.steps,
            seconds=plan.seconds,
            key=jax.random.fold_in(key, 1),
            callbacks=(keep, *callbacks),
            evaluate=evaluate,
            checkpoint=folder.checkpoint(),
            resume=resume,
            grow=not problem.fixed_points,
            tolerance=plan.tolerance,
        )
    except Exception:
        if keep.result is not None:
            folder.write_result(keep.result, **_description(plan, keep.result.model))
        raise


def _written(plan: _Plan, folder: RunFolder, result: TrainResult) -> dict[str, Any]:
    """`result.json`, first without the H1 error: whoever interrupts that keeps the rest."""
    description = _description(plan, result.model)
    if not result.history and folder.history_path.is_file():  # a resumed run without a new step
        description["loss"] = (read_history(folder.path) or [{}])[-1].get("loss", result.loss)
    values = folder.write_result(result, **description)
    problem = plan.problem
    if problem.exact is None or result.status == "interrupted":
        return values
    errors = problem.evaluator(h1=True)(result.model)
    if result.estimate is not None:
        better = problem.evaluator()(result.estimate.corrected)
        errors |= {f"corrected_{name}": error for name, error in better.items()}
    return folder.write_result(result, **description, **errors)


def _description(plan: _Plan, model: PyTree) -> dict[str, Any]:
    solver = getattr(plan.optimizer, "solver", None)
    chosen = plan.record["optimizer_settings"].get("solver")
    return {
        "problem": plan.problem.name,
        "optimizer": plan.record["optimizer"],
        "solver": chosen if isinstance(chosen, str) or solver is None else _solver_name(solver),
        "seed": plan.seed,
        "parameters": _tree.size(model),
        "dtype": _tree.dtypes(model),
    }


def _solver_name(solver: Any) -> str:
    """The name of a solver as `--solver` takes it: Spectral(method="gram") is "spectral-gram"."""
    inner = getattr(solver, "primary", None) or getattr(solver, "inner_solver", None)
    if inner is not None:
        return _solver_name(inner)
    base, method = type(solver).__name__.lower(), getattr(solver, "method", "auto")
    return base if method == "auto" else f"{base}-{method}"


def draw(
    problem: Problem, model: PyTree, folder: RunFolder, estimate: ErrorEstimate | None = None
) -> list[Path]:
    """The pictures of a run: solution, error and its estimate, and its history if there is one."""
    if problem.picture is not None:
        figure = problem.picture(model)
    elif callable(model) and problem.domain is not None:
        error = None if estimate is None else estimate.error
        figure = plotting.plot_solution(model, problem.exact, problem.domain, estimated_error=error)
    else:  # a state of parameters without a picture of their own
        figure = None
    written = [] if figure is None else plotting.save(figure, folder.path / "solution")
    history = read_history(folder.path) if folder.history_path.is_file() else []
    if history:
        learned = any("test_accuracy" in record for record in history)
        figure = (plotting.plot_learning if learned else plotting.plot_history)(history)
        written += plotting.save(figure, folder.path / "history")
    return written
