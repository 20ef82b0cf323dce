"""How much damping a device of few bits or mismatched arrays needs, and what it then is worth."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from figures.recipes import Job, Made, recorded
from pinn_ngd import optimizers
from pinn_ngd.experiments.plotting import Curves, plot_curves, save
from pinn_ngd.experiments.problem import Problem
from pinn_ngd.optimizers.forms import gradient_of
from pinn_ngd.spu import quantize
from pinn_ngd.training import train

Matrix = Float[np.ndarray, "m n"]
Vector = Float[np.ndarray, " n"]
Blocks = Float[np.ndarray, "k o o"]
Worths = dict[str, list[float]]
DESCENT = "gradient descent"
APART_ROUNDED = "$J$, $H$ and $J^T$ rounded"
APART_ERRING = "$J$, $H$ and $J^T$ mismatched"
WHOLE_ROUNDED = "$S^TJ$ and its transpose rounded"
WHOLE_ERRING = "$S^TJ$ and its transpose mismatched"
PANELS = (APART_ROUNDED, APART_ERRING, WHOLE_ROUNDED, WHOLE_ERRING)


def make(job: Job) -> Made:
    """What the direction of a coarse or mismatched device is worth by its damping."""
    dampings = np.geomspace(1e-5, 10.0, 4 if job.quick else 25).tolist()
    problem, steps = job.problem("classify-digits"), 2 if job.quick else 50
    found, facts = worth_by_damping(problem, dampings, (3, 4, 6, 8), (0.03, 0.1, 0.3), steps=steps)
    panels = []
    for title, curves in found.items():
        lines = {label: (dampings, values) for label, values in curves.items()}
        panels.append(Curves(lines, "damping", "worth", title, yscale="linear"))
    save(plot_curves(panels, marker="", rows=2), job.folder / job.name)
    return recorded(job, [job.name], seeds=[0], results=found, system=facts)


class Batch(NamedTuple):
    """A^T A = J^T H J of one minibatch, and the gradient."""

    rows: Matrix
    jacobian: Matrix
    curvature: Blocks
    gradient: Vector


def worth_by_damping(
    problem: Problem,
    dampings: Sequence[float],
    bits: Sequence[int],
    mismatches: Sequence[float],
    *,
    steps: int,
    seed: int = 0,
) -> tuple[dict[str, Worths], dict[str, float]]:
    """Worth of the settled direction against damping, for four imperfect devices.

    Arrays J, H and J^T, or S^T J and its transpose, rounded to `bits` or with relative errors of a
    size from `mismatches`. The system is that of one minibatch after some steps of training. The
    device has waited for its slowest mode, so that only its arrays err; `worth` says how good that
    is, and what plain gradient descent is worth stands beside it. Not a number where the voltages
    grow without bound. Second come the largest eigenvalue of A^T A, the shares of the entries of J
    and of A that are not rounded to zero, and the lowest eigenvalue of the rounded J^T H J.
    """
    batch = _batch(problem, steps, seed)
    perfect = {DESCENT: [_worth(batch, damping, batch.gradient) for damping in dampings]}
    rows, jacobian, curvature = batch.rows, batch.jacobian, batch.curvature
    found: dict[str, dict[str, list[float]]] = {title: {} for title in PANELS}
    facts = {"largest eigenvalue": float(np.linalg.eigvalsh(rows @ rows.T)[-1])}
    for count in bits:
        label = f"{count} bits"
        j, h, a = (rounded(x, count) for x in (jacobian, curvature, rows))
        found[APART_ROUNDED][label] = _curve(batch, dampings, weighed(h, j), j)
        found[WHOLE_ROUNDED][label] = _curve(batch, dampings, a, a)
        facts[f"nonzero share of J at {label}"] = float(np.mean(j != 0))
        facts[f"nonzero share of A at {label}"] = float(np.mean(a != 0))
        facts[f"lowest eigenvalue at {label}"] = _slowest(weighed(h, j), j)
    for size in mismatches:
        label, random = f"mismatch {size:g}", np.random.default_rng(seed)
        arrays = (jacobian, jacobian, curvature, rows, rows)
        forth, back, h, *two = (x * (1 + size * random.standard_normal(x.shape)) for x in arrays)
        found[APART_ERRING][label] = _curve(batch, dampings, weighed(h, forth), back)
        found[WHOLE_ERRING][label] = _curve(batch, dampings, *two)
    return {title: {**curves, **perfect} for title, curves in found.items()}, facts


def worth(rows: Matrix, gradient: Vector, damping: float, direction: Vector) -> float:
    """Share of the quadratic model's reduction that the best step along a direction gets.

    With B = A^T A + damping: (g.x)^2 / (x.B x) over g.B^-1 g; one for x = B^-1 g, zero where x
    does not descend.
    """
    along, image = float(gradient @ direction), rows @ direction
    if not along > 0:
        return 0.0
    curvature = float(image @ image + damping * direction @ direction)
    best = float(gradient @ settled(rows, rows, gradient, damping))
    return along**2 / curvature / best


def settled(forth: Matrix, back: Matrix, gradient: Vector, damping: float) -> Vector:
    """x with (back^T forth + damping) x = gradient, by Woodbury's identity on rows x rows."""
    small = forth @ back.T + damping * np.eye(len(forth))
    return (gradient - back.T @ np.linalg.solve(small, forth @ gradient)) / damping


def rounded(array: np.ndarray, bits: int) -> np.ndarray:
    """The array as a device of so many bits holds it."""
    return np.asarray(quantize(jnp.asarray(array), bits))


def weighed(curvature: Blocks, rows: Matrix) -> Matrix:
    """H J."""
    k, o, _ = curvature.shape
    return np.matmul(curvature, rows.reshape(k, o, -1)).reshape(rows.shape)


def _worth(batch: Batch, damping: float, direction: Vector) -> float:
    return worth(batch.rows, batch.gradient, damping, direction)


def _curve(batch: Batch, dampings: Sequence[float], forth: Matrix, back: Matrix) -> list[float]:
    """The worth of what a device of the drift back^T forth + damping settles to."""
    slowest = 0.0 if forth is back else _slowest(forth, back)
    values = []
    for damping in dampings:
        x = settled(forth, back, batch.gradient, damping)
        values.append(_worth(batch, damping, x) if slowest + damping > 0 else float("nan"))
    return values


def _slowest(forth: Matrix, back: Matrix) -> float:
    return float(np.linalg.eigvals(forth @ back.T).real.min())


def _batch(problem: Problem, steps: int, seed: int) -> Batch:
    """A minibatch after some steps of training, in double precision."""
    key = jax.random.key(seed)
    model: Any = train(
        problem.objective,
        problem.model(key),
        optimizers.get("ngd-woodbury"),
        steps=steps,
        key=jax.random.fold_in(key, 1),
    ).model
    system = problem.objective.system(model, problem.objective.batch(jax.random.fold_in(key, 2)))
    operator: Any = system.operator
    leaves: list[Array] = jax.tree.leaves(gradient_of(system))
    gradient = np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])
    parts = operator.as_matrix(), operator.operator.as_matrix(), operator.curvature()
    rows, jacobian, curvature = (np.asarray(part, np.float64) for part in parts)
    return Batch(rows, jacobian, curvature, gradient)
