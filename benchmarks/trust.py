"""Can a run be believed? Estimated errors against true ones, on problems that used to deceive.

    python benchmarks/trust.py                                  # situations and shipped problems
    python benchmarks/trust.py wave rod --seeds 3 --seconds 120
    python benchmarks/trust.py poisson-2d heat-1d --first 100 --seeds 10 --at-most 40
    python benchmarks/trust.py wave rod --fixed-points --json runs/trust.jsonl
    python benchmarks/trust.py --read runs/trust.jsonl          # tables of runs made before

Trains every situation of `situations.py` and every shipped problem (or the named ones) with the
default optimizer and growing points, and prints a line a run; then a table of the final results
and, over all moments of all runs at which both were known, how the estimate compares with the true
error. `--fixed-points` keeps the points everywhere, `--grow` lets them grow also where a problem
keeps its own. The true error is measured at points that neither training nor estimate has seen.
"""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import numpy as np
import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from jaxtyping import PyTree
from situations import SITUATIONS
from threadpoolctl import threadpool_limits

import pinn_ngd
from pinn_ngd import Problem, load_problem
from pinn_ngd.training import AbstractCallback, TrainResult
from pinn_ngd.validation.estimate import RELIABLE

HEADINGS = (
    "problem", "seed", "status", "loss", "held out", "points", "true error", "estimate", "ratio",
    "reliable", "unexplained", "corrected", "estimate of it", "seconds", "compilation",
)  # fmt: skip
PROBLEMS = (
    "poisson-2d", "poisson-2d-icml23", "heat-1d", "heat-1d-icml23", "ritz-1d", "poisson-5d",
    "poisson-5d-icml23",
)  # fmt: skip
SMALL = 1e-2  # errors below which the estimate is judged
CLAIM = 0.2  # of the true error: a reliable estimate below is a false claim
GOOD = 1e-3  # a reliable estimate below says that the run is solved
GAP = 100.0  # held-out over training loss from which a wrong solution should be called overfitted
SOLVED = 1e-4  # a true error below which "overfitted" is a false alarm

Record = dict[str, Any]


class Moments(AbstractCallback):
    """Keeps the history lines, which are completed after this callback has seen them."""

    names = ("relative_l2", "estimated_relative_l2", "unexplained")

    def __init__(self):
        self.lines: list[Record] = []

    def on_step(self, record: Record, model: PyTree) -> None:
        del model
        self.lines.append(record)

    @property
    def known(self) -> list[list[float]]:
        """True error, estimate and unexplained part wherever one step has all three."""
        complete = [line for line in self.lines if all(name in line for name in self.names)]
        return [[float(line[name]) for name in self.names] for line in complete]


def run(name: str, seed: int, options: argparse.Namespace) -> Record:
    """One run as a record: its end, and every moment at which error and estimate are known."""
    problem = SITUATIONS[name]() if name in SITUATIONS else load_problem(name)
    seconds = problem.seconds if options.seconds is None else options.seconds
    grow = not options.fixed_points and (options.grow or not problem.fixed_points)
    key, moments = jax.random.key(seed), Moments()
    model = problem.model(key)
    result = pinn_ngd.train(
        problem.objective_at(model),
        model,
        pinn_ngd.optimizers.get("engd-tr"),
        seconds=min(seconds, options.at_most),
        key=jax.random.fold_in(key, 1),
        callbacks=[moments],
        evaluate=problem.evaluator(),
        grow=grow,
    )
    head = {"name": name, "seed": seed, "grow": grow}
    return {**head, **ending(problem, result), "moments": moments.known}


def ending(problem: Problem, result: TrainResult) -> Record:
    """What a run says at its end, and what is true."""
    first, last = result.history[0], result.history[-1]
    found = {
        "status": result.status,
        "message": result.message,
        "steps": result.steps,
        "loss": result.loss,
        "held_out": None if result.held_out is None else result.held_out.loss,
        "points": [first.get("points"), last.get("points")],
        "true": result.measures["relative_l2"],
        "seconds": result.seconds,
        "compilation": result.compile_seconds,
    }
    if result.estimate is not None:
        found |= {"estimate": result.estimate.relative_l2, "reliable": result.estimate.reliable}
        found |= {"unexplained": result.estimate.unexplained}
        found |= {"corrected": problem.evaluator()(result.estimate.corrected)["relative_l2"]}
        found |= {"estimate_of_corrected": result.estimate.corrected_l2}
    return found


