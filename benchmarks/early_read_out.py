"""Energy natural gradient of a PINN with a device that is read early, against the exact one.

    python benchmarks/early_read_out.py

Relative L2 errors of `poisson-2d-icml23` after 15 steps with the grid line search of `engd`, for
every seed: its pseudo-inverse, and the noiseless `SPU` on A^T A read after so many RC times.
"""

import tempfile
from pathlib import Path

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

import warnings

from pinn_ngd import load_problem, optimizers
from pinn_ngd.experiments import run_problem
from pinn_ngd.optimizers import GridLineSearch, NaturalGradient
from pinn_ngd.spu import SPU, UnsettledWarning

SEEDS, STEPS, TIMES = range(3), 15, (1e2, 1e4, 1e6)


def read_at(time: float) -> NaturalGradient:
    return NaturalGradient(solver=SPU(time=time), search=GridLineSearch(largest=2.0))


def main() -> None:
    warnings.simplefilter("ignore", UnsettledWarning)
    problem = load_problem("poisson-2d-icml23")
    chosen = {"engd": optimizers.get("engd"), **{f"t = {t:.0e}": read_at(t) for t in TIMES}}
    print("| optimizer | median | " + " | ".join(f"seed {seed}" for seed in SEEDS) + " |")
    print("|---|" + "---:|" * (1 + len(SEEDS)))
    for label, optimizer in chosen.items():
        errors = []
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as folder:
                result = run_problem(
                    problem, optimizer, seed=seed, steps=STEPS, out=Path(folder), pictures=False,
                    fixed_points=True,
                )  # fmt: skip
            errors.append(result["relative_l2"])
        cells = [f"{error:.1e}" for error in (np.median(errors), *errors)]
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
