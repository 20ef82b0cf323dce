"""What a step of the energy natural gradient costs in steps of Adam, and where it goes.

    python benchmarks/cost_ratio.py poisson-2d-icml23 --write     # the table of the docs
    python benchmarks/cost_ratio.py poisson-5d-icml23 --repeats 20

The networks and points of Mueller and Zeinhofer (ICML 2023), at the first step. Milliseconds are
processor time, medians, of one compiled program of `STRIDE` steps (or as many calls of a part), so
that the call itself does not count; its operations are XLA's own count, which leaves LAPACK's out.
Points stay in one piece.
Steps over whole trainings are in `benchmarks/icml23.py`.
"""

import argparse
import dataclasses
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx
import jax.numpy as jnp

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, for what recipes share
from report_tables import table, with_table

from figures.recipes.timing import median_ms
from pinn_ngd import load_problem, optimizers
from pinn_ngd.linalg import QLP, Spectral, prepare
from pinn_ngd.storage.files import to_json

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "cost_ratio.json"
PAGE = HERE.parent / "docs" / "natural-gradient.md"
MARK = "cost-ratio"
PROBLEMS = ("poisson-2d-icml23", "heat-1d-icml23", "poisson-5d-icml23")
OPTIMIZERS = {
    "`adam`": ("adam", {}),
    "`engd`": ("engd", {}),
    "`engd-tr`": ("engd-tr", {}),
    "`engd-tr` without corrections": ("engd-tr", {"acceleration": "none"}),
    "`engd-tr`, search `climb`": ("engd-tr", {"search": "climb"}),
}
STRIDE = 50
Program = tuple[Callable[..., Any], tuple]


def programs(name: str, chunk_size: int | None) -> dict[str, Program]:
    """The programs that are compared, and what they are called with."""
    problem, key = load_problem(name), jax.random.key(0)
    objective = dataclasses.replace(problem.objective, chunk_size=chunk_size)
    model = problem.model(key)
    batch = objective.batch(key)
    found: dict[str, Program] = {}
    for label, (optimizer, settings) in OPTIMIZERS.items():
        chosen = optimizers.get(optimizer, **settings)
        found[label] = (
            _steps(chosen, objective, batch),
            (model, chosen.init(model, objective, batch)),
        )
    return found | parts(objective, model, batch)


def _steps(optimizer: Any, objective: Any, batch: Any) -> Callable[..., Any]:
    def steps(model: Any, state: Any) -> Any:
        arrays, static = eqx.partition((model, state), eqx.is_array)

        def step(arrays: Any, _: Any) -> Any:
            model, state = eqx.combine(arrays, static)
            key = jax.random.key(0)
            new = optimizer.step(model, state, objective, batch, key=key)[:2]
            return eqx.filter(new, eqx.is_array), None

        return jax.lax.scan(step, arrays, length=STRIDE)[0]

    return steps


def parts(objective: Any, model: Any, batch: Any) -> dict[str, Program]:
    """What steps consist of."""
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def at(t: Any) -> Any:
        return eqx.combine(jax.tree.map(lambda q: (1 - t) * q, params), static)

    def losses(count: int, t: Any) -> Any:
        steps = t * 0.5 ** jnp.arange(count)
        return jnp.min(jax.lax.map(lambda s: objective.loss(at(s), batch), steps, batch_size=8))

    def matrix(t: Any) -> Any:
        return objective.system(at(t), batch).operator.as_matrix()

    rows = matrix(jnp.asarray(0.0))
    gram = rows.T @ rows

    def factored(solver: Any, t: Any) -> Any:
        system = eqx.tree_at(lambda s: s.damping, objective.system(at(t), batch), 1e-20)
        return prepare(system, solver, smallest_damping=jnp.asarray(1e-20))

    functions: dict[str, Callable[[Any], Any]] = {
        "one value of the loss": lambda t: objective.loss(at(t), batch),
        "31 values of the loss": lambda t: losses(31, t),
        "gradient of the loss": lambda t: jax.grad(lambda m: objective.loss(m, batch))(at(t)),
        "rows of the Jacobian A": matrix,
        "A^T A": lambda t: (rows + t).T @ (rows + t),
        "eigenvalues and -vectors of A^T A": lambda t: jnp.linalg.eigh(gram + t),
        "Cholesky factor of A^T A": lambda t: jnp.linalg.cholesky(
            gram + (1 + t) * jnp.eye(rows.shape[1])
        ),
        "rows and two QR factorizations": lambda t: factored(QLP(), t),
        "rows, A^T A and eigenvalues": lambda t: factored(Spectral(method="gram"), t),
    }
    return {
        label: (_repeated(function), (jnp.asarray(1e-3),)) for label, function in functions.items()
    }


def _repeated(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`STRIDE` calls, each of which waits for what the one before it found."""

    def calls(t: Any) -> Any:
        def body(t: Any, _: Any) -> Any:
            leaves = jax.tree.leaves(eqx.filter(function(t), eqx.is_inexact_array))
            # A sum that no compiler can leave out, and that changes nothing.
            return t + 1e-300 * sum(jnp.sum(leaf) for leaf in leaves), None

        return jax.lax.scan(body, t, length=STRIDE)[0]

    return calls


def measured(name: str, chunk_size: int | None, repeats: int) -> list[dict[str, Any]]:
    """Milliseconds and million operations of every program, in the order of the table."""
    rows = []
    for label, (program, arguments) in programs(name, chunk_size).items():
        compiled = eqx.filter_jit(program).lower(*arguments).compile()
        count = compiled.compiled.cost_analysis().get("flops", float("nan")) / 1e6
        taken = median_ms(lambda c=compiled, a=arguments: c(*a), repeats, clock=time.process_time)
        rows.append({"program": label, "ms": taken / STRIDE, "million operations": count})
    return rows


def tables(found: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """A table for each problem."""
    return "\n".join(_table(name, rows) for name, rows in found.items())


def _table(name: str, rows: Sequence[dict[str, Any]]) -> str:
    heads = (f"`{name}`", "ms", "of a step of Adam", "million operations")
    adam = rows[0]["ms"]
    cells = (
        (
            row["program"], f"{row['ms']:.2f}", f"{row['ms'] / adam:.1f}",
            f"{row['million operations']:,.1f}",
        )
        for row in rows
    )  # fmt: skip
    return table(heads, cells)


def page(text: str, found: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """The page with these tables between its marks."""
    return with_table(text, tables(found), MARK)


def main() -> None:
    """Measure, print, and with --write renew the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", default=PROBLEMS)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--chunk-size", type=int, help="points in one piece; by default all")
    parser.add_argument("--write", action="store_true", help="keep the numbers and write the page")
    options = parser.parse_args()
    found = {}
    for name in options.problems:
        found[name] = measured(name, options.chunk_size, options.repeats)
        print(_table(name, found[name]), flush=True)
    if options.write:
        RESULTS.write_text(to_json(found, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
