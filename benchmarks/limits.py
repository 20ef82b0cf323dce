"""What a miss of the suite is due to: time, the network, the points, or the way that steps take.

    python benchmarks/limits.py                     # missed targets that nothing else reached
    python benchmarks/limits.py wave-1d helmholtz

For one seed of a problem whose target was missed, three times the time of the target, and then two
questions. Is the held-out loss larger than the training loss, so that there were too few points?
And which error has the same network if it is fitted to the solution itself, from the parameters
that the run ended with, in the time of the target: what is the best that it can represent? Too few
points are named as the cause only where the runs of the suite have too few as well. The answers go
into `benchmarks/results/limits.json`, from which `report.py` writes a sentence for every miss. Runs
in windows of time, which end with one network for each window, are left out, and so are equations
whose target was reached in windows or with sine waves.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from report import RESULTS
from report_targets import LIMITS, another_way, missed
from suite_list import entries, goals, grouped, in_suite

FOLDERS = Path("runs/limits")
LONGER = 3.0
POINTS = 4000  # at which the network is fitted to the solution
SEED = 200


def measured(label: str) -> dict[str, Any]:
    """The numbers of one problem."""
    import jax

    jax.config.update("jax_enable_x64", True)

    import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
    from threadpoolctl import threadpool_limits

    from pinn_ngd import Residual, ResidualObjective, Sobol, load_problem, load_run, train
    from pinn_ngd.cli.compiled import keep_compiled
    from pinn_ngd.experiments import run_problem

    keep_compiled()
    name = label.partition(":")[0]
    problem = load_problem(name, **entries()[label].get("settings", {}))
    domain, exact, (_, seconds) = problem.domain, problem.exact, goals(label)[-1]
    assert domain is not None
    assert exact is not None
    folder = FOLDERS / label.replace(":", "-").replace(" ", "-")
    with threadpool_limits(limits=1, user_api="blas"):
        run_problem(
            problem, seed=SEED, seconds=LONGER * seconds, out=folder, resume=True, pictures=False
        )
        points = Sobol(domain, POINTS, seed=SEED)
        fit = ResidualObjective([Residual(lambda u, x: u(x) - exact(x), points)])
        fitted = train(fit, load_run(folder).model, "engd-tr", seconds=seconds, key=SEED)
        error = problem.errors()(fitted.model)["relative_l2"]
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return {
        "problem": label,
        "seed": SEED,
        "seconds": result["seconds"],
        "relative_l2": result["relative_l2"],
        "corrected_relative_l2": result.get("corrected_relative_l2"),
        "held_out_over_training_loss": result["held_out_loss"] / result["loss"],
        "points": result["points"],
        "fitted_relative_l2": error,
    }


def in_windows(label: str) -> bool:
    """Whether the problem is solved in windows of time."""
    from pinn_ngd import load_problem

    settings = entries()[label].get("settings", {})
    return load_problem(label.partition(":")[0], **settings).windows is not None


def main() -> None:
    """Measure what the command line names, each problem in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", help="by default all that missed their target")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one)))
        return
    runs = json.loads(RESULTS.read_text(encoding="utf-8"))
    groups = grouped(run for run in runs if in_suite(run))
    misses = (label for label in groups if missed(label, groups[label]))
    every = [label for label in misses if not another_way(label, groups) and not in_windows(label)]
    for label in options.problems or every:
        command = [sys.executable, __file__, "--one", label]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(LIMITS.read_text(encoding="utf-8")) if LIMITS.is_file() else {}
        found[label] = json.loads(answer.splitlines()[-1])
        print(found[label], flush=True)
        LIMITS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
