"""How the damping of a step is found: by a walk or by a climb, in runs of the same time.

    python benchmarks/candidates.py                                    # three seeds: two minutes
    python benchmarks/candidates.py wave-1d burgers-1d --seeds 2 --seconds 60
    python benchmarks/candidates.py --searches climb walk grid
    python benchmarks/candidates.py --suite           # what the change from climb to walk did there

For the searches of `engd-tr`: milliseconds a step, the seconds of training until the relative L2
error is below 1e-3, 1e-5 and 1e-7, and the error at the end, medians over the seeds, and the worst
error. Points grow as in every run, so that an error does not end where the first points are fitted.
`--suite` runs nothing: it compares the runs of the suite with those of the same seeds and seconds
shortly before (`benchmarks/results/suite_climb.json`).
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from report import HERE, RESULTS
from report_tables import table
from threadpoolctl import threadpool_limits

from pinn_ngd import load_problem
from pinn_ngd.cli.compiled import keep_compiled
from pinn_ngd.experiments import run_problem
from pinn_ngd.storage.reading import read_history

LEVELS = (1e-3, 1e-5, 1e-7)
SEARCHES = ("climb", "walk")
FIRST = 100
CLIMB = HERE / "results" / "suite_climb.json"


def run(problem, search: str, seed: int, seconds: float, folder: Path) -> list[float]:
    """Milliseconds a step, the times of the levels, and the error at the end."""
    settings = {"search": search}
    result = run_problem(
        problem,
        "engd-tr",
        settings=settings,
        seed=seed,
        seconds=seconds,
        out=folder,
        pictures=False,
    )
    looks = [look for look in read_history(folder) if look.get("relative_l2") is not None]
    reached = (
        next((look["seconds"] for look in looks if look["relative_l2"] < level), float("inf"))
        for level in LEVELS
    )
    return [1e3 * result["seconds"] / result["steps"], *reached, result["relative_l2"]]


def told(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < float("inf") else "not reached"


def before_and_after() -> Iterator[tuple[str, ...]]:
    """A line for each run of the suite that was made with the climb and with the walk."""
    told = ("problem", "seed", "budget")
    climbs, walks = (
        {tuple(run[key] for key in told): run for run in json.loads(path.read_text("utf-8"))}
        for path in (CLIMB, RESULTS)
    )
    for key in climbs.keys() & walks.keys():
        errors = [runs[key].get("relative_l2") for runs in (climbs, walks)]
        if None not in errors:
            ratio = errors[0] / errors[1]
            yield f"`{key[0]}`", f"{errors[0]:.1e}", f"{errors[1]:.1e}", f"{ratio:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", default=["poisson-2d-icml23"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12.0, help="training time of a run")
    parser.add_argument("--searches", nargs="+", default=SEARCHES)
    parser.add_argument("--suite", action="store_true", help="compare runs that have been made")
    options = parser.parse_args()
    if options.suite:
        print(table(("problem", "climb", "walk", "ratio"), sorted(before_and_after())))
        return
    heads = [f"to {level:g}" for level in LEVELS]
    print("| problem | search | ms a step |", " | ".join(heads), "| error: median | worst |")
    print("|---|---|" + "---:|" * 6)
    keep_compiled()
    for name in options.problems:
        problem = load_problem(name)
        for search in options.searches:
            with tempfile.TemporaryDirectory() as folder:
                found = [
                    run(problem, search, seed, options.seconds, Path(folder) / f"{seed}")
                    for seed in range(FIRST, FIRST + options.seeds)
                ]
            pace, *times, error = map(statistics.median, zip(*found, strict=True))
            cells = [f"{pace:.0f}", *map(told, times), f"{error:.1e}"]
            worst = max(row[-1] for row in found)
            budget = f"{options.seconds:g} s, {options.seeds} seeds"
            print(
                f"| `{name}`, {budget} | {search} |",
                " | ".join(cells),
                f"| {worst:.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    with threadpool_limits(limits=1, user_api="blas"):
        main()
