"""docs/results.md and the table of the README, from the numbers of the suite and nothing else.

    python benchmarks/report.py

`benchmarks/results/suite.json`, `spectral.json` and `limits.json` hold the numbers; the targets and
the published errors are in `benchmarks/suite.toml`.
"""

import json
import math
import re
import statistics
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from report_texts import (
    CLASSICAL,
    EARLIER,
    ERRORS,
    HEAD,
    PUBLISHED,
    SOURCES,
    TARGETS,
    WAY,
)

HERE = Path(__file__).parent
LIST = HERE / "suite.toml"
RESULTS = HERE / "results" / "suite.json"
LIMITS = HERE / "results" / "limits.json"
PAGE = HERE.parent / "docs" / "results.md"
README = HERE.parent / "README.md"
EVOLUTION = HERE.parent / "docs" / "evolution.md"
SHORT = (
    "poisson-2d", "heat-1d", "helmholtz:sine waves", "wave-1d:four windows of time",
    "burgers-1d:six windows of time", "kovasznay", "cavity", "heat-4d", "poisson-5d-deep",
    "poisson-10d",
)  # fmt: skip
SECONDS = 60.0  # of a run, where the list says nothing
EIGENVALUES = ("eigenvalue_error", "first_error")  # of problems whose solution has no formula
FEW_POINTS = 4.0  # held-out over training loss
TIMES = (5.0, 20.0, 60.0)  # training seconds at which errors are looked up
SPECTRAL = HERE / "results" / "spectral.json"
MACHINE = HERE / "results" / "machine.md"


def marks(name: str) -> tuple[str, str]:
    """What stands before and after a table that a script writes."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


BEGIN, END = marks("results")


def entries() -> dict[str, dict[str, Any]]:
    """The problems of the suite by label, "problem" or "problem:variant"."""
    return tomllib.loads(LIST.read_text(encoding="utf-8"))


def goals(label: str) -> list[tuple[float, float]]:
    """The targets of a problem, errors and seconds, the earlier one first."""
    entry = entries().get(label, {})
    return [tuple(entry[key]) for key in ("early", "target") if key in entry]


def grouped(runs: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Runs by label, in the order of the list."""
    found: dict[str, list[dict[str, Any]]] = {label: [] for label in entries()}
    for run in runs:
        found.setdefault(run["problem"], []).append(run)
    return {label: rows for label, rows in found.items() if rows}


def in_suite(run: dict[str, Any]) -> bool:
    """Whether a run had the budget of the list."""
    return run["budget"] == entries()[run["problem"]].get("seconds", SECONDS)


def spread(values: Sequence[float], form: str = ".1e") -> str:
    """Median and, of several values, the largest, of which what is not a number is one."""
    if not values:
        return ""
    values = [math.inf if math.isnan(value) else value for value in values]
    middle = format(statistics.median(values), form)
    return middle if len(values) == 1 else f"{middle} ({format(max(values), form)})"


def known(rows: Sequence[dict[str, Any]], key: str) -> list[float]:
    return [row[key] for row in rows if row.get(key) is not None]


def network(rows: Sequence[dict[str, Any]]) -> str:
    """Errors of the networks, or of eigenvalues where no other error is known."""
    found = spread(known(rows, "relative_l2"))
    others = (spread(known(rows, key)) for key in EIGENVALUES)
    return found or next((f"{other}, eigenvalue" for other in others if other), "")


def corrected(rows: Sequence[dict[str, Any]]) -> str:
    """Errors of the corrected solutions, and of how many runs, where not all claim one."""
    found = known(rows, "corrected_relative_l2")
    some = 0 < len(found) < len(rows)
    return spread(found) + (f", {len(found)} of {len(rows)}" if some else "")


