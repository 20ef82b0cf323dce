"""Names and settings from the command line, checked against what exists."""

import ast
import difflib
from collections.abc import Mapping
from typing import Any


def prepare(
    source: str,
    optimizer: str | None,
    solver: str | None,
    pairs: list[str],
    *,
    metric: str | None = None,
    problem_only: bool = False,
) -> tuple[Any, dict[str, Any]]:
    """The problem and the optimizer's settings, with `--set` sent to the one that knows the key."""
    from .. import optimizers
    from ..problem import built
    from ..problem_file import ProblemFile

    file = ProblemFile(source)  # is executed here, and nowhere else
    known = {"problem": file.settings}
    if problem_only:
        return built(file, assign(pairs, known)["problem"]), {}
    problem = None
    if optimizer is None:  # the problem says which, so it has to be built with its own part first
        problem = built(file, assign(_own(pairs, known["problem"]), known)["problem"])
    name = problem.optimizer if problem is not None else str(optimizer)
    check_optimizer(name)
    known["optimizer"] = optimizers.settings(name)
    _check_solver(solver, name, known["optimizer"])
    _check_metric(metric, name, known["optimizer"])
    chosen = assign(pairs, known)
    named = {} if metric is None else {"metric": metric}
    problem = built(file, chosen["problem"]) if problem is None else problem
    return problem, chosen["optimizer"] | named


def _own(pairs: list[str], known: Mapping[str, Any]) -> list[str]:
    """The pairs that name a setting of the problem."""
    names = {pair: pair.partition("=")[0].strip().removeprefix("problem.") for pair in pairs}
    return [pair for pair, name in names.items() if name in known]


def assign(pairs: list[str], known: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """`key=value` pairs sorted by owner ("problem", "optimizer"), values as Python literals.

    Raises ValueError for a pair without "=", for a key that no owner has or several have, and for a
    value that is no number where the default is one.
    """
    chosen: dict[str, dict[str, Any]] = {owner: {} for owner in known}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"`--set {pair}` is not KEY=VALUE, such as `--set width=24`.")
        owner, name = _owner(key.strip(), known)
        chosen[owner][name] = _fitting(_literal(text.strip()), known[owner][name], pair)
    return chosen


def _owner(key: str, known: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    prefix, dot, rest = key.partition(".")
    candidates, name = ([prefix], rest) if dot and prefix in known else (list(known), key)
    owners = [owner for owner in candidates if name in known[owner]]
    if len(owners) == 1:
        return owners[0], name
    if owners:
        choices = " or ".join(f"`--set {owner}.{name}=...`" for owner in owners)
        raise ValueError(f"`{name}` is a setting of both problem and optimizer: write {choices}.")
    have = "; ".join(f"the {o} has {', '.join(names) or 'none'}" for o, names in known.items())
    raise ValueError(f"there is no setting `{key}`: {have}.")


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _fitting(value: Any, default: Any, pair: str) -> Any:
    """The value, as a float where the default is one; refuses what can only fail later."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if type(default) is float and not number:
        raise ValueError(f"`--set {pair}`: a number is needed; the default is {default}.")
    if type(default) is int and not (number and float(value).is_integer()):
        raise ValueError(f"`--set {pair}`: a whole number is needed; the default is {default}.")
    return type(default)(value) if type(default) in (int, float) else value


def check_optimizer(name: str) -> None:
    """Raises ValueError for a name that no optimizer has."""
    from ..optimizers import names

    check("optimizer", name, names())


def _check_solver(solver: str | None, optimizer: str, settings: Mapping[str, Any]) -> None:
    from ..linalg import solver_names

    if solver is None:
        return
    check("linear solver", solver, solver_names())
    if "solver" not in settings:
        raise ValueError(f"`--solver`: the optimizer {optimizer!r} has no linear solver to choose.")


def _check_metric(metric: str | None, optimizer: str, settings: Mapping[str, Any]) -> None:
    from .. import metrics

    if metric is None:
        return
    check("metric", metric, metrics.names())
    if "metric" not in settings:
        have = "engd-tr and wngd have one"
        raise ValueError(
            f"`--metric`: the optimizer {optimizer!r} has no metric to choose; {have}."
        )


def check(what: str, name: str, known: Mapping[str, Any]) -> None:
    """Raises ValueError for an unknown name, with the known ones and the nearest of them."""
    if name in known:
        return
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown {what} {name!r}; known are {', '.join(known)}.{hint}")
