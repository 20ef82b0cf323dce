"""Full waveform inversion of a disk in a homogeneous region: transmission, nine shots.

101 x 101 cells of 10 m, 2.5 km/s with a disk of 3.0 km/s, absorbing layers of 40 cells, a Ricker
wavelet of 10 Hz, 1 s, sources on one side and 101 receivers on the other; the start is homogeneous.
The geometry is that of Devito's tutorial on full waveform inversion. It stands in for the inversion
of the natural-gradient paper, whose settings are not public: a substitute, no reproduction.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from pinn_ngd import GaussLegendre, Grid, Problem, StateMisfit
from pinn_ngd.applications.acoustics import RecordedWaves, Survey
from pinn_ngd.experiments.plotting import plot_state
from pinn_ngd.linalg import LSMR

BACKGROUND, DISK, BOUNDS = 2.5, 3.0, (2.0, 3.5)


class VelocityField(eqx.Module):
    """Velocities (n, n) in km/s on cells of size `spacing`; between them bilinear."""

    values: jax.Array
    spacing: float = eqx.field(static=True)

    def __call__(self, x):
        return map_coordinates(self.values, list(x / self.spacing), order=1, mode="nearest")


def disk(cells, spacing):
    """The true velocity."""
    place = jnp.arange(float(cells)) - (cells - 1) / 2
    inside = place[:, None] ** 2 + place[None, :] ** 2 < (0.15 * cells) ** 2
    return VelocityField(jnp.where(inside, DISK, BACKGROUND), spacing)


def problem(
    *, cells: int = 101, shots: int = 9, duration: float = 1.0, absorbing: int = 40,
    frequency: float = 10.0, iterations: int = 8, seconds: float = 600.0, steps: int = 5,
) -> Problem:  # fmt: skip
    """`iterations` of LSMR a step: what is not resolved is not changed."""
    spacing, time_step = 1.0 / (cells - 1), 0.16 / (cells - 1)
    last = cells - 1
    survey = Survey(
        shape=(cells, cells),
        spacing=spacing,
        time_step=time_step,
        steps=round(duration / time_step),
        sources=tuple((round(0.02 * last), round(last * (k + 0.5) / shots)) for k in range(shots)),
        receivers=tuple((round(0.98 * last), z) for z in range(cells)),
        frequency=frequency,
        absorbing=absorbing,
        fastest=BOUNDS[1],
    )
    truth = disk(cells, spacing)
    state = RecordedWaves(survey, lambda model: model.values)
    data = jax.jit(state)(truth)
    return Problem(
        name="fwi-camembert",
        description="full waveform inversion of a disk",
        objective=StateMisfit(state, lambda waves: (waves - data) * state.grid.cell_volume**0.5),
        model=lambda key: VelocityField(jnp.full((cells, cells), BACKGROUND), spacing),  # noqa: ARG005
        domain=survey.domain,
        evaluation=GaussLegendre(survey.domain, 80).quadrature(None),
        exact=truth,
        optimizer="wngd",
        optimizer_settings={
            "metric": "l2", "form": "matrix-free", "damping": 0.0, "bounds": BOUNDS,
            "solver": LSMR(rtol=1e-6, atol=1e-6, max_steps=iterations),
        },
        seconds=seconds,
        steps=steps,
        picture=lambda model: plot_state(
            Grid(survey.domain, (cells, cells)), model.values, truth.values,
            titles=("velocity in km/s", "truth", "difference"),
        ),
    )  # fmt: skip
