"""What a problem, an optimizer or a metric is: settings and defaults, and what they may be."""

from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _tree, metrics, optimizers
from .._catalog import Lines
from .._listing import list_problems
from .._names import choose
from .._settings import settings_in_words
from ..experiments.comparison import effective_settings
from ..experiments.problem import Problem
from ..families import Distribution
from ..metrics.registry import METRICS
from ..objectives import ResidualObjective
from ..optimizers.presets.registry import PRESETS
from .settings import prepare

Tables = dict[str, Lines]


def described(name: str, pairs: list[str]) -> Tables:
    """Tables about what is called by that name; `pairs` are settings of a problem.

    Raises ValueError for an unknown name.
    """
    if name in PRESETS.complete():
        return _of_optimizer(name)
    if name in METRICS.complete():
        return _of_metric(name)
    if not name.endswith(".py"):
        name = choose(name, [*list_problems(), *PRESETS, *METRICS], "problem, optimizer or metric")
    return _of_problem(prepare(name, None, None, pairs, problem_only=True)[0])


def _of_optimizer(name: str) -> Tables:
    make = PRESETS[name].make
    known = settings_in_words(make)
    more = {key: repr(v) for key, v in optimizers.settings(name).items() if key not in known}
    cited = [
        line for line in optimizers.citation(name).splitlines() if line.strip().startswith("title")
    ]
    return {
        f"{name} (optimizer)": {"": _text(make.__doc__)},
        "settings (--set name=value), their defaults, and what they may be": known | more,
        f"after (`pinn-ngd cite {name}` prints the BibTeX)": _titles(cited),
    }


def _titles(lines: Iterable[str]) -> Lines:
    texts = (line.partition("=")[2].strip().rstrip(",") for line in lines)
    plain = (text.replace("{", "").replace("}", "") for text in texts)
    return {str(number): text for number, text in enumerate(plain, start=1)}


def _of_metric(name: str) -> Tables:
    named = METRICS[name]
    words, known = settings_in_words(named.kind), metrics.settings(name)
    lines = {key: f"{value!r};{words[key].partition(';')[2]}" for key, value in known.items()}
    return {
        f"{name} (metric): {named.description}": {"": _text(named.kind.__doc__)},
        "settings (--set metric.name=value), their defaults, and what they may be": lines,
    }


def _of_problem(problem: Problem) -> Tables:
    model = problem.model(jax.random.key(0))
    heads = {
        "description": problem.description,
        "settings": _listed(problem.settings),
        "domain": "" if problem.domain is None else repr(problem.domain),
        "model" if isinstance(model, Distribution) else "network": _network(model),
        "parameters": f"{_tree.size(model)}",
        "objective": type(problem.objective).__name__,
        "exact solution": _exact(problem),
        "compared by": problem.measure,
        "budget": _budget(problem),
        "points": _points(problem),
        "optimizer": _optimizer(problem),
    }
    tables = {
        f"{problem.name} (problem)": {key: text for key, text in heads.items() if text},
        "terms": _terms(problem, model),
    }
    return {title: lines for title, lines in tables.items() if lines}


def _exact(problem: Problem) -> str:
    """Empty where a problem is no equation, so that there is no solution to know."""
    if problem.exact is not None:
        return "known"
    return "" if problem.domain is None else "not known"


def _points(problem: Problem) -> str:
    """Empty for objectives without residuals, whose data do not grow."""
    if not isinstance(problem.objective, ResidualObjective):
        return ""
    return "fixed" if problem.fixed_points else "grow where they are missing"


def _terms(problem: Problem, model: Any) -> Lines:
    objective: Any = problem.objective_at(model)
    terms = getattr(objective, "terms", ())
    names = getattr(objective, "term_names", ())
    pairs = zip(names, terms, objective.rules, strict=True) if terms else ()
    return {name: f"{_rule(rule)}, weight {_weight(term)}" for name, term, rule in pairs}


def _rule(rule: Any) -> str:
    region = type(getattr(rule, "region", None)).__name__
    place = "" if region == "NoneType" else f" on {region}"
    return f"{type(rule).__name__}{place}, {getattr(rule, 'size', '?')} points"


def _weight(term: Any) -> str:
    weight = getattr(term, "weight", 1.0)
    return "a function of the point" if callable(weight) else f"{np.asarray(weight).tolist()}"


def _network(model: Any) -> str:
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    shapes = ", ".join("x".join(map(str, leaf.shape)) or "1" for leaf in leaves[:8])
    more = f", and {len(leaves) - 8} more" if len(leaves) > 8 else ""
    return f"{type(model).__name__}, arrays of {shapes}{more}"


def _budget(problem: Problem) -> str:
    steps = "" if problem.steps is None else f"{problem.steps} steps"
    seconds = "" if problem.seconds is None else f"{problem.seconds:g} s of training"
    return " or ".join(part for part in (steps, seconds) if part)


def _optimizer(problem: Problem) -> str:
    if not isinstance(problem.optimizer, str):
        return f"{optimizers.name_of(problem.optimizer)}, an object with its own settings"
    found = _listed(effective_settings(problem, problem.optimizer))
    others = ", unless another suits the size better" if problem.by_size else ""
    return f"{problem.optimizer} with {found}{others}"


def _listed(settings: Any) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in settings.items()) or "none"


def _text(docstring: str | None) -> str:
    """A docstring in one paragraph a blank line."""
    paragraphs = (docstring or "").strip().split("\n\n")
    return "\n".join(" ".join(part.split()) for part in paragraphs)
