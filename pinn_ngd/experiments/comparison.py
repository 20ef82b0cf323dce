"""Several optimizers on one problem, from several seeds, and a table and pictures of it."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import optimizers
from .._names import literal
from ..storage import FolderError
from ..storage.files import clean, read_json, safe_name, shown, to_json, write_text
from ..storage.lock import locked
from ..storage.reading import read_history
from ..training.accepted import optimizer_of, seeds_of
from . import plotting
from .pictures import drawn_or_warned
from .problem import Problem
from .single import run_problem

AGAINST = {"seconds": "error-vs-seconds", "step": "error-vs-steps", "solves": "error-vs-solves"}


def _silence(text: str) -> None:
    del text


def compare_optimizers(
    problem: Problem,
    names: str | Sequence[str | Any],
    *,
    seeds: Sequence[int] | Any,
    out: str | os.PathLike,
    steps: int | None = None,
    seconds: float | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    tell: Callable[[str], None] = _silence,
    progress: bool = False,
) -> dict[str, Any]:
    """Run every optimizer from every seed and leave table and pictures in `out`.

    A name is that of an optimizer, with a metric as in "wngd:h1" or settings of its own as in
    "tngd:time=5:damping=0.1"; `settings` go to every optimizer that has them, and so do the
    problem's own where they belong to the training and not to a method, as the schedule and the
    average do (`optimizers.shared_settings`), so that all are compared alike. The effective
    settings are in the table. An optimizer may also be an object, with all its settings. Writes
    `compare.json` and `compare.md`, anew after every run, so that what has been run is not lost,
    and in the end the error against seconds, steps and solves (`.png`, `.pdf`); each run lies in
    `out/<optimizer>-<seed>`. Where the problem has no exact solution the loss is compared. A run
    that an optimizer refuses (ValueError, such as SciPy's Levenberg-Marquardt with fewer rows than
    parameters) counts as failed. `tell` gets a line before and after every run.
    """
    chosen, seeds = _labelled([names] if isinstance(names, str) else names), seeds_of(seeds)
    with locked(Path(out)):
        _check_comparison(Path(out), problem)
        clean(Path(out))
        return _compared(
            problem, chosen, seeds, Path(out), settings=dict(settings or {}), tell=tell,
            steps=steps, seconds=seconds, resume=resume, progress=progress,
        )  # fmt: skip


def _compared(
    problem: Problem,
    chosen: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    *,
    settings: dict[str, Any],
    tell: Callable[[str], None],
    **arguments: Any,
) -> dict[str, Any]:
    names = list(chosen)
    results: list[dict[str, Any]] = []
    total = len(names) * len(seeds)
    for number, (name, seed) in enumerate(((n, s) for n in names for s in seeds), start=1):
        tell(f"[{number}/{total}] {name}, seed {seed}")
        result = _one_of_many(
            problem, name, chosen[name], settings, seed=seed, pictures=False,
            out=out / f"{_folder_name(name)}-{seed}", **arguments,
        )  # fmt: skip
        results.append(result)
        error = _number(_error(result, problem.measure))
        tell(f"  {error} after {result['steps']} steps: {result['message']}")
        summary = _write_comparison(problem, results, chosen, out, settings)
        if result["status"] == "interrupted":
            break
    _draw_comparison(summary, out, problem.measure)
    return summary


def _check_comparison(out: Path, problem: Problem) -> None:
    there = read_json(out / "compare.json")
    name = there.get("problem") if isinstance(there, dict) else None
    if name not in (None, problem.name):
        raise FolderError(
            f"the folder `{shown(out)}` holds a comparison on the problem {name!r}, not on "
            f"{problem.name!r}: give another folder (`--out`), or delete this one."
        )


def split_label(label: str) -> tuple[str, dict[str, Any]]:
    """Optimizer and settings of "optimizer", "optimizer:metric" or "optimizer:key=value:...".

    Values are Python literals, or else text. Raises ValueError for unknown names and settings.
    """
    name, *parts = label.split(":")
    settings: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        settings |= {key: literal(value)} if equals else {"metric": key}
    optimizers.get(name, **settings)
    return name, settings


def _labelled(names: Sequence[Any]) -> dict[str, Any]:
    """A label for every optimizer: a name's own, or one made of an object's class."""
    chosen: dict[str, Any] = {}
    for given in names:
        label = given if isinstance(given, str) else optimizers.name_of(optimizer_of(given))
        if isinstance(given, str):
            split_label(given)
        known = sum(each == label or each.startswith(f"{label}-") for each in chosen)
        chosen[f"{label}-{known + 1}" if known and not isinstance(given, str) else label] = given
    return chosen


def effective_settings(
    problem: Problem, given: Any, common: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All settings that an optimizer has in a comparison; of an object, none are known apart."""
    if not isinstance(given, str):
        return {}
    name, settings = split_label(given)
    known = optimizers.settings(name)
    own = dict(problem.optimizer_settings)
    if name != problem.optimizer:
        common_to_all = optimizers.shared_settings(name)
        own = {key: value for key, value in own.items() if key in common_to_all}
    shared = {key: value for key, value in {**own, **(common or {})}.items() if key in known}
    return {**known, **shared, **settings}


def _differing(problem: Problem, given: Any, common: Mapping[str, Any]) -> str:
    """The settings that are not the defaults, in words."""
    if not isinstance(given, str):
        return "an object with its own"
    known = optimizers.settings(split_label(given)[0])
    found = effective_settings(problem, given, common)
    changed = {key: value for key, value in found.items() if known.get(key, ...) != value}
    return ", ".join(f"{key}={value}" for key, value in changed.items()) or "defaults"


