"""Whether targets were reached, and what a miss is due to."""

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from report_tables import known, median, table
from suite_list import entries, goals

LIMITS = Path(__file__).parent / "results" / "limits.json"
FEW_POINTS = 4.0  # held-out over training loss
# Settings that change how an equation is solved, and not which.
WAYS = {"windows": "in {windows} windows of time", "waves": "with sine waves"}


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
    """The median error of the solutions that runs return, where all ended by then.

    Such a solution is the corrected one, and the network where a run claims no error for it.
    """
    if not known(rows, "corrected_relative_l2"):
        return None
    if not all(row.get("seconds", math.inf) <= 1.05 * seconds for row in rows):
        return None
    return statistics.median(
        row.get("corrected_relative_l2", row.get("relative_l2", math.inf)) for row in rows
    )


def missed(label: str, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether neither the networks nor the corrected solutions reached the target."""
    if not goals(label):
        return False
    goal, seconds = goals(label)[-1]
    return not min(error_by(rows, seconds), corrected_by(rows, seconds) or math.inf) <= goal


def limit(label: str, rows: Sequence[dict[str, Any]]) -> str:
    """What a miss is due to: see `limits.py`. Points have to be few in the runs themselves, too."""
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
    ratios = [row["held_out_loss"] / row["loss"] for row in rows if row.get("held_out_loss")]
    ratio = min(run["held_out_over_training_loss"], statistics.median(ratios or [math.inf]))
    if ratio > FEW_POINTS:
        return f"missed for points: {later}, held-out loss {ratio:.1f} times the training loss"
    return f"missed for slow steps: {later}, and {fitted}"


def another_way(label: str, groups: dict[str, list[dict[str, Any]]]) -> str:
    """How else the same equation was solved so that it reached this target, or nothing.

    A way in which the networks did is named before one in which the corrected solutions did.
    """

    def equation(label: str) -> tuple[str, dict[str, Any]]:
        settings = entries().get(label, {}).get("settings", {})
        rest = {key: value for key, value in settings.items() if key not in WAYS}
        return label.partition(":")[0], rest

    goal, seconds = goals(label)[-1]
    same = [one for one in groups if one != label and equation(one) == equation(label)]
    for reached, ending in ((error_by, ""), (corrected_by, " by the corrected solution")):
        for one in same:
            found = reached(groups[one], seconds)
            if found is not None and found <= goal:
                settings = entries()[one].get("settings", {})
                way = next((way for key, way in WAYS.items() if key in settings), "at once")
                return way.format(**settings) + ending
    return ""


def targets(groups: dict[str, list[dict[str, Any]]]) -> str:
    """What was to be reached, whether it was, and what a miss is due to."""

    def cells(label: str, goal: float, seconds: float) -> Sequence[str]:
        rows = groups[label]
        reached, better = error_by(rows, seconds), corrected_by(rows, seconds)
        spent = min(seconds, median(rows, "seconds"))
        if reached <= goal:
            verdict = "reached"
        elif better is not None and better <= goal:
            verdict = "reached by the corrected solution"
        elif (end := error_by(rows, math.inf)) <= goal:
            verdict = f"missed for time: {end:.1e} after {median(rows, 'seconds'):.0f} s"
        elif way := another_way(label, groups):
            verdict = f"missed in {spent:.0f} s; reached {way}"
        else:
            verdict = limit(label, rows)
        return (
            f"`{label}`",
            f"{goal:.1e} in {seconds:g} s",
            f"{reached:.1e}, {spent:.0f} s",
            "" if better is None else f"{better:.1e}",
            verdict,
        )

    heads = ("problem", "target", "network, median", "corrected, median", "")
    return table(heads, (cells(label, *goal) for label in groups for goal in goals(label)))
