"""What a run is going to do, resolved and tested before anything in its folder changes."""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .. import _tree, optimizers
from ..objectives import AbstractObjective
from ..storage import FolderError
from ..storage.checkpoint import check_identity
from ..storage.files import safe_name, shown, to_json
from ..storage.fingerprint import fingerprint
from ..storage.reading import read_config, read_result
from ..training.accepted import budget_of, optimizer_of, seed_of
from ..training.result import Budget
from ..training.setup import batch_of
from .environment import plain
from .problem import Problem
from .run_folder import RunFolder
from .state_metrics import with_state

DONE = (
    "converged",
    "overfitted",
    "stalled",
    "budget",
    "stopped",
    "failed",
)  # an interrupted run is not: it can be resumed


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run with everything resolved; `record` is what `config.json` says about it.

    `identity` is the part of the record that a resumed run has to share.
    """

    problem: Problem
    optimizer: Any
    name: str
    seed: int
    budget: Budget
    tolerance: float | None
    corrected: bool
    record: dict[str, Any]
    identity: dict[str, Any]
    why: str | None = None  # the optimizer was chosen, where nobody named one


def planned(
    problem: Problem,
    given: Any,
    settings: Mapping[str, Any] | None,
    solver_name: str | None,
    seed: int,
    steps: int | float | None,
    seconds: int | float | None,
    tolerance: float | None,
    corrected: bool,
) -> Plan:
    """Resolve names, settings and budgets; raises ValueError for what there is not."""
    seed = seed_of(seed)
    why = None
    unnamed = given is None and not settings and solver_name is None
    if unnamed and problem.by_size and isinstance(problem.objective, AbstractObjective):
        given, own, why = _suited(problem, seed)
        name, optimizer, chosen = _chosen(problem, given, dict(own), None)
    else:
        given = problem.optimizer if given is None else given
        name, optimizer, chosen = _chosen(problem, given, dict(settings or {}), solver_name)
    if steps is None and seconds is None:
        steps, seconds = problem.steps, problem.seconds
    budget = budget_of(steps, seconds)
    identity = {
        "problem": problem.name,
        "problem_settings": dict(problem.settings),
        "optimizer": name,
        "optimizer_settings": chosen,
        "seed": seed,
        "fixed_points": problem.fixed_points,
        "balance": problem.balance,
        "default_dtype": str(jnp.result_type(float)),
    }
    # New words: old runs lack them.
    identity |= {"normalize": True} if problem.normalize else {}
    identity |= {} if problem.windows is None else {"windows": problem.windows}
    budgets = {"steps": budget.steps, "seconds": budget.seconds, "tolerance": tolerance}
    budgets |= {"corrected": True} if corrected else {}  # a new word: old runs lack it
    record = {**identity, **budgets, "resolved_optimizer": optimizer}
    identity["hash_of_the_problem_file"] = (
        None if problem.source is None else problem.source.meaning
    )
    if not isinstance(given, str):  # its settings are its fields
        identity["optimizer_settings"] = fingerprint(optimizer)
    identity = json.loads(to_json(plain(identity)))
    label = safe_name(f"{problem.name}-{name}-{seed}")
    parts = problem, optimizer, label, seed, budget, tolerance, corrected, record, identity
    return Plan(*parts, why)


def _suited(problem: Problem, seed: int) -> tuple[str, Mapping[str, Any], str]:
    """The optimizer that suits the size of a problem, its settings, and why."""
    model = problem.model(jax.random.key(seed))
    choice = optimizers.suited(
        problem.objective, model, batch_of(problem.objective, jax.random.key(seed), 0)
    )
    return choice.name, choice.settings, choice.why


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
        return optimizers.name_of(optimizer), optimizer, {}
    own = problem.optimizer_settings if given == problem.optimizer else {}
    chosen = {**own, **settings}
    if solver_name is not None:
        chosen["solver"] = solver_name
    optimizer = optimizers.get(given, **with_state(given, chosen, problem))
    return given, optimizer, {**optimizers.settings(given), **chosen}


def described(plan: Plan, model: PyTree) -> dict[str, Any]:
    """What `config.json` says beside the settings: identity, network, points, problem file."""
    rules = getattr(plan.problem.objective, "rules", ())
    source = plan.problem.source
    text = re.sub(r" at 0x[0-9a-f]+", "", eqx.tree_pformat(model))  # where it lay in memory
    network = {"parameters": _tree.size(model), "text": text}
    points = [{"count": getattr(r, "size", None), "rule": fingerprint(r)} for r in rules]
    file = None
    if source is not None:
        arguments = plain(dict(source.arguments))
        file = {"name": source.name, "sha256": source.sha256, "arguments": arguments}
        file |= {} if source.is_shipped else {"text": source.text}
        file |= {"beside": dict(source.beside)} if source.beside else {}
    return {"identity": plan.identity, "network": network, "points": points, "problem_file": file}


def check_folder(folder: RunFolder, plan: Plan, *, resume: bool) -> bool:
    """Whether the run goes on from a checkpoint in the folder; nothing is changed.

    Raises FolderError where the folder belongs to another problem, and with `resume` to another
    run: only budgets may differ.
    """
    folder.check_problem(plan.problem.name)
    has_checkpoint = folder.holds(folder.checkpoint_path)
    if not resume or not folder.holds(folder.config_path):
        return resume and has_checkpoint
    there = read_config(folder.path).get("identity")
    if not isinstance(there, dict):
        raise FolderError(
            f"`{shown(folder.config_path)}` does not say what the run was, as that of an earlier "
            "version of pinn_ngd: start without `resume`, or give another folder."
        )
    check_identity(there, plan.identity, folder.path)
    return has_checkpoint


def ended(folder: RunFolder, plan: Plan) -> dict[str, Any] | None:
    """The result in the folder where there is nothing left to do, if there is one.

    That is a run that ended under these budgets, or one that has already used more than these: its
    message then says so.
    """
    try:
        result = read_result(folder.path)
        settings = read_config(folder.path)["settings"]
    except (FileNotFoundError, FolderError):
        return None
    if not _is_result(result):
        return None
    budgets = (plan.budget.steps, plan.budget.seconds, plan.tolerance, plan.corrected)
    earlier = [settings.get(name) for name in ("steps", "seconds", "tolerance")]
    if budgets == (*earlier, settings.get("corrected", False)):
        return result
    used = plan.budget.at_start(result["steps"], result["seconds"])
    if used is None:
        return None
    return result | {"message": f"{result['message']}. Resumed: {used.message}"}


def _is_result(result: dict[str, Any]) -> bool:
    kinds = {"problem": str, "optimizer": str, "seed": int, "steps": int, "message": str}
    right = all(isinstance(result.get(name), kind) for name, kind in kinds.items())
    return right and isinstance(result.get("seconds"), int | float) and result.get("status") in DONE
