"""Logistic regression of known truth: divergence against examples, for two families of models."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from figures.recipes import Job, Made, recorded
from figures.recipes.descents import descent
from pinn_ngd import ClassificationObjective
from pinn_ngd.experiments.plotting import Curves, plot_curves, save
from pinn_ngd.families import Categorical, GenerativeClassifier, JointCoordinates, NaiveBayes
from pinn_ngd.linalg import InverseJacobian
from pinn_ngd.metrics import DuallyFlat
from pinn_ngd.objectives import Generated
from pinn_ngd.objectives.batches import Batch
from pinn_ngd.optimizers import Exact, MinibatchNaturalGradient, Undamped
from pinn_ngd.optimizers.adapters import OptaxOptimizer
from pinn_ngd.optimizers.minibatch import Iterate, RunningStatistics

BATCH, POINTS, GRID = 250, 50, 10.0 ** np.arange(-4, 2)
TUNING = 500  # batches
ENTROPIES = {"high": 0.1, "medium": 0.7, "low": 1.0}
MANIFOLDS = {1: (10, (10, 5)), 2: (20, (10, 5, 10, 5))}
METHODS = {1: ("SGD", "AdaGrad", "SNGD", "DSNGD"), 2: ("SGD", "AdaGrad", "DSNGD")}
EXPERIMENTS = {1: 3, 2: 2}


def make(job: Job) -> Made:
    """Both rows of the authors' figure, from their settings, and the ratios to efficiency."""
    batches = 2 * POINTS if job.quick else 40_000
    panels, results = [], {}
    for manifold, (classes, outcomes) in MANIFOLDS.items():
        constant = (classes - 1) * (1 + sum(m - 1 for m in outcomes)) / 2
        for entropy, sigma in ENTROPIES.items():
            found, pairs = {}, {}
            for method in METHODS[manifold]:
                job.tell(f"manifold {manifold}, {entropy} entropy, {method}")
                runs = [
                    tuned(method, manifold, sigma, seed, batches, quick=job.quick)
                    for seed in job.seeds(EXPERIMENTS[manifold])
                ]
                found[method] = np.asarray([run for run, _ in runs])
                pairs[method] = [pair for _, pair in runs]
            examples = BATCH * np.linspace(0, batches, POINTS + 1)[1:]
            curves = {
                method: (examples, *np.quantile(values[:, 1:], [0.5, 0.25, 0.75], axis=0))
                for method, values in found.items()
            }
            curves["efficient"] = (examples, constant / examples)
            title = f"{classes} classes, {entropy} entropy"
            panels.append(Curves(curves, "examples", "divergence, nats", title))
            final = {m: float(np.median(v[:, -1])) for m, v in found.items()}
            results[title] = {
                "final": final,
                "ratios to the efficient": {
                    m: v * examples[-1] / constant for m, v in final.items()
                },
                "quartiles": {
                    m: np.quantile(v[:, -1], [0.25, 0.75]).tolist() for m, v in found.items()
                },
                "(a, b) of every experiment": pairs,
            }
    save(plot_curves(panels, marker="", rows=2), job.folder / job.name)
    seeds = {m: list(job.seeds(count)) for m, count in EXPERIMENTS.items()}
    return recorded(job, [job.name], seeds=seeds, results=results)


def tuned(
    method: str, manifold: int, sigma: float, seed: int, batches: int, *, quick: bool = False
) -> tuple[Float[Array, " n"], tuple[float, float]]:
    """The divergences with the pair (a, b) that was best on 125,000 other examples, and the pair.

    The best one has the least sum of its last five of 25 divergences.
    """
    grid = GRID[2:4] if quick else GRID
    seconds = grid[:1] if method == "AdaGrad" else grid  # AdaGrad has no b
    pairs = jnp.asarray([(a, b) for a in grid for b in seconds])
    table = tables(manifold, sigma, seed)
    tuning = 50 if quick else TUNING
    found = _tuning(method, manifold, table, pairs, jax.random.key(1000 + seed), tuning)
    total = jnp.sum(jnp.nan_to_num(found[:, -5:], nan=jnp.inf), axis=1)
    pair = pairs[jnp.argmin(total)]
    values = _run(method, manifold, table, pair, jax.random.key(seed), batches)
    return values, (float(pair[0]), float(pair[1]))


def tables(manifold: int, sigma: float, seed: int) -> JointCoordinates:
    """Natural coordinates N(0, sigma^2) of a joint distribution."""
    classes, outcomes = MANIFOLDS[manifold]
    rng = np.random.default_rng(seed)
    drawn = tuple(jnp.asarray(rng.normal(0, sigma, (classes, m - 1))) for m in outcomes)
    return JointCoordinates(jnp.asarray(rng.normal(0, sigma, classes - 1)), drawn)


@functools.partial(jax.jit, static_argnums=(0, 1, 5))
def _run(
    method: str, manifold: int, table: Any, pair: Array, key: Any, batches: int
) -> Float[Array, " n"]:
    return divergences(method, manifold, table, pair, key, POINTS, batches // POINTS)


@functools.partial(jax.jit, static_argnums=(0, 1, 5))
def _tuning(
    method: str, manifold: int, table: Any, pairs: Array, key: Any, batches: int
) -> Float[Array, "k n"]:
    return jax.vmap(
        lambda pair: divergences(method, manifold, table, pair, key, 25, batches // 25)
    )(pairs)


def divergences(
    method: str, manifold: int, table: JointCoordinates, pair: Array, key: Any, points: int,
    between: int,
) -> Float[Array, " n"]:  # fmt: skip
    """sum_x p(x) KL(p(y|x) | model) at the start and after every `between` batches."""
    classes, outcomes = MANIFOLDS[manifold]
    family = NaiveBayes(classes, tuple(map(Categorical, outcomes)))
    exact = GenerativeClassifier(family, table)
    grids = np.meshgrid(*map(np.arange, outcomes), indexing="ij")
    x = tuple(jnp.asarray(grid.ravel()) for grid in grids)
    weights = jnp.exp(jax.vmap(exact.log_evidence)(x))
    cells = weights[:, None] * jax.nn.softmax(jax.vmap(exact)(x))
    steps = jnp.cumsum(cells.ravel())

    def draw(key: Any, number: Array) -> Any:
        del number
        places = jnp.searchsorted(steps, steps[-1] * jax.random.uniform(key, (BATCH,)))
        row, label = jnp.divmod(jnp.minimum(places, steps.size - 1), classes)
        return Batch(tuple(values[row] for values in x), label.astype(jnp.int32))

    return descent(
        optimizer_of(method, pair),
        ClassificationObjective(Generated(lambda key: draw(key, jnp.int32(0)))),
        GenerativeClassifier.standard(family),
        draw,
        lambda model: exact.divergence(model, x, weights),
        key=key,
        points=points,
        between=between,
    )


def optimizer_of(method: str, pair: Array) -> Any:
    """The authors' rates a / (1 + b k) are of sums over a batch, those of the package of means."""
    a, b = pair

    def rate(count: Any) -> Any:
        return BATCH * a / (1 + b * count)

    if method == "SGD":
        return OptaxOptimizer(optax.sgd(rate))
    if method == "AdaGrad":
        adagrad = optax.adagrad(a, initial_accumulator_value=0.0, eps=1e-8)
        return OptaxOptimizer(optax.chain(optax.scale(BATCH), adagrad))
    base = RunningStatistics() if method == "DSNGD" else Iterate()
    return MinibatchNaturalGradient(
        Exact(InverseJacobian()), optax.sgd(rate), Undamped(), DuallyFlat(), base
    )
