"""docs/results.md and the table of the README, from files of numbers and nothing else.

    python benchmarks/report.py

`suite.json`, `limits.json`, `spectral.json`, `evolutions.json` and `finite_elements.json` in
`benchmarks/results` hold the numbers; the targets and the published errors are in
`benchmarks/suite.toml`. The table of docs/evolution.md is made, too.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from report_tables import known, marks, median, spread, table, with_table
from report_targets import targets
from report_texts import (
    CLASSICAL,
    EARLIER,
    ELEMENTS,
    ERRORS,
    EVOLUTIONS,
    HEAD,
    PUBLISHED,
    SOURCES,
    TARGETS,
    WAY,
)
from suite_list import entries, grouped, in_suite, seeds_of

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "suite.json"
PAGE = HERE.parent / "docs" / "results.md"
README = HERE.parent / "README.md"
EVOLUTION = HERE.parent / "docs" / "evolution.md"
SHORT = (
    "poisson-2d", "heat-1d", "helmholtz:sine waves", "wave-1d:four windows of time",
    "burgers-1d:six windows of time", "kovasznay", "cavity", "heat-4d", "poisson-5d-deep",
    "poisson-10d",
)  # fmt: skip
EIGENVALUES = ("eigenvalue_error", "first_error")  # of problems whose solution has no formula
TIMES = (5.0, 20.0, 60.0)  # training seconds at which errors are looked up
MACHINE = HERE / "results" / "machine.md"
BEGIN, END = marks("results")


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


def classical() -> str:
    """What polynomials, Fourier series and finite elements do on the same equations."""
    polynomials, evolutions, elements = (
        json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("spectral", "evolutions", "finite_elements")
    )
    ends = "relative L2", "processor s"

    def line(row: dict[str, Any], *cells: str) -> Sequence[str]:
        return (f"`{row['problem']}`", *cells, f"{row['relative_l2']:.1e}", f"{row['seconds']:.2g}")

    return "\n".join(
        [
            table(
                ("problem", "degree", "coefficients", *ends),
                (line(r, f"{r['degree']}", f"{r['coefficients']:,}") for r in polynomials),
            ),
            EVOLUTIONS,
            table(
                ("problem", "waves", "time steps", *ends),
                (line(r, f"{r['waves']:,}", f"{r['steps']:,}") for r in evolutions),
            ),
            ELEMENTS,
            table(
                ("problem", "elements", "unknowns", *ends),
                (line(r, r["elements"], f"{r['unknowns']:,}") for r in elements),
            ),
        ]
    )


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
    rest = {label: seeds_of(label) - len(rows) for label, rows in groups.items()}
    if still := [f"`{label}` ({count})" for label, count in rest.items() if count > 0]:
        text += f"\nSeeds still to run: {', '.join(still)}.\n"
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
