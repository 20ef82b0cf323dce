"""The tables of docs/peers.md, from benchmarks/results/peers.json and nothing else."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from report_tables import spread, table, with_table

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "peers.json"
PAGE = HERE.parent / "docs" / "peers.md"
SECONDS = 20.0  # of the runs in the tables
LEVELS = (1e-3, 1e-6, 1e-9)
Run = dict[str, Any]


def reached(run: Run, level: float) -> float:
    """The seconds at which an error below a level was measured first."""
    return next((seconds for seconds, error in run["history"] if error < level), math.inf)


def grouped(runs: Sequence[Run]) -> dict[str, dict[tuple[str, str], list[Run]]]:
    """Runs by problem, and there by package and optimizer."""
    found: dict[str, dict[tuple[str, str], list[Run]]] = {}
    for run in runs:
        found.setdefault(run["problem"], {}).setdefault((run["peer"], run["method"]), []).append(
            run
        )
    return found


def time_cell(runs: Sequence[Run], level: float) -> str:
    """The median time to a level, and how many of the runs reached it if not all did."""
    times = [reached(run, level) for run in runs]
    number = sum(map(math.isfinite, times))
    if number == 0:
        return "never"
    middle = statistics.median(times)
    if not math.isfinite(middle):
        return f"never ({number} of {len(times)}: {min(times):.2g})"
    return f"{middle:.2g}" if number == len(times) else f"{middle:.2g} ({number} of {len(times)})"


def line(name: tuple[str, str], runs: Sequence[Run]) -> Sequence[str]:
    """The cells of one package and optimizer."""
    peer, method = name
    each = [1e3 * run["seconds"] / max(1, run["steps"]) for run in runs]
    start = "" if all(run["same_start"] for run in runs) else ", own start"
    return (
        f"{peer}, `{method}`{start}",
        *(time_cell(runs, level) for level in LEVELS),
        spread([run["relative_l2"] for run in runs]),
        f"{statistics.median(run['seconds'] for run in runs):.0f}",
        f"{statistics.median(each):.3g}",
        f"{statistics.median(run['compile_seconds'] for run in runs):.1f}",
        f"{statistics.median(run['gibibytes'] for run in runs):.1f}",
        ", ".join(str(run["seed"]) for run in runs),
    )


HEADS = (
    "package, optimizer", *(f"s to {level:.0e}".replace("e-0", "e-") for level in LEVELS),
    "final error", "s", "ms a step", "compile s", "GiB", "seeds",
)  # fmt: skip


def tables(runs: Sequence[Run]) -> str:
    """A table for every problem, the smallest final error first, and what is missing."""
    text = ""
    for problem, groups in grouped(runs).items():
        lines, missing, early = [], [], []
        for name, group in groups.items():
            ran = [run for run in group if "reason" not in run]
            if ran:
                lines.append(
                    (statistics.median(run["relative_l2"] for run in ran), line(name, ran))
                )
            early += [run for run in ran if run["end"] != "time"]
            missing += [run for run in group if "reason" in run]
        ordered = [cells for _, cells in sorted(lines, key=lambda item: item[0])]
        text += f"\n### {problem}\n\n{table(HEADS, ordered)}"
        for run in missing:
            text += f"\n{named(run)}: {run['reason']}.\n"
        for run in early:
            text += f"\n{named(run)}, ended after {run['seconds']:.1f} s: {run['end']}.\n"
    return text + f"\nVersions: {versions(runs)}.\n"


def named(run: Run) -> str:
    return f"{run['peer']}, `{run['method']}`, seed {run['seed']}"


def versions(runs: Sequence[Run]) -> str:
    """Every package and the versions of it that ran."""
    found: dict[str, set[str]] = {}
    for run in runs:
        for name, version in run.get("versions", {}).items():
            found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {' and '.join(sorted(found[name]))}" for name in sorted(found))


def write_page(runs: Sequence[Run]) -> None:
    """The tables between the marks of the page, of the runs with its budget."""
    shown = [run for run in runs if run["budget"] == SECONDS]
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), tables(shown)), encoding="utf-8")
