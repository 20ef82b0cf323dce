"""How much damping a device of few bits or mismatched arrays needs, and what it then is worth."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import optimizers
from ..linalg.spu import quantize
from ..optimizers.forms import gradient_of
from ..problem import Problem
from ..training import train

Matrix = Float[np.ndarray, "m n"]
Vector = Float[np.ndarray, " n"]
DESCENT = "gradient descent"


def worth_by_damping(
    problem: Problem,
    dampings: Sequence[float],
    bits: Sequence[int],
    mismatches: Sequence[float],
    *,
    steps: int,
    seed: int = 0,
) -> tuple[dict[str, list[float]], dict[str, list[float]], dict[str, float]]:
    """Worth of the settled direction against damping, by bits and by mismatch of the arrays.

    The system is that of one minibatch after some steps of training. The device has waited for its
    slowest mode, so that only its arrays err; `worth` says how good that is, and what plain
    gradient descent is worth stands beside it. Not a number where the voltages of a mismatched
    device grow without bound. Third come the largest eigenvalue of A^T A and the share of the
    entries of A that is not rounded to zero.
    """
    rows, gradient = _system(problem, steps, seed)
    perfect = [worth(rows, gradient, damping, gradient) for damping in dampings]
    by_bits, by_mismatch = {}, {}
    facts = {"largest eigenvalue": float(np.linalg.eigvalsh(rows @ rows.T)[-1])}
    for count in bits:
        array = np.asarray(quantize(jnp.asarray(rows), count))
        by_bits[f"{count} bits"] = _curve(rows, gradient, dampings, array, array)
        facts[f"nonzero share at {count} bits"] = float(np.mean(array != 0))
    for size in mismatches:
        errors = np.random.default_rng(seed).standard_normal((2, *rows.shape))
        forth, back = rows * (1 + size * errors)
        by_mismatch[f"mismatch {size:g}"] = _curve(rows, gradient, dampings, forth, back)
    return {**by_bits, DESCENT: perfect}, {**by_mismatch, DESCENT: perfect}, facts


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


def _curve(
    rows: Matrix, gradient: Vector, dampings: Sequence[float], forth: Matrix, back: Matrix
) -> list[float]:
    slowest = float(np.linalg.eigvals(forth @ back.T).real.min())
    values = []
    for damping in dampings:
        stable = forth is back or slowest + damping > 0
        x = settled(forth, back, gradient, damping)
        values.append(worth(rows, gradient, damping, x) if stable else float("nan"))
    return values


def _system(problem: Problem, steps: int, seed: int) -> tuple[Matrix, Vector]:
    """Rows A and gradient g of a minibatch, in double precision."""
    key = jax.random.key(seed)
    optimizer = optimizers.get("ngd-woodbury")
    model: Any = train(
        problem.objective,
        problem.model(key),
        optimizer,
        steps=steps,
        key=jax.random.fold_in(key, 1),
    ).model
    system = problem.objective.system(model, problem.objective.batch(jax.random.fold_in(key, 2)))
    leaves: list[Array] = jax.tree.leaves(gradient_of(system))
    gradient = np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])
    return np.asarray(system.operator.as_matrix(), np.float64), gradient
