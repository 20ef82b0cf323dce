"""One function that runs a problem into a folder."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PyTree

from .. import _tree
from ..optimizers import AbstractOptimizer
from ..storage import FolderError
from ..training import AbstractCallback, ProgressBar, TrainResult, train
from ..training.devices import mesh_of
from ..training.processes import Processes
from ..training.result import Run
from ..training.signals import heard, patiently
from .in_windows import goes_on_in_windows, trained_in_windows
from .pictures import draw as draw
from .pictures import draw_or_warn
from .plan import Plan, check_folder, described, ended, planned
from .problem import Problem
from .run_folder import RunFolder

RUNS = Path("runs")


def _silence(text: str) -> None:
    del text


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
    corrected: bool = False,
    fixed_points: bool | None = None,
    balance: bool | None = None,
    normalize: bool | None = None,
    out: str | os.PathLike | None = None,
    resume: bool = False,
    progress: bool = False,
    pictures: bool = True,
    callbacks: Iterable[AbstractCallback] = (),
    mesh: Any = None,
    tell: Callable[[str], None] = _silence,
) -> dict[str, Any]:
    """Train `problem` and leave config, history, result, checkpoint and pictures in a folder.

    Without an `optimizer` the problem's own is taken, or the default that suits its size
    (`optimizers.suited`), of which `tell` gets a sentence before the run. One by name has
    `settings` over its own (those of its metric are called "metric.floor" and the like) and
    `solver_name`, one of `linalg.solver_names()`. It may also be an optimizer or an Optax
    transformation, which brings all its settings along. The network is
    `problem.model(jax.random.key(seed))`. Where neither `steps` nor `seconds` is given the
    problem's budgets hold; where one is given, only that one. The folder is
    `runs/<problem>-<optimizer>-<seed>` unless `out` names another.

    The run ends early where the estimated relative error is below `tolerance`: that of the
    network, or with `corrected` that of the corrected solution. Points grow unless
    `fixed_points` (by default the problem's own word) keeps those of the problem file, and the
    weights of the terms are those of the file unless `balance`, likewise; `normalize` likewise lets
    the network see the unit box instead of the domain.

    With `resume` a run that was cut or got a larger budget goes on from its checkpoint, and one
    that ended under these very settings, or used more than this budget, is not repeated. Budgets
    are all that may differ: steps, seconds, tolerance and what it is asked of.

    `mesh` are the devices that share the points, as in `train`. Of several processes all call this
    alike, with a folder that all of them see, and the first one writes.

    Ctrl-C and SIGTERM end the run between two steps, with all its files. Nothing in the folder
    changes before everything that can be tested was: a folder that holds a run of another problem,
    that another process writes to, or with `resume` another run, is refused.

    Returns what `result.json` holds, and `folder`. Raises ValueError for unknown names and
    settings, FolderError (a ValueError) for a folder that cannot be used; whatever the problem's
    own code raises passes through, after `result.json` has been written with status "failed". A
    picture that cannot be drawn is a warning.
    """
    said = {"fixed_points": fixed_points, "balance": balance, "normalize": normalize}
    problem = dataclasses.replace(problem, **{k: v for k, v in said.items() if v is not None})
    if mesh is not None and optimizer is None:  # what the size suggests runs on one device
        optimizer = problem.optimizer
    plan = planned(
        problem, optimizer, settings, solver_name, seed, steps, seconds, tolerance, corrected
    )
    if mesh is not None and problem.windows is not None:
        raise ValueError(
            "windows in time run on one device: leave `mesh` or `--devices` out, or solve the "
            "problem at once (`--set windows=None`)."
        )
    processes = Processes(mesh_of(mesh))
    if plan.why is not None and processes.writes:
        tell(plan.why)
    folder = RunFolder(RUNS / plan.name if out is None else out)
    bars = (ProgressBar(),) if progress else ()
    with folder.lock() if processes.writes else contextlib.nullcontext():
        goes_on = check_folder(folder, plan, resume=resume)
        if resume and (found := ended(folder, plan)) is not None:
            return found | {"folder": str(folder.path)}
        if resume and problem.windows is not None:
            there = folder.checkpoint(), folder.holds(folder.result_path)
            goes_on = goes_on_in_windows(problem, there[0], has_result=there[1])
        opening = _Opening(plan, folder)
        with heard() as signals:
            told = folder.writer(), *bars, *callbacks
            result = _trained(plan, opening, told, mesh=mesh, resume=goes_on)
            with patiently(signals):
                values = _written(plan, folder, result, begun=opening.begun)
        if pictures and opening.begun:
            draw_or_warn(problem, result.model, folder, result.estimate)
    processes.agree()  # the others go on when all files are written
    return values | {"folder": str(folder.path)}


class _Opening(AbstractCallback):
    """Takes the folder over when everything has been tested and the run begins.

    Keeps the result of a run that raises, which `train` cannot return.
    """

    def __init__(self, plan: Plan, folder: RunFolder):
        self.plan, self.folder, self.begun = plan, folder, False
        self.result: TrainResult | None = None

    def on_start(self, run: Run) -> None:
        more = described(self.plan, run.model)
        self.folder.write_config(self.plan.record, more=more, fresh=not run.resumed)
        self.begun = True

    def on_end(self, result: TrainResult) -> None:
        self.result = result


def _trained(
    plan: Plan,
    opening: _Opening,
    callbacks: tuple[AbstractCallback, ...],
    *,
    mesh: Any,
    resume: bool,
) -> TrainResult:
    problem, folder = plan.problem, opening.folder
    key = jax.random.key(plan.seed)
    model = problem.model(key)
    evaluate = problem.evaluator() if problem.is_measured else None
    parts = problem.objective_at(model), model, plan.optimizer
    options: dict[str, Any] = {
        "steps": plan.budget.steps,
        "seconds": plan.budget.seconds,
        "key": jax.random.fold_in(key, 1),
        "callbacks": (opening, *callbacks),
        "evaluate": evaluate,
        "checkpoint": folder.checkpoint(identity=plan.identity),
        "grow": not problem.fixed_points,
        "tolerance": plan.tolerance,
        "corrected": plan.corrected,
    }
    try:
        if problem.windows is not None:
            return trained_in_windows(problem, *parts, resume=resume, **options)
        return train(*parts, resume=resume, mesh=mesh, **options)
    except BaseException:
        failed = opening.result
        if opening.begun and failed is not None:
            with contextlib.suppress(FolderError):  # what comes first tells more
                folder.write_result(failed, **_description(plan, failed.model))
        raise


def _written(plan: Plan, folder: RunFolder, result: TrainResult, *, begun: bool) -> dict[str, Any]:
    """`result.json`, first without the H1 error: whoever interrupts that keeps the rest.

    A run that was interrupted before it had begun leaves the folder as it was.
    """
    description = _description(plan, result.model)
    if not begun:
        return folder.values_of(result, **description)
    values = folder.write_result(result, **description)
    problem = plan.problem
    if problem.exact is None or result.status == "interrupted":
        return values
    errors = problem.errors(h1=True)(result.model)
    if result.estimate is not None and result.estimate.reliable:
        better = problem.errors()(result.estimate.corrected)
        errors |= {f"corrected_{name}": error for name, error in better.items()}
    return folder.write_result(result, **description, **errors)


def _description(plan: Plan, model: PyTree) -> dict[str, Any]:
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
