"""Natural gradients and Adam on small data sets, with the settings of the authors of t-SVGP."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

jax.config.update("jax_enable_x64", True)
from figures.recipes import Job, Made, recorded
from figures.recipes.descents import descent
from figures.recipes.uci import CLASSES, boston, two_classes
from pinn_ngd import Shuffled, optimizers
from pinn_ngd.applications import gp
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import cycled, new_figure
from pinn_ngd.models import MultivariateNormal

# V. Adam, P. E. Chang, M. E. Khan, A. Solin, NeurIPS 2021: a round is so many natural-gradient
# steps of q, of such a length, and so many steps of Adam for the rest, at such a rate.
ROUNDS, INDUCING, FOLDS = 20, 50, 5
OF_CLASSES = {"natural_steps": 6, "gamma": 0.75, "other_steps": 14, "rate": 0.2}
OF_REGRESSION = {"natural_steps": 8, "gamma": 0.8, "other_steps": 20, "rate": 0.1}
RATES = (0.01, 0.05, 0.2)  # of Adam for everything at once
NATURAL, TURNS = "natural, then Adam", "Adam on q, then Adam"
GENTLE, GENTLE_RATE = "natural, then Adam, 0.05", 0.05  # not the authors': their rate is long
Curves = dict[str, list[list[float]]]


def make(job: Job) -> Made:
    """Bound and NLPD of four data sets, against rounds and against processor seconds."""
    found, rows = {}, []
    for name in ("boston",) if job.quick else (*CLASSES, "boston"):
        found[name] = on_data(job, name)
        rows += lines_of(name, found[name])
    head = "| data | optimizer | ELBO | NLPD | ms a round |\n|---|---|---:|---:|---:|\n"
    (job.folder / f"{job.name}.md").write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    draw(job, found)
    return recorded(job, [job.name], seeds=[0], results=found)


def on_data(job: Job, name: str) -> dict[str, Curves]:
    """By optimizer, for every fold: bound and NLPD after every round, and seconds a round."""
    inputs, targets = standardized(*(boston() if name == "boston" else two_classes(name)), name)
    settings = OF_REGRESSION if name == "boston" else OF_CLASSES
    likelihood = gp.GaussianNoise(1.0) if name == "boston" else gp.Bernoulli("probit")
    start = gp.GPModel(gp.SVGP(kernel_of(inputs), inputs[:INDUCING]), likelihood)
    found: dict[str, Curves] = {}
    for label, (optimizer, steps) in methods(settings, start, job.quick).items():
        job.tell(f"{name}, {label}")
        found[label] = {"elbo": [], "nlpd": [], "seconds": []}
        for train, test in folds(len(inputs))[: 1 if job.quick else FOLDS]:
            objective = gp.EvidenceLowerBound(Shuffled(inputs[train], targets[train]))
            arguments = (
                optimizer, objective, start, jnp.asarray(inputs[test]), jnp.asarray(targets[test]),
                2 if job.quick else ROUNDS, steps,
            )  # fmt: skip
            curve = np.asarray(path(*arguments))
            found[label]["elbo"].append(curve[:, 0].tolist())
            found[label]["nlpd"].append(curve[:, 1].tolist())
        found[label]["seconds"] = [[seconds_of_a_round(arguments)]]
    return found


def kernel_of(inputs: np.ndarray) -> gp.Matern52:
    """Matern 5/2 with a length of one for each coordinate."""
    return gp.Matern52(np.ones(inputs.shape[1]))


def standardized(inputs: np.ndarray, targets: np.ndarray, name: str) -> Any:
    """Columns of mean 0 and deviation 1, shuffled with the authors' seed; targets too if real."""
    order = np.random.RandomState(0).permutation(len(inputs))
    inputs, targets = inputs[order], targets[order]
    spread = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if name == "boston":
        targets = (targets - targets.mean()) / targets.std()
    return inputs, targets


