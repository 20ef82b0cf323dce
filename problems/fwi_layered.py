"""Full waveform inversion of tilted layers with a fault: reflections, two frequencies.

2 km x 1 km, cells of 20 m, five velocities from 1.6 to 3.2 km/s that grow with depth; sources and
receivers lie below the surface, so that all that is known of the depth is what comes back. The
start is the truth smoothed until no layer is left. Every source is fired with Ricker wavelets of
3 and 6 Hz together, a penalty (total variation by default) chooses among what the data leave open,
and bounds keep the velocities physical. Our own experiment, after no published one.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from scipy.ndimage import gaussian_filter

from pinn_ngd import (
    GaussLegendre,
    Grid,
    Problem,
    Smoothness,
    StateMisfit,
    TotalVariation,
)
from pinn_ngd.applications.acoustics import RecordedWaves, Survey
from pinn_ngd.experiments.plotting import plot_state
from pinn_ngd.linalg import LSMR

LAYERS, BOUNDS = (1.6, 2.0, 2.4, 2.8, 3.2), (1.4, 3.6)
WIDTH, DEPTH = 2.0, 1.0  # km
PENALTIES = {"tv": TotalVariation, "smooth": Smoothness}


class VelocityField(eqx.Module):
    """Velocities (nx, nz) in km/s on cells of size `spacing`; between them bilinear."""

    values: jax.Array
    spacing: float = eqx.field(static=True)

    def __call__(self, x):
        return map_coordinates(self.values, list(x / self.spacing), order=1, mode="nearest")


def layers(shape, spacing):
    """Interfaces that dip by 0.08, and drop by 0.12 km right of a fault at three fifths."""
    x, z = np.meshgrid(*(np.arange(n) * spacing for n in shape), indexing="ij")
    height = z - 0.08 * x - 0.12 * (x > 0.6 * WIDTH)
    depths = (0.2, 0.38, 0.56, 0.74)
    return np.asarray(LAYERS)[sum((height > d).astype(int) for d in depths)]


def problem(
    *, cells: int = 100, shots: int = 5, duration: float = 1.4, absorbing: int = 30,
    frequencies: tuple[float, ...] = (3.0, 6.0), penalty: str = "tv", weight: float = 3e-5,
    blur: float = 0.2, iterations: int = 10, seconds: float = 900.0, steps: int = 8,
) -> Problem:  # fmt: skip
    """`cells` along the surface; `penalty` is "tv" or "smooth"; `blur` of the start in km."""
    if penalty not in PENALTIES:
        msg = f"`penalty` is {penalty!r}; choose one of {', '.join(PENALTIES)}."
        raise ValueError(msg)
    spacing = WIDTH / cells
    shape = (cells + 1, round(DEPTH / spacing) + 1)
    time_step = 0.55 * spacing / BOUNDS[1]
    shallow = max(1, round(0.04 / spacing))
    survey = Survey(
        shape=shape,
        spacing=spacing,
        time_step=time_step,
        steps=round(duration / time_step),
        sources=tuple((round(cells * (k + 0.5) / shots), shallow) for k in range(shots)),
        receivers=tuple((x, shallow) for x in range(0, cells + 1, 2)),
        frequency=tuple(frequencies),
        absorbing=absorbing,
        fastest=BOUNDS[1],
    )
    grid = Grid(survey.domain, shape)
    truth = VelocityField(jnp.asarray(layers(shape, spacing)), spacing)
    smooth = gaussian_filter(np.asarray(truth.values), blur / spacing, mode="nearest")
    start = VelocityField(jnp.asarray(smooth), spacing)
    state = RecordedWaves(survey, lambda model: model.values)
    data = jax.jit(state)(truth)
    return Problem(
        name="fwi-layered",
        description="full waveform inversion of tilted layers, two frequencies",
        objective=StateMisfit(
            state,
            lambda waves: (waves - data) * state.grid.cell_volume**0.5,
            PENALTIES[penalty](lambda model: model.values, grid, weight),
        ),
        model=lambda key: start,  # noqa: ARG005
        domain=survey.domain,
        evaluation=GaussLegendre(survey.domain, 80).quadrature(None),
        exact=truth,
        optimizer="wngd",
        optimizer_settings={
            "metric": "energy", "form": "matrix-free", "damping": 0.0, "bounds": BOUNDS,
            "solver": LSMR(rtol=1e-6, atol=1e-6, max_steps=iterations),
        },
        seconds=seconds,
        steps=steps,
        picture=lambda model: plot_state(
            grid, model.values, truth.values, depth=True,
            titles=("velocity in km/s", "truth", "difference"),
        ),
    )  # fmt: skip