def row(record: Record) -> str:
    """A line of the table; where the points were kept the name says so."""
    number = "{:.1e}".format
    kept = "" if record.get("grow", True) else " (fixed points)"
    cells = [
        record["name"] + kept, str(record["seed"]), record["status"], number(record["loss"]),
        "" if record["held_out"] is None else number(record["held_out"]),
        "{} to {}".format(*record["points"]), number(record["true"]), *_estimate_cells(record),
        f"{record['seconds']:.0f}", f"{record['compilation']:.0f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _estimate_cells(record: Record) -> list[str]:
    """Estimate, ratio, reliability, unexplained part and corrected error; empty without one."""
    if "estimate" not in record:
        return [""] * 6
    ratio = record["estimate"] / record["true"]
    names = ("estimate", "unexplained", "corrected", "estimate_of_corrected")
    numbers = [f"{record[name]:.1e}" if name in record else "" for name in names]
    reliable = "yes" if record["reliable"] else "no"
    return [numbers[0], f"{ratio:.3g}", reliable, *numbers[1:]]


def summary(records: list[Record]) -> str:
    """How estimates and statuses compare with true errors."""
    judged = judged_estimates(records), judged_corrections(records), judged_statuses(records)
    return "\n".join(line for lines in judged for line in lines)


def judged_estimates(records: list[Record]) -> list[str]:
    """The ratio of estimate and true error over all moments, and claims that are false."""
    known = np.asarray([m for record in records for m in record["moments"]]).reshape(-1, 3)
    true, estimate, unexplained = known.T
    reliable, ratios = unexplained <= RELIABLE, estimate / true
    believed = ratios[reliable & (true < SMALL)]
    false = int(np.sum(ratios[reliable] < CLAIM))
    ends = [record for record in records if record.get("reliable")]
    final = [record for record in ends if record["estimate"] < CLAIM * record["true"]]
    lines = [
        f"{len(known)} moments, {reliable.sum()} of them with a reliable estimate, "
        f"{len(believed)} of these with a true error below {SMALL}"
    ]
    if len(believed):
        within = np.mean((believed >= 0.5) & (believed <= 2))
        lines.append(
            f"estimate / true error there: median {np.median(believed):.4f}, "
            f"from {believed.min():.3f} to {believed.max():.3f}, "
            f"{100 * within:.1f} % within a factor 2"
        )
    lines.append(f"false claims, reliable and below a fifth of the true error: {false} moments")
    lines.append(f"false claims at the end of a run: {len(final)} of {len(ends)}{_names(final)}")
    return lines


def judged_corrections(records: list[Record]) -> list[str]:
    """How the estimated errors of corrected solutions compare with the true ones."""
    ends = [r for r in records if r.get("reliable") and "estimate_of_corrected" in r]
    if not ends:
        return []
    ratios = np.asarray([r["estimate_of_corrected"] / r["corrected"] for r in ends])
    false = [r for r, ratio in zip(ends, ratios, strict=True) if ratio < CLAIM]
    gains = np.asarray([r["true"] / r["corrected"] for r in ends])
    return [
        f"corrected solutions of {len(ends)} runs: estimated / true error median "
        f"{np.median(ratios):.2f}, from {ratios.min():.2f} to {ratios.max():.1f}; "
        f"below a fifth: {len(false)}{_names(false)}",
        f"error of the network / error of its corrected solution: median {np.median(gains):.0f}, "
        f"from {gains.min():.1f} to {gains.max():.0f}",
    ]


def judged_statuses(records: list[Record]) -> list[str]:
    """Runs that are wrong and say that they are right, and the other way round."""
    good = [r for r in records if r.get("reliable") and r["estimate"] < GOOD]
    wrong = [r for r in records if not r["true"] <= SMALL]
    claimed = [r for r in wrong if r in good and r["status"] in ("converged", "budget")]
    gaps = [r for r in wrong if r["held_out"] is not None and 0 <= GAP * r["loss"] < r["held_out"]]
    misses = [r for r in gaps if r["status"] != "overfitted"]
    called = [r for r in records if r["status"] == "overfitted"]
    alarms = [r for r in called if r["true"] < SOLVED]
    return [
        f"runs with an error above {SMALL}: {len(wrong)} of {len(records)}{_names(wrong)}",
        f"of these converged or budget with a reliable estimate below {GOOD}: "
        f"{len(claimed)}{_names(claimed)}",
        f"of these with a gap above {GAP:g}, yet not called overfitted: "
        f"{len(misses)} of {len(gaps)}{_names(misses)}",
        f"called overfitted: {len(called)}, of these with an error below {SOLVED}: "
        f"{len(alarms)}{_names(alarms)}",
    ]


def _names(records: list[Record]) -> str:
    listed = ", ".join(f"{record['name']} {record['seed']}" for record in records)
    return f" ({listed})" if records else ""


def study(options: argparse.Namespace) -> list[Record]:
    """All runs that the command line names, each printed and written as it ends."""
    records = []
    print(table([]), flush=True)
    with threadpool_limits(limits=1, user_api="blas"):
        seeds = range(options.first, options.first + options.seeds)
        for name, seed in itertools.product(options.names, seeds):
            record = run(name, seed, options)
            if record["status"] == "interrupted":
                break  # a run that was cut says nothing
            records.append(record)
            print(row(record), flush=True)
            if options.json is not None:
                keep(record, options.json)
            jax.clear_caches()
    return records


def keep(record: Record, file: Path) -> None:
    """Append a record as a line of JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(record) + "\n")


def table(records: list[Record]) -> str:
    """The Markdown table of final results."""
    head = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    return "\n".join(head + [row(record) for record in records])


def options_of_command_line() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=[*SITUATIONS, *PROBLEMS])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, help="training seconds, not the problem's own")
    parser.add_argument("--at-most", type=float, default=np.inf, help="limit of those seconds")
    points = parser.add_mutually_exclusive_group()
    points.add_argument("--fixed-points", action="store_true", help="train with grow=False")
    points.add_argument("--grow", action="store_true", help="also where a problem keeps its points")
    parser.add_argument("--json", type=Path, help="append a line a run to this file")
    parser.add_argument("--read", type=Path, help="train nothing: tables of the runs in this file")
    return parser.parse_args()


def main() -> None:
    """Run what the command line names, print the table and the summary."""
    options = options_of_command_line()
    if options.read is not None:
        lines = options.read.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
    else:
        records = study(options)
    print(f"\n{table(records)}\n\n{summary(records)}")


if __name__ == "__main__":
    main()
