"""Kinds of entries: one run, a comparison, and what a study of its own draws."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..applications.data import digits
from ..experiments.plotting import Curves, plot_curves, plot_history, plot_paths, save
from ..experiments.problem import load_problem
from ..storage.reading import read_history
from ..studies.device_accuracy import empty_arrays, errors_by_device
from ..studies.device_algebra import algebra_errors
from ..studies.device_damping import worth_by_damping
from ..studies.mixture_paths import landscapes
from ..studies.posterior import posterior_scores
from ..studies.rounding import rounding_errors
from ..studies.step_times import Size, step_times
from ..studies.update_spectra import update_spectra
from .job import Job, Made, compared, copy, recorded, run

OUTPUTS = (2, 5, 10, 20, 50, 100)


def one_run(problem: str, pictures: Sequence[str] = ("solution", "history"), seed: int = 0) -> Any:
    """An entry that trains a problem with its defaults and keeps some of the run's pictures."""

    def make_pictures(job: Job) -> Made:
        out = job.runs / str(seed)
        result = run(job, problem, seed, out, pictures=True)
        names = [f"{job.name}-{picture}" for picture in pictures]
        for picture, name in zip(pictures, names, strict=True):
            copy(out / picture, job.folder / name)
        return recorded(job, names, seeds=[seed], results=[result])

    return make_pictures


def comparison(
    problem: str,
    optimizers: Sequence[str],
    seeds: int,
    seconds: float | None = None,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    against: Sequence[str] = ("seconds", "steps"),
) -> Any:
    """An entry that compares optimizers, against seconds, steps or solves; or in a table alone."""

    def make_pictures(job: Job) -> Made:
        chosen = job.seeds(seeds)
        summary = compared(
            job, job.problem(problem), optimizers, chosen,
            settings=settings, seconds=seconds, steps=steps,
        )  # fmt: skip
        names = [f"{job.name}-{x}" for x in against]
        for x, name in zip(against, names, strict=True):
            copy(job.runs / f"error-vs-{x}", job.folder / name)
        facts = {"seeds": list(chosen), "results": summary["rows"]}
        return recorded(job, names or [job.name], pictures=bool(names), **facts)

    return make_pictures


def rejected_steps(job: Job) -> Made:
    """Loss, error and damping of a run in which steps are rejected: the first steps, enlarged."""
    seed, shown = 0, 25
    result = run(job, "ritz-1d", seed, job.runs / str(seed))
    history = [line for line in read_history(job.runs / str(seed)) if line["step"] <= shown]
    rejected = [line["step"] for line in history if not line["accepted"]]
    save(plot_history(history), job.folder / job.name)
    return recorded(job, [job.name], seeds=[seed], results=[result], rejected_steps=rejected)


def mixture_paths(job: Job) -> Made:
    """Eight metrics on the level sets of the mixture whose first mean is free."""
    panels = landscapes(3 if job.quick else 400, 8 if job.quick else 81, job.tell)
    figure = plot_paths(panels, ("$\\mu_{1,x}$", "$\\mu_{1,y}$"), minimum=(2.3996, 1.8417))
    save(figure, job.folder / job.name)
    ends = {p.title: {k: v[-1].tolist() for k, v in p.paths.items()} for p in panels}
    return recorded(job, [job.name], seeds=[], results=ends)


def spectra_of_updates(job: Job) -> Made:
    """What each metric changes first in a full waveform inversion."""
    problem = job.problem("fwi-camembert")
    spectra = update_spectra(problem, 2 if job.quick else 8, job.tell)
    panel = Curves(spectra, "wavenumber in 1/km", "share of the update")
    save(plot_curves([panel], marker=""), job.folder / job.name)
    centers = {label: float((k * s).sum() / s.sum()) for label, (k, s) in spectra.items()}
    return recorded(job, [job.name], seeds=[], results={"mean wavenumber": centers})


def rounding(job: Job) -> Made:
    """Ensembles of rounded devices against digital refinement."""
    panels = []
    for bits in (8, 12):
        curves = rounding_errors(bits, 4 if job.quick else 32)
        panels.append(Curves(curves, "solves", "relative error", f"{bits} bits"))
    save(plot_curves(panels), job.folder / job.name)
    results = {panel.title: panel.curves for panel in panels}
    return recorded(job, [job.name], seeds=[0], results=results)


