"""The claims of the paper on energy natural gradients, with five seeds each.

    python benchmarks/icml23.py                 # what is not in the file yet; half an hour
    python benchmarks/icml23.py --only adam --seeds 1
    python benchmarks/icml23.py --tables        # docs/natural-gradient.md from the numbers alone

Mueller and Zeinhofer, ICML 2023: Poisson's equation in two dimensions on fixed points, and the
heat equation in one dimension with as many points as theirs, but drawn anew in every step: their
published scripts have none with minibatches in one dimension, and the abstract claims stochastic
points. `engd` is their algorithm, `engd-tr` the default of this package, Adam has the rates and the
200,000 steps of their script. Errors are those of the last iterate. Seconds are processor time of
the compiled steps. Runs are lines of `benchmarks/results/icml23.json`.
"""

import argparse
import dataclasses
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx
from report_tables import spread, table, with_table

from pinn_ngd import MonteCarlo, load_problem, optimizers
from pinn_ngd.experiments.problem import Problem
from pinn_ngd.linalg import Spectral
from pinn_ngd.storage.files import to_json
from pinn_ngd.training.advance import as_arrays

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "icml23.json"
PAGE = HERE.parent / "docs" / "natural-gradient.md"
MARK = "icml23"
FIRST = 300  # seeds on which nothing was chosen
LOOKS = 10  # errors on the way


class Case(NamedTuple):
    """So many steps of an optimizer, `stride` of them in a compiled call, for so many seeds."""

    problem: str
    optimizer: str
    steps: int
    seeds: int
    resampled: bool = False
    stride: int = 50
    settings: Mapping[str, Any] = {}
    called: str = ""

    @property
    def label(self) -> str:
        """What tells it from the others."""
        points = " resampled" if self.resampled else ""
        return f"{self.problem}{points} {self.method}"

    @property
    def place(self) -> tuple[str, bool]:
        """The equation and the points, which runs that are compared share."""
        return self.problem, self.resampled

    @property
    def method(self) -> str:
        """The optimizer and what is not its default."""
        others = [f"{key} `{value}`" for key, value in self.settings.items()]
        return self.called or ", ".join([f"`{self.optimizer}`", *others])


POISSON, HEAT = "poisson-2d-icml23", "heat-1d-icml23"
WARM = {
    "metric": "energy", "solver": Spectral("gram", rcond=2e-7), "damping": 0.0, "search": "warm",
}  # fmt: skip
PAPER = "`engd`, never refused: the paper's"
CASES = (
    Case(POISSON, "engd", 2000, 5),
    Case(POISSON, "engd", 2000, 5, settings={"always": True}, called=PAPER),
    Case(POISSON, "wngd", 2000, 5, settings=WARM, called="`engd` with a warm line search"),
    Case(POISSON, "engd-tr", 2000, 5),
    Case(POISSON, "engd-tr", 2000, 5, settings={"search": "climb"}),
    Case(POISSON, "engd-tr", 2000, 5, settings={"acceleration": "none"}),
    Case(POISSON, "adam", 200_000, 3, stride=1000),
    Case(HEAT, "engd", 500, 5, resampled=True, stride=1, settings={"always": True}, called=PAPER),
    Case(HEAT, "engd-tr", 500, 5, resampled=True, stride=1),
)


def problem_of(case: Case) -> Problem:
    """The problem; with as many points, drawn anew in every step, where they are resampled.

    Points stay in one piece, which is fastest for so few of them.
    """
    problem = load_problem(case.problem)
    whole = dataclasses.replace(problem.objective, chunk_size=None)
    problem = dataclasses.replace(problem, objective=whole)
    if not case.resampled:
        return problem
    fixed: Any = problem.objective.rules
    rules = [
        MonteCarlo(rule.region, len(rule.quadrature(None).points), seed=place)
        for place, rule in enumerate(fixed)
    ]
    return dataclasses.replace(problem, objective=problem.objective.with_rules(rules))


