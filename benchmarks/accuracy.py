"""The accuracy table: every shipped problem with its default settings, from several seeds.

    python benchmarks/accuracy.py                              # all, ten seeds: about an hour
    python benchmarks/accuracy.py poisson-2d ritz-1d --seeds 3
    python benchmarks/accuracy.py poisson-2d heat-1d --seconds 4   # what is reached by then
    python benchmarks/accuracy.py kdv beam --seconds 120 --early 20 --seeds 1   # and on the way

Prints, for each problem, the median and worst *final* relative L2 error on held-out points, the
same after the correction by the estimated error, the target, the training seconds (compilation not
counted) and, where asked for, the error reached by an earlier time. No setting was chosen on the
default seeds. Runs are kept in the folder that `pinn-ngd figures results --resume` reads, so that
the README's table comes from the very same ones; a finished run is not repeated: remove the folder
after a change of the numerics.
"""

import argparse
import statistics
import sys
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from threadpoolctl import threadpool_limits

from pinn_ngd import load_problem
from pinn_ngd.experiments import run_problem
from pinn_ngd.storage.reading import read_history

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, for what recipes share
from figures.results import TABLE_SEEDS

FOLDER = Path("runs/gallery/results")
TARGETS = {
    "poisson-2d": 1e-12,
    "poisson-2d-icml23": 5e-8,
    "heat-1d": 1e-9,
    "heat-1d-icml23": 1e-6,
    "ritz-1d": 5e-8,
    "poisson-5d": 1e-6,
    "poisson-5d-icml23": None,
}
EARLY = {"poisson-2d-icml23": 2.0}  # error after so many seconds, also a target (1e-6)


def error_at(folder: Path, seconds: float) -> float:
    """The last error measured before that time: not the best one."""
    lines = [line for line in read_history(folder) if line.get("relative_l2") is not None]
    before = [line["relative_l2"] for line in lines if line["seconds"] <= seconds]
    return before[-1] if before else float("nan")


def corrected(results: list[dict]) -> str:
    """Median and worst error after the correction by the estimated error, where it is known."""
    errors = [r["corrected_relative_l2"] for r in results if "corrected_relative_l2" in r]
    return f"{statistics.median(errors):.1e} ({max(errors):.1e})" if errors else ""


def ratios(results: list[dict]) -> str:
    """Least and largest estimate / error of the runs with a reliable estimate, and their number."""
    found = [
        r["estimated_relative_l2"] / r["relative_l2"] for r in results if r.get("estimate_reliable")
    ]
    return f"{min(found):.2f} to {max(found):.2f} ({len(found)})" if found else ""


def row(name: str, seeds: range, seconds: float | None, early_at: float | None) -> str:
    """Train all seeds of one problem and format its line of the table."""
    results, early = [], []
    early_at = EARLY.get(name) if early_at is None else early_at
    for seed in seeds:
        place = FOLDER if seconds is None else FOLDER.with_name(f"results-{seconds:g}s")
        folder = place / f"{name}-{seed}"
        result = run_problem(
            load_problem(name), seed=seed, seconds=seconds, out=folder, resume=True, pictures=False
        )
        results.append(result)
        print(
            f"  {name} seed {seed}: {result['relative_l2']:.1e}, {result['seconds']:.1f} s",
            flush=True,
        )
        if early_at is not None:
            early.append(error_at(folder, early_at))
    errors = [result["relative_l2"] for result in results]
    target = TARGETS.get(name)
    cells = [
        name,
        str(results[0]["parameters"]),
        f"{statistics.median(errors):.1e}",
        f"{max(errors):.1e}",
        corrected(results),
        ratios(results),
        "" if target is None else f"{target:.0e}",
        f"{statistics.median(r['seconds'] for r in results):.1f}",
        f"{statistics.median(early):.1e} ({max(early):.1e}) at {early_at:.0f} s" if early else "",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run what the command line names and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", default=list(TARGETS))
    parser.add_argument("--seeds", type=int, default=len(TABLE_SEEDS))
    parser.add_argument("--first", type=int, default=TABLE_SEEDS[0], help="the first seed")
    parser.add_argument("--seconds", type=float, help="budget of a run, not the problem's own")
    parser.add_argument("--early", type=float, help="also the error after so many seconds")
    arguments = parser.parse_args()
    with threadpool_limits(limits=1, user_api="blas"):
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        rows = [row(name, seeds, arguments.seconds, arguments.early) for name in arguments.problems]
    print(
        "| problem | parameters | median | worst | corrected: median (worst) | estimate / error |"
        " target | seconds | early: median (worst) |"
    )
    print("|" + "---|" * 9)
    print("\n".join(rows))


if __name__ == "__main__":
    main()
