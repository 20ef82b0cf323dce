"""Other packages beside this one: same equation, network, points, start and clock.

    python benchmarks/peers.py                                  # three seeds: some three hours
    python benchmarks/peers.py --problems heat-1d-icml23 --peers pinn-ngd jinns --seeds 1
    python benchmarks/peers.py --report                         # docs/peers.md from the numbers

Every package has an environment of its own (`--environments DIR`, made by venv and pip where it is
not there yet), in which `benchmarks/peers/run_PACKAGE.py` trains on a task that is written here
from the problem files of this repository: points, quadrature weights, right-hand sides, initial
weights and the points at which errors are measured (`benchmarks/peers/protocol.py`). The seconds
are processor seconds of the training steps on one thread, without compilation and without the
measurement of errors. Runs go into `benchmarks/results/peers.json` as soon as they end, and a run
that is in there is not repeated; where a package cannot be installed or run, the reason is.
"""

import argparse
import functools
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers_report import RESULTS, SECONDS, write_page

HERE = Path(__file__).parent
SCRIPTS = HERE / "peers"
RUNS = Path("runs/peers")
FIRST, SEEDS = 300, 3  # no setting was chosen on these seeds
SAME = 1e-9  # relative difference of the losses at the start, up to which it is the same problem
DIGITS = 4  # of the numbers in the file
JAX_NOTE = "--------------------\nFor simplicity, JAX has removed"
PROBLEMS: dict[str, dict[str, Any]] = {
    "poisson-2d-icml23": {},
    "heat-1d-icml23": {},
    "poisson-5d-icml23": {},
    "burgers-1d": {"viscosity": 0.01},
    "kovasznay": {},
}


@dataclass(frozen=True)
class Peer:
    """A package: its script, what pip has to install for it, and its optimizers by name."""

    script: str
    methods: tuple[str, ...]
    requirements: tuple[str, ...] = ()  # none: the Python that runs this file


PEERS = {
    "pinn-ngd": Peer("run_pinn_ngd.py", ("engd-tr",)),
    "randngd": Peer("run_randngd.py", ("full", "rpchol"), ("randngd",)),
    "scimba": Peer("run_scimba.py", ("eng", "anagram", "dsgnar", "ssbroyden"), ("scimba", "jax")),
    "jinns": Peer("run_jinns.py", ("ngd", "ssbroyden"), ("jinns",)),
    "nlls-gram": Peer("run_nlls_gram.py", ("lm", "lm-qr"), ("nlls-gram",)),
    "optimistix": Peer("run_optimistix.py", ("lm",), ("optimistix",)),
    "scipy": Peer("run_scipy.py", ("lm", "l-bfgs-b"), ("scipy", "jax")),
    "optax": Peer("run_optax.py", ("adam-lbfgs",), ("optax", "jax")),
    "deepxde": Peer("run_deepxde.py", ("l-bfgs", "nncg"), ("deepxde", "torch")),
}


@dataclass(frozen=True)
class Job:
    """One training."""

    problem: str
    seed: int
    seconds: float
    peer: str
    method: str

    @property
    def key(self) -> dict[str, Any]:
        """What tells a run from others in the file."""
        return {
            "problem": self.problem, "seed": self.seed, "budget": self.seconds,
            "peer": self.peer, "method": self.method,
        }  # fmt: skip


@functools.cache
def write_task(name: str, seed: int, seconds: float, path: Path) -> float:
    """Write a task as .json and .npz from a problem of this repository; its loss at the start."""
    import jax

    jax.config.update("jax_enable_x64", True)

    import numpy as np

    from pinn_ngd import load_problem

    problem: Any = load_problem(name, **PROBLEMS.get(name, {}))
    model = problem.model(jax.random.key(seed))
    arrays: dict[str, Any] = {}
    for i, layer in enumerate(model.layers):
        arrays |= {f"weight_{i}": layer.weight, f"bias_{i}": layer.bias}
    outputs = model.layers[-1].bias.size
    batch = problem.objective.batch(jax.random.key(0))
    for k, (term, rule) in enumerate(zip(problem.objective.terms, batch, strict=True)):
        arrays |= {
            f"points_{k}": rule.points, f"weights_{k}": term.weight * rule.weights,
            f"data_{k}": right_hand_side(term.fn, rule.points, outputs),
        }  # fmt: skip
    held_out = problem.evaluation
    exact = jax.vmap(problem.exact)(held_out.points).reshape(-1, outputs)
    arrays |= {"held_out": held_out.points, "held_out_weights": held_out.weights, "exact": exact}
    path.parent.mkdir(parents=True, exist_ok=True)
    plain: Any = {key: np.asarray(value) for key, value in arrays.items()}
    np.savez(path.with_suffix(".npz"), **plain)
    names = [term.name for term in problem.objective.terms]
    task = {"problem": name, "seed": seed, "seconds": seconds, "terms": names}
    path.write_text(json.dumps(task), encoding="utf-8")
    return float(problem.objective.evaluate(model, batch).loss)


