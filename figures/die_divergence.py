"""A die of 200 faces: divergence in one pass over 5,000 throws, by where the metric is measured."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from figures.recipes import Job, Made, recorded
from figures.recipes.descents import descent
from pinn_ngd.experiments.plotting import Curves, plot_curves, save
from pinn_ngd.families import Categorical, Distribution
from pinn_ngd.linalg import InverseJacobian
from pinn_ngd.metrics import DuallyFlat
from pinn_ngd.objectives import LikelihoodObjective
from pinn_ngd.objectives.batches import Batch
from pinn_ngd.optimizers import Exact, MinibatchNaturalGradient, Undamped
from pinn_ngd.optimizers.adapters import OptaxOptimizer
from pinn_ngd.optimizers.minibatch import AuxiliaryDescent, Iterate, Renewed

FACES, THROWS, POINTS = 200, 5000, 50
ENTROPIES = {"high": 1.0, "medium": 2.0, "low": 3.0}
BASES = {
    "SNGD": Iterate(),
    "MOD(1000)": Renewed(1000),
    "MEGD": Renewed(),
    "CSNGD": AuxiliaryDescent(),
}
METHODS = ("SGD", *BASES)
SAME = "SNGD, rates of CSNGD"
# First rates a / b and horizons b of a / (b + k), among those of the authors.
PAIRS = np.asarray([(r * b, b) for r in 10.0 ** np.arange(-5, 2) for b in 10.0 ** np.arange(1, 6)])


def make(job: Job) -> Made:
    """Median and quartiles of the divergence over the repeats, rates tuned in every run."""
    throws = 2 * POINTS if job.quick else THROWS
    seeds = jnp.asarray(list(job.seeds(20)))
    panels, results = [], {}
    for entropy, sigma in ENTROPIES.items():
        job.tell(f"{entropy} entropy")
        found, told, every = {}, {}, {}
        for method in METHODS:
            every[method] = np.asarray(
                divergences(method, sigma, throws, seeds, jnp.asarray(PAIRS))
            )
            best, told[method] = tuned(every[method])
            found[method] = every[method][np.arange(len(best)), best]
        found[SAME] = every["SNGD"][np.arange(len(best)), best]  # CSNGD is the last method
        found["counts"] = np.asarray(jax.vmap(by_counts, (0, None, None))(seeds, sigma, throws))
        places = np.linspace(0, throws, POINTS + 1)[1:]
        curves = {
            name: (places, *np.quantile(values[:, 1:], [0.5, 0.25, 0.75], axis=0))
            for name, values in found.items()
            if name != SAME  # it would hide the others: the results say how it ends
        }
        panels.append(Curves(curves, "throws", "divergence, nats", f"{entropy} entropy"))
        ends = found[SAME][:, -1], found["CSNGD"][:, -1], found["CSNGD"][:, 0]
        results[entropy] = {
            "repeats that end worse than they began, with the rates of CSNGD": {
                "SNGD": int((ends[0] > ends[2]).sum()),
                "CSNGD": int((ends[1] > ends[2]).sum()),
            },
            "final": {
                name: np.quantile(v[:, -1], [0.25, 0.5, 0.75]).tolist() for name, v in found.items()
            },
            "tuning": told,
        }
    save(plot_curves(panels, marker=""), job.folder / job.name)
    return recorded(job, [job.name], seeds=seeds.tolist(), results=results)


def tuned(every: Float[Array, "r k n"]) -> tuple[np.ndarray, dict[str, Any]]:
    """The best pair of every repeat, and the share of all pairs that end worse than they began.

    The best pair has the least mean divergence at the last ten places, which needs the truth: the
    authors tune in the same way.
    """
    last = np.nan_to_num(every[:, :, -10:], nan=np.inf, posinf=np.inf).mean(axis=2)
    best, worse = np.argmin(last, axis=1), ~(last < every[:, :, 0])
    pairs = [PAIRS[place].tolist() for place in best]
    return best, {"(a, b)": pairs, "share of pairs that diverge": float(worse.mean())}


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def divergences(
    method: str, sigma: float, throws: int, seeds: Array, pairs: Array
) -> Float[Array, "r k n"]:
    """KL(truth | model) on the way, of every repeat and pair of rates."""
    return jax.lax.map(
        lambda seed: jax.vmap(lambda pair: one_run(method, sigma, throws, seed, pair))(pairs), seeds
    )


def one_run(method: str, sigma: float, throws: int, seed: Array, pair: Array) -> Float[Array, " n"]:
    """One throw a step, rates a / (b + k)."""
    family = Categorical(FACES)
    truth, data = die(seed, sigma, throws)

    def draw(key: Any, number: Array) -> Batch:
        return Batch(data[number][None], jnp.zeros(1, jnp.int32), key)

    a, b = pair

    def rate(count: Any) -> Any:
        return a / (b + count)

    descending = optax.sgd(rate)
    optimizer: Any = OptaxOptimizer(descending)
    if method in BASES:
        optimizer = MinibatchNaturalGradient(
            Exact(InverseJacobian()), descending, Undamped(), DuallyFlat(), BASES[method]
        )
    return descent(
        optimizer,
        LikelihoodObjective(np.arange(FACES), 1),  # its batches are those of `draw`
        Distribution.standard(family),
        draw,
        lambda model: family.divergence(truth, model.natural),
        key=jax.random.key(0),
        points=POINTS,
        between=throws // POINTS,
    )


def die(seed: Array, sigma: float, throws: int) -> tuple[Array, Array]:
    """True coordinates N(0, sigma^2) and throws."""
    first, second = jax.random.split(jax.random.key(seed))
    truth = sigma * jax.random.normal(first, (FACES - 1,))
    return truth, Categorical(FACES).sample(truth, second, throws)


def by_counts(seed: Array, sigma: float, throws: int) -> Float[Array, " n"]:
    """The divergence of relative frequencies, every face counted once before the first throw."""
    family = Categorical(FACES)
    truth, data = die(seed, sigma, throws)
    seen = jnp.cumsum(jax.vmap(family.statistics)(data), axis=0)
    places = jnp.arange(0, throws + 1, throws // POINTS)
    counts = jnp.where(places[:, None] > 0, seen[places - 1], 0)
    means = (1 + counts) / (FACES + places[:, None])
    return jax.vmap(lambda eta: family.divergence(truth, family.to_natural(eta)))(means)