def median(rows: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.median(known(rows, key) or [math.nan])


def claims(rows: Sequence[dict[str, Any]]) -> str:
    """Least and largest ratio of estimated and true error, where the run calls it reliable."""
    reliable = [row for row in rows if row.get("estimate_reliable") and row.get("relative_l2")]
    ratios = [row["estimated_relative_l2"] / row["relative_l2"] for row in reliable]
    if not ratios:
        return "not claimed"
    return f"{min(ratios):.2f} to {max(ratios):.2f} ({len(ratios)} of {len(rows)})"


def seeds(rows: Sequence[dict[str, Any]]) -> str:
    """The seeds, and those of runs that failed."""
    failed = [str(row["seed"]) for row in rows if row.get("failed")]
    found = ", ".join(str(row["seed"]) for row in rows)
    return f"{found}; failed: {', '.join(failed)}" if failed else found


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = "|---|" + "---:|" * (len(heads) - 1)
    body = ["| " + " | ".join(cells) + " |" for cells in (heads, *lines)]
    return "\n".join([body[0], rule, *body[1:]]) + "\n"


def earlier(groups: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Problems with runs that say no commit, and the seeds of those."""
    found = []
    for label, rows in groups.items():
        if old := [str(row["seed"]) for row in rows if "commit" not in row]:
            found.append(f"`{label}` ({'all' if len(old) == len(rows) else ', '.join(old)})")
    return found


def errors(groups: dict[str, list[dict[str, Any]]]) -> str:
    """The main table."""
    heads = (
        "problem", "parameters", "network", "corrected", "estimate / error", "training s",
        "steps", "GiB", "seeds",
    )  # fmt: skip

    def cells(label: str, rows: list[dict[str, Any]]) -> Sequence[str]:
        return (
            f"`{label}`", f"{median(rows, 'parameters'):,.0f}", network(rows),
            corrected(rows), claims(rows),
            f"{median(rows, 'seconds'):.0f}", f"{median(rows, 'steps'):.0f}",
            f"{median(rows, 'gibibytes'):.1f}", seeds(rows),
        )  # fmt: skip

    return table(heads, (cells(*group) for group in groups.items()))


def over_time(groups: dict[str, list[dict[str, Any]]]) -> str:
    """Errors of the network on the way."""

    def cells(label: str, rows: list[dict[str, Any]]) -> Sequence[str]:
        at = [[row.get("errors_at", {}).get(f"{time:g}") for row in rows] for time in TIMES]
        return (f"`{label}`", *(spread([e for e in found if e is not None]) for found in at))

    heads = ("problem", *(f"after {time:g} s" for time in TIMES))
    return table(heads, (cells(*group) for group in groups.items()))


def published(groups: dict[str, list[dict[str, Any]]]) -> str:
    """Ours beside the best that we know of."""

    def cells(label: str, rows: list[dict[str, Any]]) -> Sequence[str]:
        other = entries()[label]["published"]
        ours = f"{median(rows, 'relative_l2'):.1e}, {median(rows, 'seconds'):.0f} s"
        time = f"{other['seconds']:,} s" if "seconds" in other else "time not found"
        where = f" on {other['hardware']}" if "hardware" in other else ""
        return (f"`{label}`", ours, f"{other['error']:.1e}, {time}{where}", other["by"])

    compared = {label: rows for label, rows in groups.items() if "published" in entries()[label]}
    heads = ("problem", "ours, median", "published", "by")
    return table(heads, (cells(*group) for group in compared.items()))


def error_by(rows: Sequence[dict[str, Any]], seconds: float) -> float:
    """The median of the errors at a time: the last one measured before it, and that of the end for
    runs that end before it."""

    def of(row: dict[str, Any]) -> float:
        if row.get("failed"):
            return math.inf
        if row["seconds"] <= 1.05 * seconds:
            return row.get("relative_l2", math.inf)
        return row["errors_at"].get(f"{seconds:g}", math.inf)

    return statistics.median(of(row) for row in rows)


def corrected_by(rows: Sequence[dict[str, Any]], seconds: float) -> float | None:
    """The median error of the corrected solutions, where all runs ended by then and have one."""
    found = known(rows, "corrected_relative_l2")
    ended = all(row.get("seconds", math.inf) <= 1.05 * seconds for row in rows)
    return statistics.median(found) if ended and len(found) == len(rows) else None


def missed(label: str, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether neither the networks nor the corrected solutions reached the target."""
    if not goals(label):
        return False
    goal, seconds = goals(label)[-1]
    return not min(error_by(rows, seconds), corrected_by(rows, seconds) or math.inf) <= goal


def limit(label: str) -> str:
    """What a miss is due to: see `limits.py`."""
    found = json.loads(LIMITS.read_text(encoding="utf-8")) if LIMITS.is_file() else {}
    if label not in found:
        return "missed"
    run, goal = found[label], goals(label)[-1][0]
    best = min(run["relative_l2"], run["corrected_relative_l2"] or math.inf)
    later = f"{best:.1e} after {run['seconds']:.0f} s"
    fitted = f"the same network fitted to the solution: {run['fitted_relative_l2']:.1e}"
    if best <= goal:
        return f"missed for time: {later}"
    if run["fitted_relative_l2"] > goal:
        return f"missed for the network: {later}, and {fitted}"
    if run["held_out_over_training_loss"] > FEW_POINTS:
        ratio = run["held_out_over_training_loss"]
        return f"missed for points: {later}, held-out loss {ratio:.0f} times the training loss"
    return f"missed for slow steps: {later}, and {fitted}"


def targets(groups: dict[str, list[dict[str, Any]]]) -> str:
    """What was to be reached, whether it was, and what a miss is due to."""

    def cells(label: str, goal: float, seconds: float) -> Sequence[str]:
        rows = groups[label]
        reached, better = error_by(rows, seconds), corrected_by(rows, seconds)
        if reached <= goal:
            verdict = "reached"
        elif better is not None and better <= goal:
            verdict = "reached by the corrected solution"
        else:
            verdict = limit(label)
        spent = min(seconds, median(rows, "seconds"))
        return (
            f"`{label}`",
            f"{goal:.1e} in {seconds:g} s",
            f"{reached:.1e}, {spent:.0f} s",
            "" if better is None else f"{better:.1e}",
            verdict,
        )

    heads = ("problem", "target", "network, median", "corrected, median", "")
    return table(heads, (cells(label, *goal) for label in groups for goal in goals(label)))


def classical() -> str:
    """What a polynomial does on the same equations and points."""
    rows = json.loads(SPECTRAL.read_text(encoding="utf-8"))
    heads = ("problem", "degree", "coefficients", "relative L2", "processor s")
    cells = (
        (
            f"`{row['problem']}`", f"{row['degree']}", f"{row['coefficients']:,}",
            f"{row['relative_l2']:.1e}", f"{row['seconds']:.2g}",
        )
        for row in rows
    )  # fmt: skip
    return table(heads, cells)


def short(groups: dict[str, list[dict[str, Any]]]) -> str:
    """The table of the README."""

    def cells(label: str, rows: list[dict[str, Any]]) -> Sequence[str]:
        other = entries()[label].get("published", {})
        time = f", {other['seconds']:,} s" if "seconds" in other else ""
        return (
            f"`{label}`", f"{median(rows, 'seconds'):.0f}", spread(known(rows, "relative_l2")),
            corrected(rows),
            f"{other['error']:.1e}{time}" if other else "",
        )  # fmt: skip

    heads = ("problem", "training s", "network", "corrected solution", "best published")
    return table(heads, (cells(label, groups[label]) for label in SHORT if label in groups))


def windowed(groups: dict[str, list[dict[str, Any]]]) -> str:
    """Evolutions at once and in windows of time, where the suite has run both."""

    def cells(label: str, number: str, at_once: str) -> Sequence[str]:
        pair = groups[at_once], groups[label]
        seconds = (f"{median(rows, 'seconds'):.0f}" for rows in pair)
        errors_of = (network(rows) for rows in pair)
        better = (corrected(rows) for rows in pair)
        pairs = zip(seconds, errors_of, better, strict=True)
        return (f"`{at_once}`", number, *(cell for pair in pairs for cell in pair))

    found = [(label, re.fullmatch(r"(.+)[:,] ?(\w+) windows of time", label)) for label in groups]
    both = [(label, way[2], way[1]) for label, way in found if way and way[1] in groups]
    ways = ("at once: s", "network", "corrected", "windows: s", "network", "corrected")
    return table(("problem", "windows", *ways), (cells(*one) for one in both))


def with_table(text: str, new: str, name: str = "results") -> str:
    """A text with what stands between its two marks replaced; unchanged where they are not."""
    first, last = marks(name)
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    return f"{before}{begin}\n{new}{end}{after}" if begin and end else text


def page(runs: list[dict[str, Any]]) -> str:
    """The whole page."""
    groups = grouped(run for run in runs if in_suite(run))
    versions = next(run["versions"] for run in runs if "versions" in run)
    packages = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    sections: list[tuple[str, str, Callable[[], str]]] = [
        ("Errors", ERRORS, lambda: errors(groups)),
        ("On the way", WAY, lambda: over_time(groups)),
        ("Targets", TARGETS, lambda: targets(groups)),
        ("Published errors", PUBLISHED, lambda: published(groups)),
        ("What a numerical analyst would use", CLASSICAL, classical),
    ]
    text = HEAD + MACHINE.read_text(encoding="utf-8") + f"Packages: {packages}.\n"
    if waiting := [f"`{label}`" for label in entries() if label not in groups]:
        text += f"\nListed, and not run yet: {', '.join(waiting)}.\n"
    if old := earlier(groups):
        text += f"\n{EARLIER}: {', '.join(old)}.\n"
    for title, before, make in sections:
        text += f"\n## {title}\n\n{before}\n{make()}"
    return text + SOURCES


def main() -> None:
    """Write the page, the table of the README and that of windows."""
    runs = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(page(runs), encoding="utf-8")
    groups = grouped(run for run in runs if in_suite(run))
    made = (README, short(groups), "results"), (EVOLUTION, windowed(groups), "windows")
    for path, new, name in made:
        text = path.read_text(encoding="utf-8")
        path.write_text(with_table(text, new, name), encoding="utf-8")


if __name__ == "__main__":
    main()
