"""Errors over processor seconds of several packages, a panel for each of five equations."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

from figures.recipes import Job, Made, recorded
from pinn_ngd.experiments.plotting import FULL_WIDTH, save
from pinn_ngd.experiments.plotting.style import (
    BLACK,
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Stroke,
    decades,
    new_figure,
    style,
)

NUMBERS = Path(__file__).parents[1] / "benchmarks" / "results" / "peers.json"
COLORS = {
    "pinn-ngd": BLUE, "scimba": VERMILION, "jinns": GREEN, "randngd": PURPLE, "nlls-gram": ORANGE,
    "optimistix": SKY, "scipy": BLACK, "optax": GRAY, "deepxde": "#8C5A2B",
}  # fmt: skip
LINES = ("-", "--", ":", "-.")
SECONDS = 20.0  # the budget of the runs that are shown
EARLIEST = 0.02  # seconds: what comes before are a few first steps
COLUMNS = 2
Key = tuple[str, str]


def make(job: Job) -> Made:
    """Runs that `benchmarks/peers.py` has made; nothing is run here."""
    found = shown()
    save(picture(found), job.folder / job.name)
    results = listed(found)
    seeds = sorted({row["seed"] for row in results})
    return recorded(job, [job.name], seeds=seeds, results=results)


def shown() -> dict[str, dict[Key, dict[str, Any]]]:
    """The runs of the picture, by problem, and there by package and optimizer."""
    runs = json.loads(NUMBERS.read_text(encoding="utf-8"))
    runs = [run for run in runs if run["budget"] == SECONDS]
    problems = dict.fromkeys(run["problem"] for run in runs)
    return {problem: medians(runs, problem) for problem in problems}


def listed(found: dict[str, dict[Key, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Which run every line of the picture is, and where it ends."""
    return [
        {"problem": problem, "peer": peer, "method": method}
        | {"seed": run["seed"], "relative_l2": run["relative_l2"]}
        for problem, lines in found.items()
        for (peer, method), run in lines.items()
    ]


def medians(runs: list[dict[str, Any]], problem: str) -> dict[Key, dict[str, Any]]:
    """Of every package and optimizer the run whose final error is the (lower) median."""
    groups: dict[Key, list[dict[str, Any]]] = {}
    for run in runs:
        if run["problem"] == problem and "reason" not in run:
            groups.setdefault((run["peer"], run["method"]), []).append(run)

    def error(run: dict[str, Any]) -> float:
        return run["relative_l2"]

    return {
        key: next(r for r in group if error(r) == statistics.median_low(map(error, group)))
        for key, group in groups.items()
    }


def strokes(keys: list[Key]) -> dict[Key, Stroke]:
    """A color for every package, and a line for each of its optimizers."""
    found, used = {}, dict.fromkeys(COLORS, 0)
    for peer, method in sorted(dict.fromkeys(keys), key=lambda key: list(COLORS).index(key[0])):
        found[peer, method] = Stroke(COLORS[peer], LINES[used[peer]])
        used[peer] += 1
    return found


def picture(found: dict[str, dict[Key, dict[str, Any]]]) -> Any:
    """The panels two in a row, the legend where a sixth one would be."""
    look = strokes([key for lines in found.values() for key in lines])
    rows = math.ceil((len(found) + 1) / COLUMNS)
    with style():
        figure = new_figure(FULL_WIDTH, 2.25 * rows)
        axes = figure.subplots(rows, COLUMNS).ravel()
        for ax, (problem, lines) in zip(axes, found.items(), strict=False):
            _draw(ax, problem, lines, look)
        handles = {h.get_label(): h for ax in axes for h in ax.get_legend_handles_labels()[0]}
        for ax in axes[len(found) :]:
            ax.axis("off")
        names = [_label(key) for key in look]
        axes[-1].legend(
            [handles[name] for name in names], names, loc="center", ncols=2, columnspacing=1.2,
            handlelength=2.4,
        )  # fmt: skip
    return figure


def _label(key: Key) -> str:
    return f"{key[0]}, {key[1]}"


def _draw(ax: Any, problem: str, lines: dict[Key, dict[str, Any]], look: dict[Key, Stroke]) -> None:
    for key, run in lines.items():
        points = [point for point in run["history"] if point[0] >= EARLIEST]
        wide = 2.0 if key[0] == "pinn-ngd" else 1.0
        ax.plot(
            *zip(*points, strict=True), color=look[key].color, linestyle=look[key].linestyle,
            linewidth=wide, label=_label(key), zorder=3 if wide > 1 else 2,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", title=problem)
    ax.set(xlabel="processor seconds of training", ylabel="relative L2 error")
    ax.set_ylim(top=3.0)
    for axis in (ax.xaxis, ax.yaxis):
        decades(axis)