def device_algebra(job: Job) -> Made:
    """Error against time of what can be read off the noise of a device."""
    samples = (20,) if job.quick else (20, 80, 320, 1280, 5120)
    seeds = len(job.seeds(5))
    curves = algebra_errors(samples, seeds, job.tell)
    panel = Curves(curves, "time in relaxation times", "relative error")
    save(plot_curves([panel]), job.folder / job.name)
    return recorded(job, [job.name], seeds=list(range(seeds)), results=curves)


def device_damping(job: Job) -> Made:
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


def device_accuracy(job: Job) -> Made:
    """Test error of trainings on coarse, mismatched, perfect and empty devices."""
    problem = load_problem("classify-digits", channels=4, width=12, batch_size=16)
    seeds, steps = job.seeds(5), 2 if job.quick else 210
    bits, sizes = ((8,), (0.1,)) if job.quick else ((2, 3, 4, 6, 8), (0.03, 0.1, 0.3, 1.0))
    apart, fine, whole = "$J$, $H$, $J^T$", "the same, $H$ of 8 bits", "$S^TJ$ and its transpose"
    stepped = {"simulation": "euler-maruyama"}
    rounded = {apart: {}, fine: {"curvature_bits": 8}, whole: {"factored": True}}
    erring = {apart: stepped, whole: {**stepped, "factored": True}}
    controls = {"perfect device": {}, "empty arrays": empty_arrays()}
    flat = {
        label: errors_by_device(problem, {0.0: own}, seeds, steps, job.tell)
        for label, own in controls.items()
    }
    panels, results = [], dict(flat)
    for label, levels, designs in (("bits", bits, rounded), ("mismatch", sizes, erring)):
        curves = {}
        for design, own in designs.items():
            devices = {float(level): {label: level, **own} for level in levels}
            curves[design] = errors_by_device(problem, devices, seeds, steps, job.tell)
            results[f"{label}: {design}"] = curves[design]
        lines = {k: (levels, *(x * len(levels) for x in v[1:])) for k, v in flat.items()}
        scale = "linear" if label == "bits" else "log"
        panels.append(Curves({**curves, **lines}, label, "test error", xscale=scale))
    save(plot_curves(panels), job.folder / job.name)
    return recorded(job, [job.name], seeds=list(seeds), results=results)


def posterior(job: Job) -> Made:
    """Calibration of samples that a device's noise draws: a table."""
    temperatures, samples = ((1.0,), 2) if job.quick else ((0.0, 0.01, 0.1, 1.0), 40)
    problem, seeds = job.problem("classify-digits"), job.seeds(5)
    found = posterior_scores(problem, digits(), seeds, temperatures, samples, job.tell)
    heads = ("error", "nll", "ece")
    lines = ["| method | error | NLL | calibration error |", "|---|---:|---:|---:|"]
    for name, scores in found.items():
        medians = [float(np.median([score[head] for score in scores])) for head in heads]
        lines.append(f"| {name} | " + " | ".join(f"{x:.4f}" for x in medians) + " |")
    (job.folder / f"{job.name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return recorded(job, [job.name], seeds=list(seeds), results=found, pictures=False)


def times_of_steps(job: Job) -> Made:
    """Milliseconds of a step by parameters and by outputs."""
    widths, outputs = ((12,), (2,)) if job.quick else ((12, 38, 125, 400, 1250), OUTPUTS)
    repeats = 2 if job.quick else 5
    by_size = step_times([Size(width, 20) for width in widths], repeats, job.tell)
    by_outputs = step_times([Size(125, k) for k in outputs], repeats, job.tell)
    panels = []
    for found, x, xlabel in (
        (by_size, by_size["parameters"], "parameters (20 outputs)"),
        (by_outputs, outputs, "outputs (about 100,000 parameters)"),
    ):
        curves = {name: (x, y) for name, y in found.items() if name != "parameters"}
        panels.append(Curves(curves, xlabel, "milliseconds a step"))
    save(plot_curves(panels), job.folder / job.name)
    return recorded(job, [job.name], seeds=[], results={"size": by_size, "outputs": by_outputs})
