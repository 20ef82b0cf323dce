"""Acoustic waves in two dimensions: recorded data as a state that depends on the velocity.

    u_tt + 2 d u_t + d^2 u = c^2 (Laplace(u) + s(t) delta(source))

with absorbing layers d around the region, differences of fourth order in space and second order in
time. Lengths are in kilometers, times in seconds, velocities in kilometers per second.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from .. import _tree
from ..geometry.domains import Box
from ..geometry.grids import Grid
from ..linalg.tall import LYING, WHOLE, devices
from ..states import AbstractState

Velocity = Float[Array, "nx nz"]
CFL = math.sqrt(3 / 8)  # of c dt / h, for fourth-order differences in two dimensions
REFLECTION = 1e-4  # of the absorbing layers, at normal incidence


@jax.tree_util.register_static
@dataclass(frozen=True)
class Survey:
    """Geometry and time axis of an experiment.

    `shape` (nx, nz) cells of size `spacing`; `sources` and `receivers` are (x, z) cell indices;
    `steps` time steps of length `time_step`; a Ricker wavelet of peak `frequency` in 1/s, or
    several, with each of which every source is fired: low ones keep an inversion out of cycle
    skipping, high ones resolve details; `absorbing`
    cells on every side; `fastest` the largest velocity that will occur; `batch` shots are simulated
    side by side (one at a time fits the cache of a CPU; a GPU wants all). Raises ValueError for a
    time step that violates the CFL condition and for sources or receivers outside of the grid.
    """

    shape: tuple[int, int]
    spacing: float
    time_step: float
    steps: int
    sources: tuple[tuple[int, int], ...]
    receivers: tuple[tuple[int, int], ...]
    frequency: float | Sequence[float] = 10.0
    absorbing: int = 40
    fastest: float = 3.5
    batch: int = 1

    def __post_init__(self):
        if not isinstance(self.frequency, int | float):
            object.__setattr__(self, "frequency", tuple(float(f) for f in self.frequency))
        largest = CFL * self.spacing / self.fastest
        if self.time_step > largest:
            msg = (
                f"`time_step` {self.time_step:g} violates the CFL condition: with velocities up to"
                f" {self.fastest:g} and `spacing` {self.spacing:g} it may be {largest:.3g} at most."
            )
            raise ValueError(msg)
        for name, places in (("source", self.sources), ("receiver", self.receivers)):
            for x, z in places:
                if not (0 <= x < self.shape[0] and 0 <= z < self.shape[1]):
                    msg = f"{name} ({x}, {z}) lies outside of the grid of {self.shape} cells."
                    raise ValueError(msg)

    @property
    def domain(self) -> Box:
        """The region without its absorbing layers."""
        return Box((0.0, 0.0), tuple((n - 1) * self.spacing for n in self.shape))

    @property
    def frequencies(self) -> tuple[float, ...]:
        """All peak frequencies."""
        if isinstance(self.frequency, int | float):
            return (float(self.frequency),)
        return tuple(self.frequency)

    @property
    def shots(self) -> int:
        """Number of simulations: sources times frequencies."""
        return len(self.sources) * len(self.frequencies)

    def wavelets(self) -> Float[np.ndarray, "frequencies steps"]:
        """Ricker: (1 - 2 a) exp(-a), a = (pi f (t - 1/f))^2."""
        f, t = np.asarray(self.frequencies)[:, None], np.arange(self.steps) * self.time_step
        a = (np.pi * f * (t - 1 / f)) ** 2
        return (1 - 2 * a) * np.exp(-a)

    def absorption(self) -> Float[np.ndarray, "mx mz"]:
        """d: quadratic in the layers, zero inside."""
        width = self.absorbing * self.spacing
        largest = 3 * self.fastest * math.log(1 / REFLECTION) / (2 * max(width, self.spacing))
        profiles = []
        for n in self.shape:
            place = np.arange(n + 2 * self.absorbing) - self.absorbing
            depth = np.maximum(np.maximum(-place, place - (n - 1)), 0) / max(self.absorbing, 1)
            profiles.append(largest * depth**2)
        return np.maximum(profiles[0][:, None], profiles[1][None, :])


class RecordedWaves(AbstractState):
    """Seismograms (time, trace), frequency after frequency and shot after shot; `velocity(model)`
    is c.

    The adjoint recomputes the waves between about sqrt(steps) kept times
    (checkpointing), so its memory is O(sqrt(steps)) fields a shot. A product with Z or Z^T costs
    about two, or three, simulations.

    Traces are decoupled: a Sobolev metric acts in time only. Velocities that are not positive, or
    beyond the `fastest` of the survey, are a run-time error.
    """

    grid: Grid
    survey: Survey = eqx.field(static=True)
    velocity: Callable[[PyTree], Velocity]

    def __init__(self, survey: Survey, velocity: Callable[[PyTree], Velocity]):
        traces = survey.shots * len(survey.receivers)
        duration = survey.steps * survey.time_step
        box = Box((0.0, 0.0), (duration, float(traces)))
        self.grid = Grid(box, (survey.steps, traces), decoupled=(1,))
        self.survey, self.velocity = survey, velocity

    @property
    def parts(self) -> int:
        """The shots."""
        return self.survey.shots

    def __call__(self, model: PyTree) -> Float[Array, "steps traces"]:
        return seismograms(self.survey, self._admissible(self.velocity(model)))

    def _admissible(self, velocity: Velocity) -> Velocity:
        fastest = self.survey.fastest
        return eqx.error_if(
            velocity,
            ~jnp.all((velocity > 0) & (velocity <= fastest)),
            f"a velocity lies outside of (0, {fastest:g}], for which the time step was chosen: the"
            " waves would blow up. Bound the parameters: `bounds=(lower, upper)` of `wngd`, or"
            " `--set bounds=(lower,upper)`.",
        )

    def linearize(self, model):
        params, static = _tree.trainable(model)

        def state(q: PyTree) -> Array:
            return self(eqx.combine(q, static))

        rho, pull = jax.vjp(state, params)  # keeps checkpoints only
        return rho, lambda v: jax.jvp(state, (params,), (v,))[1], lambda w: pull(w)[0]


def seismograms(survey: Survey, velocity: Velocity) -> Float[Array, "steps traces"]:
    """Pressure at the receivers, for all shots: `survey.batch` of them side by side.

    Within `jax.set_mesh` of several devices each of them fires a part of the shots.
    """
    places = np.asarray(survey.sources) + survey.absorbing
    sources = np.tile(places, (len(survey.frequencies), 1))
    wavelets = np.repeat(survey.wavelets(), len(places), axis=0)
    missing = -survey.shots % devices()  # the last shot is repeated, and left out in the end
    sources, wavelets = (
        np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) for x in (sources, wavelets)
    )

    def fired(
        velocity: Velocity, sources: Int[Array, "shots 2"], wavelets: Float[Array, "shots steps"]
    ) -> Float[Array, "shots steps receivers"]:
        return jax.lax.map(
            lambda shot: _one_shot(survey, velocity, *shot),
            (sources, wavelets),
            batch_size=min(survey.batch, len(sources)),
        )

    if devices() > 1:
        places_of = (WHOLE, LYING, LYING)
        # Not checked: the waves begin with zeros, of which it would ask on which device they are.
        fired = jax.shard_map(fired, in_specs=places_of, out_specs=LYING, check_vma=False)
    traces = fired(velocity, jnp.asarray(sources), jnp.asarray(wavelets, velocity.dtype))
    return jnp.moveaxis(traces[: survey.shots], 0, 1).reshape(survey.steps, -1)


def _one_shot(
    survey: Survey, velocity: Velocity, source: Int[Array, " 2"], wavelet: Float[Array, " steps"]
) -> Float[Array, "steps receivers"]:
    pad, dtype = survey.absorbing, velocity.dtype
    speed = jnp.pad(velocity, pad, mode="edge")
    factor = (speed * survey.time_step / survey.spacing) ** 2
    d = jnp.asarray(survey.absorption() * survey.time_step, dtype)
    receiver = tuple((np.asarray(survey.receivers) + pad).T)
    at = (source[0], source[1])

    def step(carry: tuple[Array, Array], amplitude: Array) -> tuple[tuple[Array, Array], Array]:
        before, now = carry
        push = factor * _laplacian(now) - d**2 * now
        push = push.at[at].add(factor[at] * amplitude)
        after = (2 * now - (1 - d) * before + push) / (1 + d)
        return (now, after), after[receiver]

    rest = jnp.zeros_like(speed)
    return _checkpointed_scan(step, (rest, rest), wavelet)


def _laplacian(u: Float[Array, "mx mz"]) -> Float[Array, "mx mz"]:
    """h^2 times the fourth-order Laplacian, zero outside."""
    p, inner = jnp.pad(u, 2), slice(2, -2)
    near = p[1:-3, inner] + p[3:-1, inner] + p[inner, 1:-3] + p[inner, 3:-1]
    far = p[:-4, inner] + p[4:, inner] + p[inner, :-4] + p[inner, 4:]
    return (16 * near - far - 60 * u) / 12


def _checkpointed_scan(step: Callable, carry: tuple, inputs: Array) -> Array:
    """`lax.scan` in segments of about sqrt(n) steps, of which only the ends are kept."""
    count = inputs.shape[0]
    length = max(1, math.isqrt(count))
    whole = count // length * length

    @jax.checkpoint
    def segment(carry: tuple, part: Array) -> tuple[tuple, Array]:
        return jax.lax.scan(step, carry, part)

    carry, outputs = jax.lax.scan(segment, carry, inputs[:whole].reshape(-1, length))
    outputs = outputs.reshape(whole, *outputs.shape[2:])
    _, rest = segment(carry, inputs[whole:])
    return jnp.concatenate([outputs, rest])
