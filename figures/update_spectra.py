"""What each metric changes first in a full waveform inversion: spectra of the updates."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from figures.recipes import Job, Made, recorded
from pinn_ngd import metrics
from pinn_ngd.experiments.plotting import Curves, plot_curves, save
from pinn_ngd.experiments.problem import Problem
from pinn_ngd.linalg import LSMR, solve

METRICS = {"$H^{-1}$": "h-1", "$L^2$": "l2", "$H^1$": "h1"}
DESCENT = "gradient descent"


def make(job: Job) -> Made:
    """What each metric changes first in a full waveform inversion."""
    problem = job.problem("fwi-camembert")
    spectra = update_spectra(problem, 2 if job.quick else 8, job.tell)
    panel = Curves(spectra, "wavenumber in 1/km", "share of the update")
    save(plot_curves([panel], marker=""), job.folder / job.name)
    centers = {label: float((k * s).sum() / s.sum()) for label, (k, s) in spectra.items()}
    return recorded(job, [job.name], seeds=[], results={"mean wavenumber": centers})


def update_spectra(
    problem: Problem, iterations: int, tell: Callable[[str], None]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Wavenumbers (cycles per unit length) and share of the first update in each, by metric.

    `problem` is an inversion for a field `values` on a uniform grid; directions are computed with
    so many LSMR iterations, from the problem's start.
    """
    model, spectra = problem.model(jax.random.key(0)), {}
    for label, name in METRICS.items():
        tell(f"  {name}")
        spectra[label] = _radial(_direction(problem, model, name, iterations), model.spacing)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda m: problem.objective.loss(m, ())))(model)
    spectra[DESCENT] = _radial(gradient.values, model.spacing)
    return spectra


def _direction(problem: Problem, model: Any, name: str, iterations: int) -> jax.Array:
    @eqx.filter_jit
    def direction(model: Any) -> Any:
        system = metrics.get(name).system(problem.objective, model, (), matrix_free=True)
        solver = LSMR(rtol=1e-12, atol=1e-12, max_steps=iterations)
        return solve(system, solver, form="matrix-free").value

    return direction(model).values


def _radial(update: Any, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """The power of a field, summed over rings of wavenumbers, as shares of the whole."""
    field = np.asarray(update)
    power = np.abs(np.fft.fft2(field)) ** 2
    waves = np.meshgrid(*(np.fft.fftfreq(n, spacing) for n in field.shape), indexing="ij")
    width = 1 / (min(field.shape) * spacing)
    ring = np.rint(np.hypot(*waves) / width).astype(int)
    count = min(field.shape) // 2
    shares = np.bincount(ring.ravel(), power.ravel())[:count] / power.sum()
    return np.arange(1, count) * width, shares[1:]