def right_hand_side(fn: Any, points: Any, outputs: int) -> Any:
    """What a residual fn(u, x) = A(u)(x) - f(x) subtracts, f at points (n, d), since A(0) = 0.

    (n, e) with the e numbers of named equations in the order of their names.
    """
    import jax
    import jax.numpy as jnp

    def zero(x):
        return jnp.zeros_like(x, shape=() if outputs == 1 else (outputs,)) * jnp.sum(x)

    def at(x):
        parts = jax.tree.leaves(fn(zero, x))
        return -jnp.concatenate([jnp.ravel(part) for part in parts])

    return jax.vmap(at)(points)


def environment(name: str, folder: Path) -> Path | str:
    """The Python of a peer, made where there is none; a sentence where that fails."""
    peer = PEERS[name]
    if not peer.requirements:
        return Path(sys.executable)
    python, stamp = folder / name / "bin" / "python", folder / name / "requirements.txt"
    wanted = "\n".join(peer.requirements)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {', '.join(peer.requirements)}", flush=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder / name)],
        [str(python), "-m", "pip", "install", "-q", *peer.requirements],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"not installed: {last_line(done.stderr)}"
    stamp.write_text(wanted, encoding="utf-8")
    return python


def last_line(text: str) -> str:
    """The last line of an output, without JAX's note on its tracebacks and without a full stop."""
    text = text.partition(JAX_NOTE)[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200].rstrip(".") if lines else "it said nothing"


def launch(job: Job, python: Path, folder: Path) -> dict[str, Any]:
    """One run in its own process; its numbers, or the reason why there are none."""
    task = folder / f"{job.problem}-{job.seed}.json"
    loss = write_task(job.problem, job.seed, job.seconds, task)
    out = folder / f"{job.problem}-{job.seed}-{job.peer}-{job.method}.jsonl"
    script = SCRIPTS / PEERS[job.peer].script
    command = [str(python), str(script), job.method, str(task), str(out)]
    environ = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    if PEERS[job.peer].requirements:
        environ.pop("PYTHONPATH", None)
    patience = 10 * job.seconds + 900
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, timeout=patience
        )
    except subprocess.TimeoutExpired:
        return job.key | {"reason": f"no end after {patience:g} s"}
    out.with_suffix(".log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode != 0:
        return job.key | {"reason": last_line(done.stderr)}
    return job.key | collected(out.read_text(encoding="utf-8").splitlines(), loss)


def collected(lines: Iterable[str], loss: float) -> dict[str, Any]:
    """The lines of a run as one record; `loss` is ours at the start of the same task.

    The final error is the last one that is a number: packages whose parameters become infinite
    return those before.
    """
    found: dict[str, Any] = {}
    history, last = [], {}
    for line in map(json.loads, lines):
        if "relative_l2" in line:
            last = line
            history += [line] if math.isfinite(line["relative_l2"]) else []
        else:
            found |= line
    return {
        **found,
        "same_start": abs(found["loss"] / loss - 1) < SAME,
        "seconds": rounded(last["seconds"]),
        "steps": last["steps"],
        "relative_l2": rounded(history[-1]["relative_l2"]),
        "history": [[rounded(line["seconds"]), rounded(line["relative_l2"])] for line in history],
    }


def rounded(value: float) -> float:
    """A number to a few digits."""
    return float(f"{value:.{DIGITS}g}")


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """Seed by seed, all packages of a problem one after the other."""
    for seed in range(options.first, options.first + options.seeds):
        for problem in options.problems:
            for peer in options.peers:
                for method in PEERS[peer].methods:
                    if not options.methods or method in options.methods:
                        yield Job(problem, seed, options.seconds, peer, method)


def add(run: dict[str, Any], path: Path) -> None:
    """Put a run into the file of numbers, a line each."""
    order = list(PROBLEMS), list(PEERS)

    def place(run: dict[str, Any]) -> tuple:
        known = run["problem"] in order[0], run["peer"] in order[1]
        where = [names.index(run[key]) if fine else 99 for names, key, fine in
                 zip(order, ("problem", "peer"), known, strict=True)]  # fmt: skip
        return (*where, run["method"], run["budget"], run["seed"])

    runs = [*load(path), run]
    text = ",\n".join(json.dumps(run) for run in sorted(runs, key=place))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[\n{text}\n]\n", encoding="utf-8")


def load(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def has(runs: Sequence[dict[str, Any]], job: Job) -> bool:
    return any(job.key.items() <= run.items() for run in runs)


def main() -> None:
    """Run what the command line names, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--methods", nargs="*", help="some of their optimizers alone")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=FIRST, help="the first seed")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="processor time of a run")
    parser.add_argument("--environments", type=Path, default=RUNS / "environments")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of numbers")
    parser.add_argument("--report", action="store_true", help="write the page and run nothing")
    options = parser.parse_args()
    pythons: dict[str, Path | str] = {}
    for job in () if options.report else jobs(options):
        if has(load(options.out), job):
            continue
        if job.peer not in pythons:
            pythons[job.peer] = environment(job.peer, options.environments.absolute())
        python = pythons[job.peer]
        failed = isinstance(python, str)
        run = job.key | {"reason": python} if failed else launch(job, python, RUNS)
        add(run, options.out)
        said = run.get("reason") or f"{run['relative_l2']:.1e} after {run['seconds']:.1f} s"
        print(f"{job.problem} {job.seed} {job.peer} {job.method}: {said}", flush=True)
    if options.out == RESULTS:
        write_page(load(RESULTS))


if __name__ == "__main__":
    main()
