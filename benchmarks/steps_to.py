"""How many steps and seconds others need for the error that the best of some runs ends with.

    pinn-ngd figures autoencoder-digits
    python benchmarks/steps_to.py runs/gallery/autoencoder-digits test_mse adam

For each seed of a comparison the target is the smallest final error of the runs whose optimizer
begins with that name; seconds are in units of all seconds of that run. Prints medians over the
seeds, the worst in brackets, and "-" where a seed does not come that far.
"""

import argparse
import json
import math
import statistics
from collections import defaultdict
from pathlib import Path

from report_tables import table

from pinn_ngd.storage.reading import read_history

Points = list[tuple[float, int, float]]  # error, step, seconds


def histories(folder: Path, measure: str) -> dict[int, dict[str, Points]]:
    """By seed and optimizer, from the runs that a comparison lists."""
    found: dict[int, dict[str, Points]] = defaultdict(dict)
    for run in json.loads((folder / "compare.json").read_text(encoding="utf-8"))["runs"]:
        records = read_history(folder / run["folder"] / "history.jsonl")
        found[run["seed"]][run["optimizer"]] = [
            (record[measure], record["step"], record["seconds"])
            for record in records
            if record.get(measure) is not None
        ]
    return found


def rows(found: dict[int, dict[str, Points]], target: str) -> list[tuple[str, ...]]:
    """A line for each optimizer: its final error, and steps and seconds to the target."""
    collected: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for runs in found.values():
        best = min((p[-1] for name, p in runs.items() if name.startswith(target)))
        for name, points in runs.items():
            first = next((p for p in points if p[0] <= best[0]), None)
            steps, seconds = (math.inf, math.inf) if first is None else first[1:]
            collected[name].append((points[-1][0], steps, seconds / best[2]))
    return [
        (f"`{name}`", *(spread(column) for column in zip(*values, strict=True)))
        for name, values in collected.items()
    ]  # fmt: skip


def spread(values: tuple[float, ...]) -> str:
    """The median, and the worst in brackets."""
    worst = max(values)
    return "-" if math.isinf(worst) else f"{statistics.median(values):.3g} ({worst:.3g})"


def main() -> None:
    """Print the table of one comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("measure")
    parser.add_argument("target", help="the optimizer whose final error is the target")
    chosen = parser.parse_args()
    found = rows(histories(chosen.folder, chosen.measure), chosen.target)
    print(table(("optimizer", chosen.measure, "steps", "seconds"), found))


if __name__ == "__main__":
    main()
