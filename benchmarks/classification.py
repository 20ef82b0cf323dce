"""Adam against natural gradients on mnist-5k: steps, final accuracy and seconds over five seeds.

Five seeds, each with its own split, network and order of batches, are tested every ten steps on
the 1,000 digits put aside. Adam gets the rate of its grid whose best test accuracy has the highest
median over the seeds: chosen on the test set, in its favor. The other methods are tuned without
it: each candidate of a grid trains once on seven eighths of a training part, and the accuracy on
the remaining eighth (the mean of the last five tests) decides. Per seed the mark is Adam's best
test accuracy minus half a point; reported are the steps and the seconds of training to reach it.

Adam keeps its rate, as it is mostly used, for 620 steps, and so do the methods that end in "-full".
All others get half of that, and a rate that falls to zero over it; "adam-cosine" is Adam under the
same condition. Methods that end in "-averaged" keep their rate and answer with the mean of recent
iterates; they are tuned with half the steps and run with all.

    taskset -c 0 python benchmarks/classification.py --out results.json
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

import pinn_ngd
from pinn_ngd import _tree
from pinn_ngd.applications.classification import classification_problem
from pinn_ngd.applications.data import Split, mnist_5k, split
from pinn_ngd.models import CNN
from pinn_ngd.spu import DeviceCost

HALF_A_POINT = 0.005
HALF = {"schedule": ["cosine"]}  # over the steps of the run
AVERAGE = {"average": [0.95]}
METHODS: dict[str, dict[str, list[Any]]] = {
    "adam": {"rate": [3e-4, 1e-3, 3e-3, 1e-2]},
    "adam-cosine": {"rate": [1e-3, 3e-3, 1e-2]},
    "sgd": {"rate": [0.03, 0.1, 0.3], **HALF},
    "sgd-full": {"rate": [0.01, 0.03, 0.1]},
    "ngd-woodbury-full": {"rate": [0.3, 0.5, 1.0], "damping": [3.0, 10.0]},
    "ngd-woodbury": {"rate": [0.1, 0.3], "damping": [1.0, 3.0, 10.0], **HALF},
    "tngd": {"rate": [0.1, 0.3], "damping": [1.0, 3.0], "time": [1.0, 10.0], **HALF},
    "adam-averaged": {"rate": [1e-3, 3e-3, 1e-2], **AVERAGE},
    "ngd-woodbury-averaged": {"rate": [0.3, 0.5, 1.0], "damping": [1.0, 2.0, 3.0], **AVERAGE},
    "tngd-averaged": {"rate": [0.3, 0.5], "damping": [1.0, 3.0], "time": [1.0, 10.0], **AVERAGE},
    "sgd-averaged": {"rate": [0.03, 0.1, 0.3], **AVERAGE},
}


def problem_of(data: Split, batch_size: int = 64):
    return classification_problem(
        "mnist-5k",
        "",
        data,
        lambda key, dtype: CNN((1, 28, 28), 10, key=key, dtype=dtype),
        batch_size=batch_size,
    )


def optimizer(name: str, settings: dict[str, Any], steps: int) -> Any:
    if name != "adam-cosine":
        plain = name.removesuffix("-full").removesuffix("-averaged")
        over = {"decay_steps": steps} if "schedule" in settings else {}
        return pinn_ngd.optimizers.get(plain, **settings, **over)
    rate = optax.cosine_decay_schedule(settings["rate"], steps)
    return pinn_ngd.optimizers.OptaxOptimizer(optax.adam(rate))


def run(data: Split, name: str, settings: dict, seed: int, steps: int) -> dict[str, Any]:
    problem = problem_of(data)
    key = jax.random.key(seed)
    result = pinn_ngd.train(
        problem.objective,
        problem.model(key),
        optimizer(name, settings, steps),
        steps=steps,
        key=jax.random.fold_in(key, 1),
        evaluate=problem.evaluator(),
        evaluate_every=10,
    )
    seen = [record for record in result.history if "test_accuracy" in record]
    curve = [(r["step"], r["seconds"], r["test_accuracy"]) for r in seen]
    return {"method": name, "settings": settings, "seed": seed, "status": result.status,
            "curve": curve, "seconds": result.seconds, "steps": result.steps}  # fmt: skip


def length(name: str, steps: int) -> int:
    """How many steps of Adam's a method gets."""
    return steps if name == "adam" or name.endswith(("-full", "-averaged")) else steps // 2


