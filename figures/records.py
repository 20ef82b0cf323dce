"""Final errors of the suite beside the best that were published, a line for each equation."""

import json
import statistics
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from figures.recipes import Job, Made, recorded
from pinn_ngd.experiments.plotting import FULL_WIDTH, save
from pinn_ngd.experiments.plotting.style import BLUE, GRAY, SKY, new_figure, style

SECONDS = 60  # of a run, where the list says nothing
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


class Row(NamedTuple):
    """Median errors of an equation, its worst one, and the published error."""

    label: str
    network: float
    worst: float
    corrected: float | None
    seconds: float
    published: float
    published_seconds: float | None


def make(job: Job) -> Made:
    """Errors of runs that `benchmarks/suite.py` has made; nothing is run here."""
    found = rows()
    save(picture(found), job.folder / job.name)
    return recorded(job, [job.name], seeds=[], results=[row._asdict() for row in found])


def rows() -> list[Row]:
    """Of every equation with a published error that the suite has run, the smallest error last."""
    runs = json.loads((BENCHMARKS / "results" / "suite.json").read_text(encoding="utf-8"))
    listed = tomllib.loads((BENCHMARKS / "suite.toml").read_text(encoding="utf-8"))
    found = []
    for label, entry in listed.items():
        budget = entry.get("seconds", SECONDS)
        asked = [run for run in runs if (run["problem"], run["budget"]) == (label, budget)]
        own = [run for run in asked if "relative_l2" in run]
        if own and "published" in entry:
            found.append(_row(label, own, entry["published"]))
    return sorted(found, key=lambda row: -row.network)


def _row(label: str, runs: list[dict[str, Any]], published: dict[str, Any]) -> Row:
    errors = [run["relative_l2"] for run in runs]
    corrected = [run["corrected_relative_l2"] for run in runs if "corrected_relative_l2" in run]
    return Row(
        label=label.replace(":", ", "),
        network=statistics.median(errors),
        worst=max(errors),
        corrected=statistics.median(corrected) if 2 * len(corrected) > len(runs) else None,
        seconds=statistics.median(run["seconds"] for run in runs),
        published=published["error"],
        published_seconds=published.get("seconds"),
    )


def picture(found: list[Row]) -> Any:
    """Errors to the left are smaller; the seconds of training stand beside the marks."""
    with style():
        figure = new_figure(FULL_WIDTH, 0.9 + 0.27 * len(found))
        ax = figure.subplots()
        for place, row in enumerate(found):
            _draw(ax, place, row)
        handles, labels = ax.get_legend_handles_labels()
        figure.legend(handles[:3], labels[:3], loc="outside lower center", ncols=3)
        ax.set(xscale="log", xlabel="relative L2 error", ylim=(-0.6, len(found) - 0.4))
        ax.set_yticks(range(len(found)), [row.label for row in found])
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", linewidth=0.3, color="0.85")
    return figure


def _draw(ax: Any, place: int, row: Row) -> None:
    marks = {"markersize": 5, "linestyle": "none", "zorder": 3}
    errors = [row.network, row.published, row.corrected or row.network]
    ax.plot([min(errors), max(errors)], [place, place], color="0.8", linewidth=0.8, zorder=1)
    ax.plot([row.network, row.worst], [place, place], color=BLUE, linewidth=2, zorder=2)
    ax.plot(
        row.network, place, "o", color=BLUE, label="network, median (bar: to the worst)", **marks
    )
    corrected = row.corrected if row.corrected is not None else float("nan")
    ax.plot(corrected, place, "d", color=SKY, label="corrected solution, median", **marks)
    ax.plot(
        row.published, place, "s", markerfacecolor="white", markeredgecolor=GRAY,
        label="best published", **marks,
    )  # fmt: skip
    ours, other = f"{row.seconds:.0f} s", f"{row.published_seconds or 0:,.0f} s"
    _say(ax, row.network, place, ours, BLUE)
    if row.published_seconds:
        _say(ax, row.published, place, other, GRAY)


def _say(ax: Any, x: float, place: int, text: str, color: str) -> None:
    """Ours above its mark, the published one below."""
    above = color == BLUE
    ax.annotate(
        text, (x, place), (0, 3.5 if above else -3.5), textcoords="offset points", ha="center",
        va="bottom" if above else "top", fontsize=6, color=color,
    )  # fmt: skip
