"""The guide: what the blocks of docs/guide find, drawn from the blocks themselves."""

import re
from pathlib import Path
from typing import Any

import jax
import numpy as np

from figures.recipes import Job, Made, recorded
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import BLACK, BLUE, new_figure

PAGES = Path(__file__).parents[1] / "docs" / "guide"


def make(job: Job) -> Made:
    """A membrane, a drum, and a decay with its error bars."""
    membrane, drum, decay = block("first-pde", 0), block("my-geometry", 2), block("my-data", 1)
    names = [f"{job.name}-{what}" for what in ("membrane", "drum", "decay")]
    for name, found, domain in (
        (names[0], membrane["result"], membrane["square"]),
        (names[1], drum["result"], drum["drum"]),
    ):
        figure = plotting.plot_solution(
            found.model, None, domain, estimated_error=found.estimate.error
        )
        plotting.save(figure, job.folder / name)
    _draw_decay(job.folder / names[2], decay)
    results = {
        "membrane": float(membrane["result"].model(np.array([0.5, 0.5]))),
        "k": float(decay["result"].model.k.value),
        "deviation": float(decay["bars"].deviation(lambda m: m.k.value)),
    }
    return recorded(job, names, seeds=[0], results=results)


def block(page: str, number: int) -> dict[str, Any]:
    """The names that a Python block of a page leaves behind."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    scope: dict[str, Any] = {}
    exec(compile(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[number], page, "exec"), scope)
    return scope


def _draw_decay(path: Path, scope: dict[str, Any]) -> None:
    """Data, fit with two standard deviations, and the decay behind them."""
    model, bars = scope["result"].model, scope["bars"]
    t = np.linspace(0.0, 3.0, 61)
    fit = np.asarray(jax.vmap(model)(t[:, None]))
    twice = 2 * np.asarray(bars.deviation(lambda m: jax.vmap(m)(t[:, None])))
    with plotting.style():
        figure = new_figure(plotting.COLUMN_WIDTH, 2.4)
        ax = figure.subplots()
        ax.fill_between(t, fit - twice, fit + twice, color=BLUE, alpha=0.25, linewidth=0)
        ax.plot(t, fit, color=BLUE, label="fit")
        ax.plot(t, np.exp(-0.5 * t), "--", color=BLACK, linewidth=0.8, label="truth")
        ax.plot(scope["times"], scope["values"], "o", color=BLACK, markersize=2.5, label="data")
        ax.set(xlabel="t", ylabel="u")
        ax.legend()
        plotting.save(figure, path)