def tuned(name: str, steps: int) -> dict[str, Any]:
    """The settings of the grid with the best accuracy on a part of the training data."""
    whole = mnist_5k(seed=0)
    data = split(whole.inputs, whole.labels, test=len(whole.labels) // 8, seed=1)
    grid = METHODS[name]
    scored = []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        found = run(data, name, settings, 100, steps if name.endswith("-full") else steps // 2)
        last = [accuracy for *_, accuracy in found["curve"][-5:]]
        accuracy = float(np.mean(last)) if found["status"] == "budget" else 0.0
        print(f"  {name} {settings}: validation {accuracy:.4f}", flush=True)
        scored.append((accuracy, settings))
    return max(scored, key=lambda pair: pair[0])[1]


def favorable(name: str, seeds: range, steps: int) -> list[dict[str, Any]]:
    """The runs of the candidate with the best median of the best test accuracy."""
    scored = []
    for values in itertools.product(*METHODS[name].values()):
        settings = dict(zip(METHODS[name], values, strict=True))
        runs = [run(mnist_5k(seed=s), name, settings, s, steps) for s in seeds]
        accuracy = float(np.median([max(a for *_, a in r["curve"]) for r in runs]))
        print(f"  {name} {settings}: best test accuracy, median {accuracy:.4f}", flush=True)
        scored.append((accuracy, runs))
    return max(scored, key=lambda pair: pair[0])[1]


def reached(curve: list[tuple], mark: float) -> tuple[float, float]:
    """Step and seconds of the first test at or above the mark; infinite where there is none."""
    return next(((s, t) for s, t, a in curve if a >= mark), (np.inf, np.inf))


def modelled(step_seconds: float, time: float) -> float:
    """Seconds a step of `tngd` where a device solves: a gradient, and one solve by `DeviceCost`.

    Computing the rows that have to be programmed is left out.
    """
    n = _tree.size(CNN((1, 28, 28), 10, key=jax.random.key(0)))
    elements = 2 * 64 * 10 * n + n
    return step_seconds + float(DeviceCost().solve(elements, n, time).seconds)


def report(runs: list[dict[str, Any]]) -> str:
    """The table, every method held against Adam of the same seed."""
    by_seed = {run["seed"]: run for run in runs if run["method"] == "adam"}
    marks = {s: max(a for *_, a in r["curve"]) - HALF_A_POINT for s, r in by_seed.items()}
    lines = [
        "| method | settings | steps to the mark | seconds to the mark | of Adam's steps"
        " | final accuracy | ms/step | ms/step by the device model |",
        "|---|---|---|---|---|---|---|---|",
    ]
    plain = float(np.median([r["seconds"] / r["steps"] for r in by_seed.values()]))
    for method in dict.fromkeys(run["method"] for run in runs):
        own = [run for run in runs if run["method"] == method and run["seed"] in marks]
        hits = [reached(r["curve"], marks[r["seed"]]) for r in own]
        adam = [reached(by_seed[r["seed"]]["curve"], marks[r["seed"]])[0] for r in own]
        share = np.median([h[0] / a for h, a in zip(hits, adam, strict=True)])
        final = [r["curve"][-1][2] for r in own]
        speed = np.median([1e3 * r["seconds"] / r["steps"] for r in own])
        steps, seconds = (np.median([h[i] for h in hits]) for i in (0, 1))
        low, high = 100 * min(final), 100 * max(final)
        shown = {k: v for k, v in own[0]["settings"].items() if not isinstance(v, str)}
        settings = ", ".join(f"{k} {v:g}" for k, v in shown.items())
        time = own[0]["settings"].get("time")
        model = "" if time is None else f"{1e3 * modelled(plain, time):.1f}"
        lines.append(
            f"| {method} | {settings} | {steps:.0f} | {seconds:.1f} | {share:.2f}"
            f" | {100 * np.median(final):.1f} ({low:.1f} to {high:.1f}) | {speed:.1f} | {model} |"
        )
    return "\n".join(lines)


def main(methods: list[str], seeds: range, steps: int, out: str, resume: bool) -> None:
    runs = json.loads(Path(out).read_text()) if resume and Path(out).is_file() else []
    there = {run["method"] for run in runs}
    for name in [name for name in methods if name not in there]:
        if name == "adam":
            runs += favorable(name, seeds, steps)
        else:
            settings = tuned(name, steps)
            own = length(name, steps)
            runs += [run(mnist_5k(seed=s), name, settings, s, own) for s in seeds]
        if out:
            Path(out).write_text(json.dumps(runs))
        if any(r["method"] == "adam" for r in runs):
            print(report(runs), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--steps", type=int, default=620)
    parser.add_argument("--out", default="")
    parser.add_argument("--resume", action="store_true", help="keep the methods that `out` has")
    given = parser.parse_args()
    chosen = range(given.first, given.first + given.seeds)
    main(given.methods, chosen, given.steps, given.out, given.resume)
