"""Error of SP-NGD on digits against the share of its statistics that are measured and sent."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from figures.recipes import Job, Made, recorded
from pinn_ngd import load_problem, optimizers
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import cycled, new_figure
from pinn_ngd.linalg import work

ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.5, 1.0)
INTERVALS = (5, 20, 80)
BATCH, STEPS, SEEDS = 200, 210, 3
FRESH, RULE, FIXED = "in every step", "by the rule", "at a fixed interval"
MEASURES = {"loss": "training loss", "test_error": "test error"}


def make(job: Job) -> Made:
    """Training loss and test error against the share of numbers sent, by rule and by interval."""
    steps = 5 if job.quick else STEPS
    problem = load_problem("classify-digits", batch_size=BATCH, steps=steps)
    settings: list[tuple[str, dict[str, Any]]] = [(FRESH, {"alpha": 0.0})]
    # No statistic changes by 1e6 times its size: the intervals grow to the longest and stay there.
    fixed = [(FIXED, {"alpha": 1e6, "longest": n}) for n in INTERVALS]
    by_rule = [(RULE, {"alpha": a, "longest": 100}) for a in ALPHAS]
    settings += by_rule[:1] if job.quick else by_rule + fixed
    results = []
    for kind, values in settings:
        job.tell(f"{kind}: {values}")
        runs = [_run(problem, values, seed, steps) for seed in job.seeds(SEEDS)]
        results.append({"kind": kind, **values, "runs": runs})
    whole = np.mean([run["numbers"] for run in results[0]["runs"]])
    for result in results:
        result["share"] = float(np.mean([run["numbers"] for run in result["runs"]]) / whole)
    _draw(job, results)
    return recorded(job, [job.name], seeds=list(job.seeds(SEEDS)), results=results)


def _run(problem: Any, values: dict[str, Any], seed: int, steps: int) -> dict[str, float]:
    """What a run ends with, and what its statistics took."""
    optimizer = optimizers.get("sp-ngd", schedule="cosine", decay_steps=steps, **values)
    model_key, batch_key = jax.random.split(jax.random.key(seed))
    objective, model = problem.objective, problem.model(model_key)
    state = optimizer.init(model, objective, objective.draw(batch_key, 0))
    step = eqx.filter_jit(optimizer.step)
    for number in range(steps):
        batch = objective.draw(batch_key, number)
        model, state, _ = step(model, state, objective, batch, key=batch_key)
    kept = state.factors
    total = work(kept, [0] * len(kept.statistics))
    scores = problem.scores(model)
    found = {name: float(value) for name, value in scores.items()}
    batches = objective.batches
    everything = type(batch)(batches.inputs, batches.targets)
    return {
        **found,
        "loss": float(objective.loss(model, everything)),
        "numbers": total.reduced + total.gathered,
        "measured": float(np.mean(np.asarray(kept.measured)) / steps),
    }


def _draw(job: Job, results: list[dict[str, Any]]) -> None:
    strokes = cycled([FRESH, RULE, FIXED])
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 2.8)
        panels = figure.subplots(1, 2)
        for ax, (name, label) in zip(panels, MEASURES.items(), strict=True):
            fresh = [run[name] for run in results[0]["runs"]]
            color = strokes[FRESH].color
            ax.axhspan(min(fresh), max(fresh), color=color, alpha=0.15, linewidth=0)
            ax.axhline(float(np.mean(fresh)), color=color, label=FRESH)
            for kind in (RULE, FIXED):
                own = sorted((r for r in results if r["kind"] == kind), key=lambda r: r["share"])
                if own:
                    _line(ax, own, name, kind, strokes[kind])
            ax.set(xlabel="statistics sent, of those of every step", ylabel=label, xscale="log")
            ax.xaxis.set_major_formatter("{x:.0%}")
        panels[0].set_yscale("log")
        panels[1].set_ylim(bottom=0)
        figure.legend(
            *panels[0].get_legend_handles_labels(), title="statistics are measured",
            loc="outside lower center", ncols=3,
        )  # fmt: skip
        plotting.save(figure, job.folder / job.name)


def _line(ax: Any, own: list[dict[str, Any]], name: str, kind: str, stroke: Any) -> None:
    """The mean over seeds, with the range as a bar, and the setting beside it."""
    values = np.asarray([[run[name] for run in r["runs"]] for r in own])
    shares, mean = [r["share"] for r in own], values.mean(axis=1)
    bars = np.stack([mean - values.min(axis=1), values.max(axis=1) - mean])
    ax.errorbar(
        shares, mean, bars, marker="o", markersize=3, elinewidth=0.6, label=kind,
        **stroke._asdict(),
    )  # fmt: skip
    said = 0.0
    for share, y, r in zip(shares, mean, own, strict=True):
        if share > 1.1 * said:  # else the label of its neighbor is in the way
            said = share
            words = f"{r['alpha']:g}" if kind == RULE else f"{r['longest']}"
            ax.annotate(words, (share, y), (2, 3), textcoords="offset points", fontsize=7)
