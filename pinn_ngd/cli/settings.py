"""Names and settings from the command line, checked against what exists."""

from collections.abc import Mapping
from typing import Any

from .._names import choose, literal


def prepare(
    source: str,
    optimizer: str | None,
    solver: str | None,
    pairs: list[str],
    *,
    metric: str | None = None,
    problem_only: bool = False,
    checking: bool = False,
) -> tuple[Any, dict[str, Any]]:
    """The problem and the optimizer's settings, with `--set` sent to the one that knows the key."""
    from ..experiments.problem import built
    from ..experiments.problem_file import ProblemFile

    file = ProblemFile(source)  # is executed here, and nowhere else
    known: dict[str, Mapping[str, Any]] = {"problem": file.settings}
    problem = built(file, assign(_own(pairs, file.settings), known)["problem"])
    if not problem_only:
        name = problem.optimizer if optimizer is None else optimizer
        if checking and metric is not None and not _takes_metric(name):
            name = "engd-tr"  # any metric can be checked
        known |= _known(problem, name, solver, metric, pairs)
    chosen = assign(pairs, known)
    named = {} if metric is None else {"metric": metric}
    own = {f"metric.{key}": value for key, value in chosen.get("metric", {}).items()}
    return problem, chosen.get("optimizer", {}) | named | own


def _own(pairs: list[str], known: Mapping[str, Any]) -> list[str]:
    """The pairs that name a setting of the problem."""
    names = {pair: pair.partition("=")[0].strip().removeprefix("problem.") for pair in pairs}
    return [pair for pair, name in names.items() if name in known]


def _known(
    problem: Any, name: Any, solver: str | None, metric: str | None, pairs: list[str]
) -> dict[str, dict[str, Any]]:
    """The settings of an optimizer, and of its metric if it has one, by owner.

    Where `name` is an object of the problem file there is nothing to set.
    """
    from .. import metrics, optimizers

    if not isinstance(name, str):
        choice = solver or metric
        if choice is not None:
            msg = (
                f"`{choice}` cannot be chosen: the problem brings an optimizer of its own, with all"
                " its settings; name another by `--optimizer`."
            )
            raise ValueError(msg)
        return {}
    check_optimizer(name)
    settings = optimizers.settings(name)
    _check_solver(solver, name, settings)
    _check_metric(metric, name, settings)
    own = problem.optimizer_settings if name == problem.optimizer else {}
    said = [_value(pair.partition("=")[2].strip(), pair) for pair in pairs if _is_metric(pair)]
    chosen = metric or (said[-1] if said else {**settings, **own}.get("metric"))
    owners = {"optimizer": settings}
    return owners | ({"metric": metrics.settings(chosen)} if isinstance(chosen, str) else {})


def _takes_metric(optimizer: Any) -> bool:
    from ..optimizers import uses_metric

    return isinstance(optimizer, str) and uses_metric(optimizer)


def _is_metric(pair: str) -> bool:
    return pair.partition("=")[0].strip() in ("metric", "optimizer.metric")


def assign(pairs: list[str], known: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """`key=value` pairs sorted by owner ("problem", "optimizer", "metric"), values as literals.

    A name that the metric shares with another is the other's; "metric.name" is always the metric's.
    Raises ValueError for a pair without "=", for a key that no owner has or several have, and for a
    value that is no number where the default is one.
    """
    chosen: dict[str, dict[str, Any]] = {owner: {} for owner in known}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"`--set {pair}` is not KEY=VALUE, such as `--set width=24`.")
        owner, name = _owner(key.strip(), known)
        chosen[owner][name] = _fitting(_value(text.strip(), pair), known[owner][name], pair)
    return chosen


def _owner(key: str, known: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    prefix, dot, rest = key.partition(".")
    candidates, name = ([prefix], rest) if dot and prefix in known else (list(known), key)
    owners = [owner for owner in candidates if name in known[owner]]
    owners = [owner for owner in owners if owner != "metric"] or owners
    if len(owners) == 1:
        return owners[0], name
    if owners:
        choices = " or ".join(f"`--set {owner}.{name}=...`" for owner in owners)
        several = " and ".join(owners)
        raise ValueError(f"`{name}` is a setting of both {several}: write {choices}.")
    have = "; ".join(f"the {o} has {', '.join(names) or 'none'}" for o, names in known.items())
    raise ValueError(f"there is no setting `{key}`: {have}.")


def _value(text: str, pair: str) -> Any:
    try:
        return literal(text)
    except ValueError as error:
        name = pair.partition("=")[0]
        raise ValueError(f"`--set {name}=...`: {error}") from None


def _fitting(value: Any, default: Any, pair: str) -> Any:
    """The value, as a float where the default is one; refuses what can only fail later."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if type(default) is float and not number:
        raise ValueError(f"`--set {pair}`: a number is needed; the default is {default}.")
    if type(default) is int and not (number and _is_whole(value)):
        raise ValueError(f"`--set {pair}`: a whole number is needed; the default is {default}.")
    try:
        return type(default)(value) if type(default) in (int, float) else value
    except OverflowError:
        raise ValueError(f"`--set {pair[:40]}...`: the number is too large.") from None


def _is_whole(value: int | float) -> bool:
    return isinstance(value, int) or float(value).is_integer()


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
        from ..optimizers import names, uses_metric

        have = " and ".join(name for name in names() if uses_metric(name))
        raise ValueError(
            f"`--metric`: the optimizer {optimizer!r} has no metric to choose; {have} have one."
        )


def check(what: str, name: str, known: Mapping[str, Any]) -> None:
    """Raises ValueError for an unknown name, with the known ones and the nearest of them."""
    choose(name, known, what)
