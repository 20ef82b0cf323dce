"""Shipped equations with the default optimizer, five fresh seeds or those that the list says.

    python benchmarks/suite.py                        # four hours on two cores
    python benchmarks/suite.py --at-most 120          # all but seven long ones: two hours
    python benchmarks/suite.py --quick                # one seed, 5 s each, no variants: ten minutes
    python benchmarks/suite.py kdv beam --seconds 120 --first 100 --seeds 1 --workers 1

`benchmarks/suite.toml` lists the problems, their budgets, and what was published. Every run is a
process of its own with one BLAS thread, so that its memory can be told; two run at once. The
numbers of a run go into `benchmarks/results/suite.json` as soon as it ends, and a run that is in
there is not repeated: remove it from that file, or the file, after a change of the numerics.
`python benchmarks/report.py` writes docs/results.md and the table of the README from it. Runs with
another budget or other seeds than the suite's go into `runs/suite/asked.json`. The tables of what
was asked for are printed in any case.
"""

import argparse
import functools
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from report import EIGENVALUES, RESULTS, TIMES, errors, over_time
from suite_list import SECONDS, entries, goals, grouped, seeds_of

RUNS = Path("runs/suite")
FIRST = 200  # no setting was chosen on the seeds from here
QUICK = 5.0
KEPT = (
    "relative_l2", "relative_h1", "corrected_relative_l2", "estimated_relative_l2",
    "estimated_corrected_l2", "estimate_reliable", "held_out_loss", "loss", "steps", "seconds",
    "compile_seconds", "parameters", "points", "optimizer", "solver", "status", *EIGENVALUES,
)  # fmt: skip


