"""Linear algebra on a noisy analog device: error against the time that the device runs."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import lineax as lx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from figures.recipes import Job, Made, recorded
from pinn_ngd import spu
from pinn_ngd.experiments.plotting import Curves, plot_curves, save
from pinn_ngd.spu import SPU, TimeAverage

Curve = tuple[list[float], list[float], list[float], list[float]]
Task = tuple[Callable[[int, PRNGKeyArray], Array], Array, float, float]

LABELS = ("solution", "inverse", "Lyapunov", "log determinant", "exponential")
TEMPERATURE = 0.01
BURN_IN = 5.0  # relaxation times
NODES = 12  # devices of the log determinant


def make(job: Job) -> Made:
    """Error against time of what can be read off the noise of a device."""
    samples = (20,) if job.quick else (20, 80, 320, 1280, 5120)
    seeds = len(job.seeds(5))
    curves = algebra_errors(samples, seeds, job.tell)
    panel = Curves(curves, "time in relaxation times", "relative error")
    save(plot_curves([panel]), job.folder / job.name)
    return recorded(job, [job.name], seeds=list(range(seeds)), results=curves)


def algebra_errors(
    samples: Sequence[int],
    seeds: int,
    tell: Callable[[str], None],
    *,
    size: int = 30,
    condition: float = 20.0,
    labels: Sequence[str] = LABELS,
) -> dict[str, Curve]:
    """Median, least and largest relative error over seeds, against time in units of 1 / lambda_min.

    Read-outs are one relaxation time 1 / lambda_min apart, after a burn-in of five; those of
    exp(-A) take one RC time each. The devices of the log determinant and the columns of
    exp(-A) run side by side: the time is that of one of them. A has eigenvalues from 1 / condition
    to 1 and random eigenvectors; errors are in the Frobenius norm, that of the log determinant is
    absolute. The solution is read with temperature 0.01 for a right-hand side of unit length,
    exp(-A) with the same; inverse, Lyapunov equation and log determinant are moments of the noise
    itself, whose temperature cancels.
    """
    found: dict[str, Curve] = {}
    tasks = _tasks(_matrix(size, condition), 1 / condition)
    for label in labels:
        read, exact, start, each = tasks[label]
        times, errors = [], []
        for count in samples:
            keys = jax.random.split(jax.random.key(count), seeds)
            answers = jax.lax.map(lambda key, n=count, f=read: f(n, key), keys)
            errors.append(_relative(answers, exact))
            times.append(start + each * count)
        median, low, high = ([float(f(e)) for e in errors] for f in (np.median, np.min, np.max))
        found[label] = times, median, low, high
        tell(f"  {label}: {median[0]:.1e} to {median[-1]:.1e}")
    return found


def _matrix(size: int, condition: float) -> Float[Array, "n n"]:
    vectors, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (size, size)))
    matrix = (vectors * jnp.geomspace(1 / condition, 1.0, size)) @ vectors.T
    return (matrix + matrix.T) / 2


def _tasks(matrix: Float[Array, "n n"], slowest: float) -> dict[str, Task]:
    """By label: what is read with a number of samples, the exact value, burn-in, time of a sample.

    Times are in relaxation times.
    """
    operator = lx.MatrixLinearOperator(matrix, lx.positive_semidefinite_tag)
    unit = 1 / slowest
    b = jnp.ones(len(matrix)) / len(matrix) ** 0.5
    noise = jnp.diag(jnp.linspace(1.0, 2.0, len(matrix)))
    common = {"spacing": unit, "burn_in": BURN_IN * unit}

    def average(samples: int, key: PRNGKeyArray) -> Array:
        time, read_out = (BURN_IN + samples) * unit, TimeAverage(BURN_IN * unit)
        solver = SPU(time, TEMPERATURE, read_out=read_out)
        return solver.compute(solver.init(operator, {}), b, {"key": key})[0]

    def estimate(function: Callable, *arguments: Array, **keywords: Any) -> Callable:
        return lambda n, key: function(operator, *arguments, key, samples=n, **keywords).value

    def exponential(samples: int, key: PRNGKeyArray) -> Array:
        keywords = {"samples": samples, "temperature": TEMPERATURE}
        return spu.matrix_exponential(operator, 1.0, key, **keywords).value

    return {
        "solution": (average, jnp.linalg.solve(matrix, b), BURN_IN, 1.0),
        "inverse": (estimate(spu.inverse, **common), jnp.linalg.inv(matrix), BURN_IN, 1.0),
        "Lyapunov": (
            estimate(spu.lyapunov, noise, **common),
            jsl.solve_sylvester(matrix, matrix, noise),
            BURN_IN,
            1.0,
        ),
        "log determinant": (
            estimate(spu.log_determinant, **common, nodes=NODES),
            jnp.linalg.slogdet(matrix)[1],
            BURN_IN,
            1.0,
        ),
        "exponential": (exponential, jsl.expm(-matrix), 0.0, slowest),
    }


def _relative(answers: Array, exact: Array) -> np.ndarray:
    axes = tuple(range(1, answers.ndim))
    scale = jnp.linalg.norm(exact) if exact.ndim else 1.0
    return np.asarray(jnp.sqrt(jnp.sum((answers - exact) ** 2, axis=axes)) / scale)