def _folder_name(label: str) -> str:
    return safe_name(label.replace(":", "-").replace("=", "-"))


def _one_of_many(
    problem: Problem, label: str, given: Any, common: Mapping[str, Any], **arguments: Any
) -> dict[str, Any]:
    name, settings = given, None
    if isinstance(given, str):
        name, _ = split_label(given)
        settings = effective_settings(problem, given, common)
    try:
        result = run_problem(problem, name, settings=settings, **arguments)
        return result | {"optimizer": label}
    except FolderError:
        raise
    except ValueError as error:
        empty = dict.fromkeys(("loss", "relative_l2", "relative_h1"), float("nan"))
        counts = {"steps": 0, "seconds": 0.0, "compile_seconds": 0.0}
        return {
            "problem": problem.name, "optimizer": label, "seed": arguments["seed"], **empty,
            **counts, "status": "failed", "message": str(error), "folder": str(arguments["out"]),
        }  # fmt: skip


def _write_comparison(
    problem: Problem,
    results: list[dict[str, Any]],
    chosen: Mapping[str, Any],
    out: Path,
    common: Mapping[str, Any],
) -> dict[str, Any]:
    by_name = {name: [r for r in results if r["optimizer"] == name] for name in chosen}
    rows = [summarize(name, found, problem.measure) for name, found in by_name.items()]
    rows = [
        row | {"settings": _differing(problem, chosen[row["optimizer"]], common)}
        for row in rows
        if row is not None
    ]
    runs = [{**result, "folder": Path(result["folder"]).name} for result in results]
    summary = {
        "problem": problem.name,
        "measure": plotting.MEASURES.get(problem.measure, problem.measure),
        "rows": rows,
        "runs": runs,
    }
    write_text(out / "compare.json", to_json(summary, indent=2) + "\n")
    write_text(out / "compare.md", as_markdown(summary))
    return summary


def summarize(
    optimizer: str, results: Sequence[Mapping[str, Any]], measure: str | None = None
) -> dict[str, Any] | None:
    """One row of the table: final errors (or other `measure`) over the seeds, failures, costs.

    A failed run counts with the error of its last finite model, or as infinite if it has none.
    """
    if not results:
        return None
    errors = [_error(result, measure) for result in results]
    ranked = np.asarray([np.inf if np.isnan(error) else error for error in errors])
    steps, seconds = (sum(float(r[name]) for r in results) for name in ("steps", "seconds"))
    return {
        "optimizer": optimizer,
        "median": float(np.median(ranked)),
        "min": float(ranked.min()),
        "max": float(ranked.max()),
        "failed": sum(result["status"] == "failed" for result in results),
        "seeds": len(results),
        "steps": float(np.median([r["steps"] for r in results])),
        "seconds": float(np.median([r["seconds"] for r in results])),
        "compile_seconds": float(np.median([r["compile_seconds"] for r in results])),
        "seconds_per_step": seconds / steps if steps else float("nan"),
        "errors": errors,
    }


HEADINGS = ("optimizer", "median", "best", "worst", "failed", "steps", "s/step", "seconds")


def table_cells(row: Mapping[str, Any]) -> list[str]:
    """One row of the table as text, in the order of `HEADINGS`."""
    errors = [_number(row[name]) for name in ("median", "min", "max")]
    failed = f"{row['failed']} of {row['seeds']}"
    return [
        row["optimizer"], *errors, failed, f"{row['steps']:.0f}",
        f"{row['seconds_per_step']:.2g}", f"{row['seconds']:.1f}",
    ]  # fmt: skip


def as_markdown(summary: Mapping[str, Any]) -> str:
    """The table of a comparison in Markdown."""
    lines = [f"{summary['problem']}: final {summary['measure']} over the seeds\n"]
    lines += [" | ".join(HEADINGS), " | ".join(["---"] + ["---:"] * (len(HEADINGS) - 1))]
    lines += [" | ".join(table_cells(row)) for row in summary["rows"]]
    table = [lines[0], *(f"| {line} |" for line in lines[1:])]
    return "\n".join([*table, *(f"\n{line}" for line in settings_lines(summary))]) + "\n"


def settings_lines(summary: Mapping[str, Any]) -> list[str]:
    """What every optimizer of a comparison was run with, where it is known."""
    return [
        f"{row['optimizer']}: {row['settings']}" for row in summary["rows"] if row.get("settings")
    ]


def _draw_comparison(summary: Mapping[str, Any], out: Path, measure: str) -> None:
    histories: dict[str, list[list[dict[str, Any]]]] = {}
    for run in summary["runs"]:
        path = out / run["folder"] / "history.jsonl"
        if path.is_file():
            histories.setdefault(run["optimizer"], []).append(read_history(path))
    for x, name in AGAINST.items():
        drawn_or_warned(
            lambda x=x, name=name: _draw_against(histories, x, measure, out / name), name
        )


def _draw_against(histories: Any, x: str, measure: str, path: Path) -> None:
    try:
        figure = plotting.plot_comparison(histories, x, y=measure)
    except ValueError:  # no run got far enough to have an error, or none counts its solves
        return
    plotting.save(figure, path)


def _error(result: Mapping[str, Any], measure: str | None = None) -> float:
    value = result.get(measure or "relative_l2")  # never another number under the same title
    return float("nan") if value is None else float(value)


def _number(value: float) -> str:
    return f"{value:.1e}" if np.isfinite(value) else "none"
