"""A second network for what the first one leaves, beside one network for the same time.

    python benchmarks/stages.py                             # wave-1d and helmholtz: ten minutes
    python benchmarks/stages.py burgers-1d --seconds 120 --seeds 2
    python benchmarks/stages.py wave-1d --seconds 100 --second ridge=6 --second waves=150

One network is trained for `--seconds`. In the other run it is frozen after half of them, and a
second one of the same kind, from another start, is trained on the same equation for the rest, times
the relative error that the first run claims (`models.Stages`; Wang and Lai, J. Comput. Phys. 2024).
Each `--second` is one more run, with another second network: that of the problem with this setting.
Relative L2 errors at held-out points, medians and the worst of several seeds, of the networks and
of the corrected solutions that runs return beside them, where they claim an error.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
from report import corrected, network
from report_tables import median, table
from threadpoolctl import threadpool_limits

from pinn_ngd import load_problem, load_run, models
from pinn_ngd._names import literal
from pinn_ngd.cli.compiled import keep_compiled
from pinn_ngd.experiments import run_problem

FIRST = 100
HALF, WHOLE = "one network, half of the time", "one network"
Made = dict[str, dict[str, Any]]


def run(name: str, kinds: list[str], seed: int, seconds: float, folder: Path) -> Made:
    """What the runs end with, by what they are called."""
    problem, common = load_problem(name), {"seed": seed, "pictures": False}
    others = {setting: load_problem(name, **settings(setting)).model for setting in kinds}
    half = run_problem(problem, seconds=seconds / 2, out=folder / "half", **common)
    whole = run_problem(problem, seconds=seconds, out=folder / "whole", **common)
    first = models.Frozen(load_run(folder / "half").model)
    # Where the run claims no error a thousandth has to do.
    scale = half["estimated_relative_l2"] if half.get("estimate_reliable") else 1e-3

    found = {HALF: half, WHOLE: whole}
    for number, (setting, kind) in enumerate({"": problem.model, **others}.items()):
        staged = dataclasses.replace(problem, model=after(first, scale, kind))
        out = folder / f"two-{number}"
        called = f"two networks, the second with {setting}" if setting else "two networks"
        found[called] = run_problem(staged, seconds=seconds / 2, out=out, **common)
    return found


def settings(text: str) -> dict[str, Any]:
    """`ridge=6` as an argument of a problem file."""
    name, equals, value = text.partition("=")
    if not equals:
        raise SystemExit(f"`--second {text}` has no value: write NAME=VALUE, such as ridge=6.")
    return {name: literal(value)}


def after(first: Any, scale: float, kind: Callable) -> Callable:
    """How a model of two networks is made, the second one of a kind."""
    return lambda key: models.Stages(first, [(scale, kind(jax.random.fold_in(key, 1)))])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", default=["wave-1d", "helmholtz"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=120.0, help="training time of a run")
    parser.add_argument("--second", action="append", default=[], help="NAME=VALUE, its setting")
    options = parser.parse_args()
    keep_compiled()
    lines = []
    for name in options.problems:
        found: list[Made] = []
        for seed in range(FIRST, FIRST + options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                found.append(run(name, options.second, seed, options.seconds, Path(folder)))
        for called in found[0]:
            results = [made[called] for made in found]
            steps = f"{median(results, 'steps'):.0f}"
            lines.append((f"`{name}`", called, network(results), corrected(results), steps))
    print(table(("problem", "", "network", "corrected", "steps"), lines))


if __name__ == "__main__":
    with threadpool_limits(limits=1, user_api="blas"):
        main()