def folds(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test parts of five folds, those that scikit-learn draws with the seed 0."""
    order = np.arange(count)
    np.random.RandomState(0).shuffle(order)
    parts = np.array_split(order, FOLDS)
    return [(np.setdiff1d(order, part), np.sort(part)) for part in parts]


def methods(settings: dict[str, Any], start: Any, quick: bool) -> dict[str, tuple[Any, int]]:
    """By name an optimizer, and how many of its steps are a round."""
    each = settings["natural_steps"] + settings["other_steps"]
    natural = optimizers.get("ngd-gp", ramp=0, **settings)
    turns = optimizers.OptaxOptimizer(
        in_turns(start, settings["natural_steps"], settings["gamma"],
                 settings["other_steps"], settings["rate"])
    )  # fmt: skip
    gentle = optimizers.get("ngd-gp", ramp=0, **{**settings, "rate": GENTLE_RATE})
    known = {NATURAL: (natural, 1), GENTLE: (gentle, 1), TURNS: (turns, each)}
    for rate in RATES[:1] if quick else RATES:
        known[f"Adam on all, {rate:g}"] = optimizers.get("adam", rate=rate), each
    return known


def in_turns(
    model: PyTree, first: int, first_rate: float, second: int, second_rate: float
) -> optax.GradientTransformation:
    """`first` steps of Adam for the distributions q of a model, `second` for its other parameters,
    and so on: what the authors hold natural gradients against. Who waits keeps its moments."""
    of_q, of_rest = optax.adam(first_rate), optax.adam(second_rate)
    belongs = whether_in_q(model)

    def init(params: PyTree) -> tuple[Array, PyTree, PyTree]:
        return jnp.zeros((), jnp.int32), of_q.init(params), of_rest.init(params)

    def update(updates: PyTree, state: Any, params: PyTree = None) -> Any:
        del params
        number, *before = state
        now = number % (first + second) < first
        (moves, *after), (others, *later) = (
            one.update(updates, own) for one, own in zip((of_q, of_rest), before, strict=True)
        )
        treedef = jax.tree.structure(updates)
        pairs = zip(belongs, jax.tree.leaves(moves), jax.tree.leaves(others), strict=True)
        chosen = [
            jnp.where(now, a, jnp.zeros_like(a)) if q else jnp.where(now, jnp.zeros_like(b), b)
            for q, a, b in pairs
        ]
        kept = kept_where(now, after[0], before[0]), kept_where(~now, later[0], before[1])
        return jax.tree.unflatten(treedef, chosen), (number + 1, *kept)

    return optax.GradientTransformation(init, update)


def whether_in_q(model: PyTree) -> list[bool]:
    """For every parameter of a model whether it belongs to a normal distribution."""

    def is_q(node: Any) -> bool:
        return isinstance(node, MultivariateNormal)

    nodes = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array), is_leaf=is_q)
    return [is_q(node) for node in nodes for _ in jax.tree.leaves(node)]


def kept_where(now: Array, new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda x, y: jnp.where(now, x, y), new, old)


def seconds_of_a_round(arguments: tuple) -> float:
    """Processor seconds of a round, in a run that is compiled already."""
    begun = time.process_time()
    jax.block_until_ready(path(*arguments))
    return (time.process_time() - begun) / arguments[-2]


@eqx.filter_jit
def path(
    optimizer: Any, objective: Any, start: Any, x: Array, y: Array, rounds: int, steps: int
) -> Array:
    """Bound and NLPD of the data (x, y) at the start and after every round of so many steps."""
    batch = objective.batch()

    def scores(model: Any) -> Array:
        bound = -objective.loss(model, batch)
        return jnp.stack([bound, -jnp.mean(model.log_predictive(x, y))])

    return descent(
        optimizer, objective, start, lambda _key, _number: batch, scores,
        key=jax.random.key(0), points=rounds, between=steps,
    )  # fmt: skip


def best_adam(found: dict[str, Curves]) -> str:
    """The rate of Adam for everything at once whose last bound, in the mean of folds, is best."""
    last = {name: np.mean([fold[-1] for fold in curves["elbo"]])
            for name, curves in found.items() if name not in (NATURAL, GENTLE, TURNS)}  # fmt: skip
    return max(last, key=lambda name: np.nan_to_num(last[name], nan=-np.inf))


def lines_of(name: str, found: dict[str, Curves]) -> list[str]:
    """Rows of the table: means and deviations of the folds after the last round."""
    rows = []
    for label, curves in found.items():
        elbo, nlpd = (np.asarray(curves[key])[:, -1] for key in ("elbo", "nlpd"))
        each = 1e3 * float(np.median(curves["seconds"]))
        rows.append(
            f"| {name} | {label} | {elbo.mean():.1f} ± {elbo.std():.1f} | "
            f"{nlpd.mean():.3f} ± {nlpd.std():.3f} | {each:.0f} |"
        )
    return rows


def draw(job: Job, found: dict[str, dict[str, Curves]]) -> None:
    """A column a data set: the bound by rounds and by seconds, and the NLPD by rounds."""
    strokes = cycled((NATURAL, TURNS, "Adam on all, best rate", GENTLE))
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 5.6)
        axes = figure.subplots(3, len(found), squeeze=False)
        for column, (name, curves) in zip(axes.T, found.items(), strict=True):
            chosen = [NATURAL, TURNS, best_adam(curves), GENTLE]
            for label, stroke in zip(chosen, strokes.items(), strict=True):
                shown(column, curves[label], stroke[0], stroke[1])
            bounds = np.concatenate([np.mean(curves[label]["elbo"], axis=0) for label in chosen])
            highest, early = np.nanmax(bounds), np.mean(curves[NATURAL]["elbo"], axis=0)[1]
            for ax in column[:2]:
                ax.set_ylim(early - 0.6 * (highest - early), highest + 0.05 * (highest - early))
            column[0].set(title=name, xlabel="rounds")
            column[1].set(xlabel="processor seconds")
            column[2].set(xlabel="rounds")
        axes[0, 0].set(ylabel="ELBO")
        axes[1, 0].set(ylabel="ELBO")
        axes[2, 0].set(ylabel="NLPD of the test data")
        handles = axes[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=4)
        plotting.save(figure, job.folder / job.name)


def shown(column: Any, curves: Curves, label: str, stroke: Any) -> None:
    """The mean of the folds."""
    elbo, nlpd = (np.mean(curves[key], axis=0) for key in ("elbo", "nlpd"))
    rounds = np.arange(len(elbo))
    seconds = rounds * float(np.median(curves["seconds"]))
    column[0].plot(rounds, elbo, label=label, **stroke._asdict())
    column[1].plot(seconds, elbo, **stroke._asdict())
    column[2].plot(rounds, nlpd, **stroke._asdict())
