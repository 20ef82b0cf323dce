"""Can a run be believed? Estimated errors against true ones, on problems that used to deceive.

    python benchmarks/trust.py                                  # about twenty minutes
    python benchmarks/trust.py wave rod --seeds 3 --seconds 120
    python benchmarks/trust.py poisson-2d heat-1d --first 100 --seeds 10

Trains every situation of `situations.py` (or the named ones, or shipped problems) with the default
optimizer and growing points, and prints a line a run; then, over all moments of all runs at which
both were known, how the estimate compares with the true error. `--fixed-points` keeps the points.
The true error is measured at points that neither training nor estimate has seen.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import numpy as np
import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from situations import SITUATIONS
from threadpoolctl import threadpool_limits

import pinn_ngd
from pinn_ngd import Problem, load_problem
from pinn_ngd.training import TrainResult

HEADINGS = (
    "problem", "seed", "status", "loss", "held out", "points", "true error", "estimate",
    "unexplained", "corrected", "seconds", "compilation",
)  # fmt: skip
SMALL = 1e-2  # errors below which the estimate is judged


def run(name: str, seed: int, seconds: float | None, fixed_points: bool) -> dict[str, Any]:
    """One run as a record: the end, and every moment at which error and estimate are known."""
    problem = SITUATIONS[name]() if name in SITUATIONS else load_problem(name)
    key = jax.random.key(seed)
    result = pinn_ngd.train(
        problem.objective,
        problem.model(key),
        pinn_ngd.optimizers.get(problem.optimizer, **problem.optimizer_settings),
        seconds=problem.seconds if seconds is None else seconds,
        key=jax.random.fold_in(key, 1),
        evaluate=problem.evaluator(),
        grow=not (fixed_points or problem.fixed_points),
    )
    return {"name": name, "seed": seed, **ending(problem, result), "moments": moments(result)}


def ending(problem: Problem, result: TrainResult) -> dict[str, Any]:
    """What a run says at its end, and what is true."""
    first, last = result.history[0], result.history[-1]
    found = {
        "status": result.status,
        "message": result.message,
        "loss": result.loss,
        "held_out": None if result.held_out is None else result.held_out.loss,
        "points": [first.get("points"), last.get("points")],
        "true": result.metrics["relative_l2"],
        "seconds": result.seconds,
        "compilation": result.compile_seconds,
    }
    if result.estimate is not None:
        found |= {"estimate": result.estimate.relative_l2, "reliable": result.estimate.reliable}
        found |= {"unexplained": result.estimate.unexplained}
        found |= {"corrected": problem.evaluator()(result.estimate.corrected)["relative_l2"]}
    return found


def moments(result: TrainResult) -> list[tuple[float, float, float]]:
    """(true error, estimate, unexplained) wherever all three were measured at the same step."""
    names = ("relative_l2", "estimated_relative_l2", "unexplained")
    lines = [line for line in result.history if all(name in line for name in names)]
    return [(line[names[0]], line[names[1]], line[names[2]]) for line in lines]


def row(record: dict[str, Any]) -> str:
    """A line of the table; an estimate that is not reliable stands as a lower bound."""
    bound = "" if record.get("reliable", True) else "at least "
    unknown = record.get("unexplained", 1.0) > 0.5
    number = "{:.1e}".format
    cells = [
        record["name"], str(record["seed"]), record["status"], number(record["loss"]),
        "" if record["held_out"] is None else number(record["held_out"]),
        "{} to {}".format(*record["points"]), number(record["true"]),
        "not known" if unknown else bound + number(record["estimate"]),
        number(record["unexplained"]) if "estimate" in record else "",
        number(record["corrected"]) if "estimate" in record else "",
        f"{record['seconds']:.0f}", f"{record['compilation']:.0f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def summary(records: list[dict[str, Any]], reliable: float = 0.1) -> str:
    """How estimates compare with true errors, over all moments and over the ends."""
    known = np.asarray([m for record in records for m in record["moments"]]).reshape(-1, 3)
    believed = known[(known[:, 2] <= reliable) & (known[:, 0] < SMALL)]
    ratios = believed[:, 1] / believed[:, 0]
    ends = [r for r in records if r.get("reliable") and r["status"] != "overfitted"]
    false = [r for r in ends if r["estimate"] < r["true"] / 5]
    hidden = [r for r in records if r["true"] > SMALL and r not in ends]
    wrong = [r for r in records if r["true"] > SMALL]
    alarms = [r for r in records if r["status"] == "overfitted" and r["true"] < 1e-6]
    lines = [
        f"{len(known)} moments, {len(believed)} with a reliable estimate and an error below {SMALL}"
    ]
    if len(ratios):
        within = np.mean((ratios > 0.5) & (ratios < 2))
        lines.append(
            f"estimate / true error there: median {np.median(ratios):.3f}, "
            f"from {ratios.min():.2f} to {ratios.max():.2f}, {100 * within:.0f} % within a factor 2"
        )
    lines.append(f"runs that claim less than a fifth of their error: {len(false)} of {len(ends)}")
    lines.append(f"runs with an error above {SMALL} that say so: {len(hidden)} of {len(wrong)}")
    lines.append(f"called overfitted at an error below 1e-6: {len(alarms)}")
    return "\n".join(lines)


def main() -> None:
    """Run what the command line names, print the table and the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(SITUATIONS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, help="training seconds a run")
    parser.add_argument("--fixed-points", action="store_true")
    parser.add_argument("--json", type=Path, help="append a line a run to this file")
    arguments = parser.parse_args()
    records = []
    print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS), flush=True)
    with threadpool_limits(limits=1, user_api="blas"):
        for name in arguments.names:
            for seed in range(arguments.first, arguments.first + arguments.seeds):
                records.append(run(name, seed, arguments.seconds, arguments.fixed_points))
                print(row(records[-1]), flush=True)
                if arguments.json is not None:
                    with arguments.json.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(records[-1]) + "\n")
                jax.clear_caches()
    print("\n" + summary(records))


if __name__ == "__main__":
    main()
