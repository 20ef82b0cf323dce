"""Natural gradients and Adam on variational Gaussian processes: regression, then two classes."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
from figures.recipes import Job, Made, recorded
from pinn_ngd import Shuffled, load_problem, models, optimizers, train
from pinn_ngd.applications import gp
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import (
    BLUE,
    GREEN,
    PURPLE,
    SKY,
    VERMILION,
    decades,
    new_figure,
)

STEPS = 2000
SEED = 123
ADAM = "Adam"
LONG, SHORT = "natural, $\\gamma = 1$", "natural, $\\gamma = 0.1$"
RAMP = "natural, $\\gamma$ to 0.1"
PLAIN = "Adam, not whitened"
PLAIN_LONG = LONG + ", not whitened"
PLAIN_RAMP = RAMP + ", not whitened"
Curve = dict[str, list[float]]


def make(job: Job) -> Made:
    """The distance of the bound from its optimum, and the bound and NLPD of a classification."""
    steps = 3 if job.quick else STEPS
    gaps = regression(job, steps)
    curves, trained = classification(job, 2 if job.quick else 1000)
    draw(job, gaps, curves)
    picture = load_problem("banana-gp").picture
    assert picture is not None
    plotting.save(picture(trained), job.folder / "gp-classification")
    facts = {"to 10 nats": {name: first_below(gap, 10.0) for name, gap in gaps.items()},
             "last gap": {name: gap["nats"][-1] for name, gap in gaps.items()},
             "classification": {name: _last(curve) for name, curve in curves.items()},
             "natural below the last bound of Adam": crossing(curves)}  # fmt: skip
    return recorded(job, [job.name, "gp-classification"], seeds=[SEED], results=facts)


def regression(job: Job, steps: int) -> dict[str, Curve]:
    """Nats from the best bound at every step: sparse regression with everything but q fixed."""
    rng = np.random.default_rng(SEED)
    x = rng.uniform(-3, 3, size=(200, 1))
    y = np.sin(4 * x[:, 0]) + np.cos(2 * x[:, 0]) + 0.3 * rng.normal(size=200)
    inducing, kernel = np.linspace(-3, 3, 20)[:, None], gp.RBF(0.5)
    objective = gp.EvidenceLowerBound(Shuffled(x, y))
    best = float(gp.SGPR(kernel, *map(jnp.asarray, (inducing, x, y)), noise=0.09).bound())
    noise = gp.GaussianNoise(models.Frozen(models.Positive(0.09)))
    start = {
        white: gp.GPModel(
            gp.SVGP(models.Frozen(kernel), inducing, whitened=white, train_inducing=False), noise
        )
        for white in (True, False)
    }
    alone = dict(other_steps=0, ramp=0)
    one, tenth = (optimizers.get("ngd-gp", gamma=g, **alone) for g in (1.0, 0.1))
    adam = optimizers.get("adam", rate=1e-2)
    methods = {LONG: (one, True, 5), PLAIN_LONG: (one, False, 5), SHORT: (tenth, True, 400),
               ADAM: (adam, True, steps), PLAIN: (adam, False, steps)}  # fmt: skip
    gaps: dict[str, Curve] = {}
    for name, (optimizer, white, count) in methods.items():
        job.tell(f"regression, {name}")
        losses = _losses(objective, start[white], optimizer, min(count, steps))
        gaps[name] = {"step": list(range(len(losses))), "nats": [v + best for v in losses]}
    return gaps


def _losses(objective: Any, model: Any, optimizer: Any, steps: int) -> list[float]:
    """The loss at the start and after every step."""
    batch = objective.batch()
    losses = [float(objective.loss(model, batch))]
    whole = eqx.filter_jit(objective.loss)
    train(
        objective, model, optimizer, steps=steps, key=SEED, stride=1,
        callbacks=lambda _, m: losses.append(float(whole(m, batch))),
    )  # fmt: skip
    return losses


def classification(job: Job, steps: int) -> tuple[dict[str, Curve], Any]:
    """Nats from the best known bound and NLPD along runs of `banana-gp`, and a trained model."""
    problems = {white: load_problem("banana-gp", whitened=white) for white in (True, False)}
    natural = optimizers.get("ngd-gp", **problems[True].optimizer_settings)
    adam = optimizers.get("adam", rate=1e-2)
    methods = {RAMP: (natural, True), PLAIN_RAMP: (natural, False), ADAM: (adam, True),
               PLAIN: (adam, False)}  # fmt: skip
    curves, trained = {}, {}
    for name, (optimizer, white) in methods.items():
        job.tell(f"banana-gp, {name}")
        problem = problems[white]
        result = train(
            problem.objective, problem.model(None), optimizer, steps=steps, key=SEED,
            evaluate=problem.scores, evaluate_every=1 if job.quick else 10,
        )  # fmt: skip
        lines = [line for line in result.history if "elbo" in line]
        names = ("step", "elbo", "test_nlpd", "test_accuracy")
        curves[name] = {key: [float(line[key]) for line in lines] for key in names}
        each = processor_seconds(problem, optimizer, 3 if job.quick else 200)
        curves[name]["seconds"] = [each * step for step in curves[name]["step"]]
        trained[name] = result.model
    best = polished(problems[True], trained[RAMP], 2 if job.quick else 400)
    for curve in curves.values():
        curve["nats"] = [best - bound for bound in curve["elbo"]]
    return curves, trained[RAMP]


def processor_seconds(problem: Any, optimizer: Any, steps: int) -> float:
    """What a step takes of one processor, the median of so many."""
    times: list[float] = []
    train(problem.objective, problem.model(None), optimizer, steps=steps, key=SEED,
          callbacks=lambda _: times.append(time.process_time()))  # fmt: skip
    return float(np.median(np.diff(times)))


def polished(problem: Any, model: Any, steps: int) -> float:
    """The bound after natural gradients of length one with all data in each step."""
    batches = problem.objective.batches
    whole = gp.EvidenceLowerBound(Shuffled(batches.inputs, batches.targets))
    optimizer = optimizers.get("ngd-gp", gamma=1.0, ramp=0, rate=1e-2)
    return -train(whole, model, optimizer, steps=steps, key=SEED).loss


def first_below(gap: Curve, nats: float) -> float | None:
    """The first step that is nearer to the optimum than so many nats."""
    return next((s for s, v in zip(gap["step"], gap["nats"], strict=True) if v < nats), None)


def crossing(curves: dict[str, Curve]) -> dict[str, float | None]:
    """The step from which on natural gradients are above the last bound of Adam, whitened."""
    last = curves[ADAM]["elbo"][-1]
    return {name: next((s for s, v in zip(curves[name]["step"], curves[name]["elbo"], strict=True)
                        if v > last), None) for name in (RAMP, PLAIN_RAMP)}  # fmt: skip


def _last(curve: Curve) -> dict[str, float]:
    return {name: values[-1] for name, values in curve.items()}


def draw(job: Job, gaps: dict[str, Curve], curves: dict[str, Curve]) -> None:
    """Regression by steps; two classes by steps and by seconds, and their NLPD."""
    strokes = {**dict.fromkeys((LONG, PLAIN_LONG), (BLUE, "-")), SHORT: (GREEN, "-"),
               RAMP: (GREEN, "--"), PLAIN_RAMP: (SKY, "--"), ADAM: (VERMILION, "-"),
               PLAIN: (PURPLE, "-")}  # fmt: skip
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 4.8)
        (gap, bound), (nlpd, seconds) = figure.subplots(2, 2)
        for name, curve in gaps.items():
            steps, nats = np.asarray(curve["step"]) + 1, np.maximum(curve["nats"], 1e-13)
            if name != PLAIN_LONG:  # it lies on the whitened one
                _line(gap, steps, nats, name, strokes)
        for name, curve in curves.items():
            _line(bound, curve["step"], curve["nats"], name, strokes)
            _line(seconds, curve["seconds"], curve["nats"], name, strokes)
            _line(nlpd, curve["step"], curve["test_nlpd"], name, strokes)
        gap.set(title="regression", xlabel="steps + 1", ylabel="nats below the best bound",
                xscale="log", yscale="log")  # fmt: skip
        bound.set(title="two classes", xlabel="steps", ylabel="nats below the best bound")
        seconds.set(xlabel="processor seconds", ylabel="nats below the best bound")
        nlpd.set(xlabel="steps", ylabel="NLPD of the test data")
        for ax in (bound, seconds, nlpd):
            ax.set_yscale("log")
            decades(ax.yaxis)
        found = {label: line for ax in (gap, bound)
                 for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}  # fmt: skip
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=3)
        plotting.save(figure, job.folder / job.name)


def _line(ax: Any, x: Any, y: Any, name: str, strokes: dict[str, tuple[str, str]]) -> None:
    color, dashes = strokes[name]
    width = 0.7 if name == PLAIN else 1.2  # Adam goes up and down
    ax.plot(x, y, linestyle=dashes, color=color, linewidth=width, label=name)