def run(case: Case, seed: int) -> dict[str, Any]:
    """The numbers of one run."""
    problem, key = problem_of(case), jax.random.key(seed)
    objective, optimizer = problem.objective, optimizers.get(case.optimizer, **case.settings)
    measure = problem.errors(h1=True)
    batch = objective.batch(key)
    model = as_arrays(problem.model(key))
    state = as_arrays(optimizer.init(model, objective, batch))
    call = _stepper(objective, optimizer, case.stride)
    jax.block_until_ready(eqx.filter(call(model, state, batch, key), eqx.is_array))  # compile
    seconds, way = 0.0, {}
    for done in range(case.stride, case.steps + 1, case.stride):
        own = jax.random.fold_in(key, done)
        if case.resampled:
            batch = jax.block_until_ready(objective.batch(own))
        begun = time.process_time()
        model, state = call(model, state, batch, own)
        jax.block_until_ready(eqx.filter((model, state), eqx.is_array))
        seconds += time.process_time() - begun
        if done % (case.steps // LOOKS) == 0:
            way[str(done)] = measure(optimizer.answer(model, state))
    return {
        "case": case.label, "seed": seed, "steps": case.steps, **way[str(case.steps)],
        "seconds": seconds, "on the way": way,
        "parameters": sum(x.size for x in jax.tree.leaves(eqx.filter(model, eqx.is_array))),
        "jax": jax.__version__,
    }  # fmt: skip


def _stepper(objective: Any, optimizer: Any, stride: int) -> Callable[..., Any]:
    @eqx.filter_jit
    def call(model: Any, state: Any, batch: Any, key: Any) -> Any:
        arrays, static = eqx.partition((model, state), eqx.is_array)

        def step(arrays: Any, _: Any) -> Any:
            model, state = eqx.combine(arrays, static)
            new = optimizer.step(model, state, objective, batch, key=key)[:2]
            return eqx.filter(new, eqx.is_array), None

        return eqx.combine(jax.lax.scan(step, arrays, length=stride)[0], static)

    return call


def tables(runs: Sequence[dict[str, Any]]) -> str:
    """What stands between the marks of the page."""
    heads = (
        "problem", "points", "optimizer", "steps", "relative L2", "relative H1", "ms a step",
        "of a step of Adam", "seeds",
    )  # fmt: skip
    groups = [(case, [row for row in runs if row["case"] == case.label]) for case in CASES]
    groups = [(case, rows) for case, rows in groups if rows]
    adam = {case.place: milliseconds(rows) for case, rows in groups if case.optimizer == "adam"}
    return table(heads, (_line(case, rows, adam.get(case.place)) for case, rows in groups))


def milliseconds(rows: Sequence[dict[str, Any]]) -> float:
    """The median of the processor time of a step."""
    return statistics.median(1e3 * row["seconds"] / row["steps"] for row in rows)


def _line(case: Case, rows: Sequence[dict[str, Any]], adam: float | None) -> Sequence[str]:
    spent = milliseconds(rows)
    return (
        f"`{case.problem}`", "drawn anew" if case.resampled else "fixed", case.method,
        f"{case.steps:,}", spread([row["relative_l2"] for row in rows]),
        spread([row["relative_h1"] for row in rows]), f"{spent:.2f}",
        "" if adam is None else f"{spent / adam:.1f}", f"{len(rows)}",
    )  # fmt: skip


def page(text: str, runs: Sequence[dict[str, Any]]) -> str:
    """The page with the table of these runs."""
    return with_table(text, tables(runs), MARK)


def main() -> None:
    """Make the runs that are missing, one seed of all cases after the other, and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="a part of the labels of the cases")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", action="store_true")
    options = parser.parse_args()
    runs = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    chosen = [case for case in CASES if options.only in case.label]
    for seed in [] if options.tables else range(FIRST, FIRST + options.seeds):
        for case in chosen:
            known = any((row["case"], row["seed"]) == (case.label, seed) for row in runs)
            if known or seed >= FIRST + case.seeds:
                continue
            runs.append(run(case, seed))
            RESULTS.write_text(to_json(runs, indent=1) + "\n", encoding="utf-8")
            told = ("case", "seed", "relative_l2", "seconds")
            print({key: runs[-1][key] for key in told}, flush=True)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), runs), encoding="utf-8")


if __name__ == "__main__":
    main()
