"""What a step costs where: dense factorizations and whole steps on an accelerator and on the host.

    python benchmarks/device.py                       # all tables, about ten minutes on a GPU
    python benchmarks/device.py --quick               # small sizes, few steps
    python benchmarks/device.py --json runs/device.json

The first table holds median milliseconds in float64 of what a natural-gradient step is made of, for
a Jacobian of n rows and p columns: the Gram matrix A A^T, its Cholesky factor and its eigenvalues,
QR of A^T and the SVD of its triangle, and the copy of A to the host and back. The second trains
five problems with the default optimizer on each device, from the same start, and prints
milliseconds a step and the error at the end: a device that is fast and wrong is of no use. Where
JAX sees no accelerator the tables have one device, the CPU.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np

import pinn_ngd

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, for what recipes share
from figures.recipes.timing import median_ms

SIZES = ((129, 129), (900, 129), (780, 1737), (2048, 2048), (4096, 8192))
QUICK = ((129, 129), (300, 129))
PROBLEMS = (
    ("poisson-2d-icml23", 40),
    ("poisson-2d", 40),
    ("heat-1d", 40),
    ("burgers-1d", 40),
    ("poisson-5d", 20),
)
LARGEST_ON_HOST = 4e10  # n^2 p from which the host is not asked for an SVD
SECONDS = 1.0  # for the repetitions of one entry

Record = dict[str, Any]


def gram(a: jax.Array) -> jax.Array:
    return a @ a.T


def cholesky(a: jax.Array) -> jax.Array:
    g = gram(a)
    return jnp.linalg.cholesky(g + 1e-3 * jnp.trace(g) * jnp.eye(len(g)))


def eigenvalues(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.linalg.eigh(gram(a))


def triangle(a: jax.Array) -> jax.Array:
    return jnp.linalg.qr(a.T, mode="r") if len(a) < a.shape[1] else jnp.linalg.qr(a, mode="r")


def full_qr(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.linalg.qr(a.T if len(a) < a.shape[1] else a)


def svd_of_triangle(a: jax.Array) -> Any:
    return jnp.linalg.svd(triangle(a), full_matrices=False)


OPERATIONS = {
    "A A^T": gram,
    "Cholesky": cholesky,
    "eigh": eigenvalues,
    "QR": full_qr,
    "QR and SVD": svd_of_triangle,
}


def time_of(call: Any) -> float:
    return median_ms(call, at_least=SECONDS)


def algebra(device: Any, rows: int, columns: int) -> Record:
    """One line of the first table."""
    a = jax.random.normal(jax.random.key(0), (rows, columns)) * jnp.logspace(0, -6, columns)
    a = jax.device_put(a, device)
    found: Record = {"device": device.device_kind, "n": rows, "p": columns}
    small, large = sorted((rows, columns))
    heavy = device.platform == "cpu" and small**2 * large > LARGEST_ON_HOST
    for name, operation in OPERATIONS.items():
        if not (heavy and name in ("eigh", "QR and SVD")):
            compiled = jax.jit(operation)
            found[name] = time_of(lambda compiled=compiled: compiled(a))
    found["round trip"] = time_of(lambda: jax.device_put(np.array(a), device))
    return found


def training(device: Any, name: str, steps: int) -> Record:
    """One line of the second table: a run without growth, estimates left to its end."""
    problem, key = pinn_ngd.load_problem(name), jax.random.key(0)
    with jax.default_device(device):
        result = pinn_ngd.train(
            problem.objective,
            problem.model(key),
            pinn_ngd.optimizers.get("engd-tr"),
            steps=steps,
            key=jax.random.fold_in(key, 1),
            evaluate=problem.evaluator(),
            evaluate_every=steps,
            grow=False,
        )
    ends = [line["seconds"] for line in result.history]
    a_step = 1e3 * float(np.median(np.diff(ends))) if len(ends) > 1 else float("nan")
    stride = result.steps / len(ends)
    return {
        "device": device.device_kind,
        "problem": name,
        "steps": result.steps,
        "ms a step": a_step / stride,
        "compilation": result.compile_seconds,
        "loss": result.loss,
        "error": result.measures["relative_l2"],
    }


def show(record: Record, heading: bool) -> None:
    """A line of a Markdown table, with its head where it is the first."""
    if heading:
        print("\n| " + " | ".join(record) + " |\n|" + "---|" * len(record), flush=True)
    cells = [f"{x:.3g}" if isinstance(x, float) else str(x) for x in record.values()]
    print("| " + " | ".join(cells) + " |", flush=True)


def devices() -> list[Any]:
    """The default accelerator, if any, and the CPU."""
    return list(dict.fromkeys([jax.devices()[0], jax.devices("cpu")[0]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"jax {jax.__version__}, " + ", ".join(d.device_kind for d in devices()), flush=True)
    tables: dict[str, list[Record]] = {"algebra": [], "training": []}

    def note(table: str, record: Record) -> None:
        show(record, heading=not tables[table])
        tables[table].append(record)
        if options.json is not None:
            options.json.write_text(json.dumps(tables, indent=1), encoding="utf-8")

    for size in QUICK if options.quick else SIZES:
        for device in devices():
            note("algebra", algebra(device, *size))
    for name, steps in PROBLEMS[:1] if options.quick else PROBLEMS:
        for device in devices():
            note("training", training(device, name, 5 if options.quick else steps))


if __name__ == "__main__":
    main()
