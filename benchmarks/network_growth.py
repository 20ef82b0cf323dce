"""Does it pay to let the network grow? Small, large, and small that is widened on the way.

    python benchmarks/network_growth.py                 # ten minutes on one core

Trains each problem for the same training seconds (compilation not counted) with a network of half
the width, with the problem's own, and with one of half the width which after a quarter of the time
gets as many neurons again in every hidden layer. New neurons have random incoming weights and no
outgoing ones, so that the function does not change. Prints final relative L2 errors of the network
on held-out points, median (worst) over the seeds, and the same for the corrected solution.
"""

import argparse
import math
import statistics
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx
import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from threadpoolctl import threadpool_limits

import pinn_ngd
from pinn_ngd import Problem, load_problem
from pinn_ngd.models import MLP
from pinn_ngd.training import TrainResult

WIDTHS = {"poisson-2d": 28, "heat-1d": 24, "wave-1d": 22}
QUARTER = 0.25  # of the seconds, before the network grows


def widened(small: MLP, large: MLP) -> MLP:
    """The function of `small` in a network of the sizes of `large`, whose first neurons are those
    of `small`; the other ones keep their incoming weights, and their outgoing weights are zero."""
    layers = [
        eqx.tree_at(
            lambda layer: (layer.weight, layer.bias),
            into,
            (_embedded(old.weight, into.weight), into.bias.at[: old.bias.size].set(old.bias)),
        )
        for old, into in zip(small.layers, large.layers, strict=True)
    ]
    return eqx.tree_at(lambda model: model.layers, large, tuple(layers))


def _embedded(old: jax.Array, into: jax.Array) -> jax.Array:
    """Old weights in the upper left corner; what leads from new neurons to old ones is zero."""
    rows, columns = old.shape
    return into.at[:rows, columns:].set(0.0).at[:rows, :columns].set(old)


def trained(problem: Problem, model: Any, seconds: float, key: jax.Array) -> TrainResult:
    """One run with the default optimizer; its history is not needed."""
    return pinn_ngd.train(
        problem.objective_at(model),
        model,
        pinn_ngd.optimizers.get("engd-tr"),
        seconds=seconds,
        key=key,
        evaluate=problem.evaluator(),
    )


def errors(name: str, way: str, seed: int, seconds: float) -> tuple[float, float]:
    """Final error of the network, and of the corrected solution."""
    large = load_problem(name)
    small = load_problem(name, width=WIDTHS[name] // 2)
    key = jax.random.key(seed)
    problem = large if way == "own width" else small
    model = problem.model(key)
    first = QUARTER * seconds if way == "widened" else seconds
    result = trained(problem, model, first, key)
    if way == "widened":
        model = widened(result.model, large.model(key))
        result = trained(large, model, seconds - first, key)
    measure = large.evaluator()
    estimate = result.estimate
    if estimate is None or not estimate.reliable:
        return result.measures["relative_l2"], float("nan")
    return result.measures["relative_l2"], measure(estimate.corrected)["relative_l2"]


def cell(errors: tuple[float, ...]) -> str:
    """Median (worst) of the errors that are known, and how many these are where some are not."""
    known = [error for error in errors if not math.isnan(error)]
    if not known:
        return "not known"
    count = "" if len(known) == len(errors) else f", {len(known)} of {len(errors)}"
    return f"{statistics.median(known):.1e} ({max(known):.1e}){count}"


def main() -> None:
    """Print a line for each problem and way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", default=list(WIDTHS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12.0)
    options = parser.parse_args()
    print("| problem | network | error | corrected |\n|---|---|---:|---:|")
    for name in options.problems:
        for way in ("half width", "own width", "widened"):
            found = []
            for seed in range(options.seeds):
                found.append(errors(name, way, seed, options.seconds))
                jax.clear_caches()
            network, after = zip(*found, strict=True)
            print(f"| {name} | {way} | {cell(network)} | {cell(after)} |", flush=True)


if __name__ == "__main__":
    with threadpool_limits(limits=1, user_api="blas"):
        main()