def run_one(label: str, seed: int, seconds: float, folder: Path) -> None:
    """Train one problem in this process and leave its peak memory beside its results."""
    import jax

    jax.config.update("jax_enable_x64", True)

    import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
    from threadpoolctl import threadpool_limits

    from pinn_ngd import load_problem
    from pinn_ngd.cli.compiled import keep_compiled
    from pinn_ngd.experiments import run_problem

    keep_compiled()
    settings = entries().get(label, {}).get("settings", {})
    problem = load_problem(label.partition(":")[0], **settings)
    with threadpool_limits(limits=1, user_api="blas"):
        run_problem(problem, seed=seed, seconds=seconds, out=folder, resume=True, pictures=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # of kibibytes
    (folder / "memory.json").write_text(json.dumps({"gibibytes": peak}), encoding="utf-8")


def launch(label: str, seed: int, seconds: float, folder: Path) -> dict[str, Any]:
    """One run in a process of its own; what it says is kept in the folder's log."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--one", label, str(seed), str(seconds), str(folder)]
    threads = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    with folder.with_suffix(".log").open("w", encoding="utf-8") as log:
        code = subprocess.run(command, env=threads, stdout=log, stderr=log, check=False).returncode
    if code != 0:
        print(f"{label} seed {seed} failed: see {folder.with_suffix('.log')}", flush=True)
        return {"problem": label, "seed": seed, "budget": seconds, "failed": True}
    found = recorded(folder, {*TIMES, *(time for _, time in goals(label))})
    run = {"problem": label, "seed": seed, "budget": seconds, **found}
    print(f"{label} seed {seed}: {run.get('relative_l2', float('nan')):.1e}", flush=True)
    return run


def errors_at(folder: Path, times: Iterable[float]) -> dict[str, float]:
    """The error last measured before each of some times, and not the best one."""
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    measured = [line for line in map(json.loads, lines) if line.get("relative_l2") is not None]
    found = {}
    for time in sorted(times):
        before = [line["relative_l2"] for line in measured if line["seconds"] <= time]
        if before and measured[-1]["seconds"] > time:
            found[f"{time:g}"] = before[-1]
    return found


def recorded(folder: Path, times: Iterable[float]) -> dict[str, Any]:
    """The numbers of a run that the report needs, with its errors at some times."""
    result, memory, config = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("result.json", "memory.json", "config.json")
    )
    kept = {key: result[key] for key in KEPT if result.get(key) is not None}
    versions = config["environment"]["packages"]
    found = {**kept, **memory, "errors_at": errors_at(folder, times), "versions": versions}
    return found | {"commit": commit()}


@functools.cache
def commit() -> str:
    """The commit of this repository, "-dirty" where its code differs, or nothing outside of one."""
    head = from_git("rev-parse", "--short", "HEAD") if shutil.which("git") else ""
    # Other files may have changed: the numbers of runs that have ended do.
    differs = head and from_git("status", "--porcelain", "--", "pinn_ngd", "problems")
    return f"{head}-dirty" if differs else head


def from_git(*command: str) -> str:
    where = ["git", "-C", str(Path(__file__).parents[1])]
    said = subprocess.run([*where, *command], capture_output=True, text=True, check=False)
    return said.stdout.strip()


Job = tuple[str, int, float, Path]


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """All seeds of all problems, seed by seed, so that what is cut short has whole rounds."""
    asked = {label: entries().get(label, {}) for label in options.problems}
    wanted = {label: options.seeds or seeds_of(label) for label in asked}
    for count in range(1 if options.quick else max(wanted.values())):
        for label, entry in asked.items():
            listed = entry.get("seconds", SECONDS)
            if count >= wanted[label] or listed > (options.at_most or math.inf):
                continue
            seed, budget = options.first + count, QUICK if options.quick else options.seconds
            budget = budget or listed
            name = label.replace(":", "-").replace(" ", "-")
            yield label, seed, budget, RUNS / f"{budget:g}s" / f"{name}-{seed}"


def key(run: dict[str, Any]) -> tuple[str, int, float]:
    return run["problem"], run["seed"], run["budget"]


class Numbers:
    """The file of all runs, written anew whenever one has ended."""

    def __init__(self, path: Path):
        self.path = path
        self.runs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        self.lock = threading.Lock()

    def has(self, job: Job) -> bool:
        return job[:3] in map(key, self.runs)

    def add(self, run: dict[str, Any]) -> None:
        with self.lock:
            self.runs = sorted([*self.runs, run], key=key)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.runs, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run what the command line names and write the numbers of all runs that have ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", help="labels of the list, by default all")
    parser.add_argument("--seeds", type=int, help="of every problem, not the list's")
    parser.add_argument("--first", type=int, default=FIRST, help="the first seed")
    parser.add_argument("--seconds", type=float, help="training budget of a run, not the list's")
    parser.add_argument("--at-most", type=float, help="no problems of a larger budget in the list")
    parser.add_argument("--workers", type=int, default=2, help="runs at once")
    parser.add_argument("--quick", action="store_true", help="one seed, 5 s a run, no variants")
    parser.add_argument("--out", type=Path, help="the file of numbers")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        label, seed, seconds, folder = options.one
        run_one(label, int(seed), float(seconds), Path(folder))
        return
    if not options.problems:
        options.problems = [e for e in entries() if not (options.quick and ":" in e)]
    more = any((options.seeds or 0) > seeds_of(label) for label in options.problems)
    other = options.quick or options.seconds or options.first != FIRST or more
    numbers = Numbers(options.out or (RUNS / "asked.json" if other else RESULTS))
    asked = list(jobs(options))
    wanted = [job for job in asked if not numbers.has(job)]
    commit()  # of the first job, whatever happens to the repository meanwhile

    def work(job: Job) -> None:
        numbers.add(launch(*job))

    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(work, wanted))
    runs = [run for run in numbers.runs if key(run) in {job[:3] for job in asked}]
    print(f"\n{len(runs)} of {len(asked)} runs in {numbers.path}\n")
    print(errors(grouped(runs)), over_time(grouped(runs)), sep="\n")


if __name__ == "__main__":
    main()
