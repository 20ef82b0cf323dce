"""The device as an equation for Diffrax: inertia, colored noise, higher order.

Needs the extra `spu`.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact, PRNGKeyArray

from .arguments import is_absent
from .processes import Vector, law_variance
from .read_out import Schedule
from .spectra import flat_product

# Rows of the state: voltages, their integral, then currents and the colored force where they exist.
X, TOTAL = 0, 1


class DiffraxProcess(eqx.Module):
    """L x'' + x' + A x - b = noise, by ShARK (strong order 3/2); without noise adaptively by Tsit5.

    The noise is white, or the force of an Ornstein-Uhlenbeck process of the same intensity. With
    `adaptive` False `dt` is the step in both cases; steps are not checked for stability, since
    the limit depends on the scheme.
    """

    operator: lx.AbstractLinearOperator
    dt: Inexact[Array, ""]
    inertia: Any
    correlation_time: Any
    adaptive: bool = eqx.field(static=True)

    def run(
        self, x: Vector | None, b: Vector, schedule: Schedule, key: PRNGKeyArray | None
    ) -> tuple[Vector, Vector]:
        x = b if x is None else x
        keys = [None, None, None] if key is None else list(jax.random.split(key, 3))
        state = self._start(x, schedule, keys[2])
        if not schedule.average:
            state = self._integrate(state, b, schedule.time, schedule, keys[0])
            return state[X], state[X]
        window = jnp.asarray(schedule.time, x.dtype) - jnp.asarray(schedule.burn_in, x.dtype)
        state = self._integrate(state, b, schedule.burn_in, schedule, keys[0])
        state = self._integrate(state.at[TOTAL].set(0), b, window, schedule, keys[1])
        return state[TOTAL] / window, state[X]

    def variance(self, values: Array, schedule: Schedule) -> Array:
        """That of what is read, at unit temperature, without inertia and colored noise."""
        return law_variance(values, schedule)

    def products(self, spent: Array, started: bool, noisy: bool, schedule: Schedule) -> Array:
        """-1: Diffrax does not tell."""
        del started, noisy, schedule
        return jnp.full_like(spent, -1)

    def _start(self, x: Vector, schedule: Schedule, key: PRNGKeyArray | None) -> Array:
        rows = [x, jnp.zeros_like(x)]
        if self._heavy:
            rows.append(jnp.zeros_like(x))
        if self._colored and key is not None:
            variance = jnp.asarray(schedule.temperature, x.dtype) / self._correlation(x)
            rows.append(jnp.sqrt(variance) * jax.random.normal(key, x.shape, x.dtype))
        return jnp.stack(rows)

    def _integrate(
        self, state: Array, b: Vector, time: Any, schedule: Schedule, key: PRNGKeyArray | None
    ) -> Array:
        diffrax = _diffrax()
        time = jnp.asarray(time, state.dtype)
        drift = diffrax.ODETerm(self._drift(b))
        dt = jnp.minimum(self.dt.astype(state.dtype), jnp.where(time > 0, time, 1))
        common = {"t0": jnp.zeros_like(time), "t1": time, "dt0": dt, "max_steps": None}
        common["adjoint"] = diffrax.ForwardMode()
        if key is None:
            steps = diffrax.PIDController(rtol=1e-9, atol=1e-9) if self.adaptive else None
            steps = steps or diffrax.ConstantStepSize()
            out = diffrax.diffeqsolve(
                drift, diffrax.Tsit5(), y0=state, stepsize_controller=steps, **common
            )
            return self._moved(time, out.ys, state)
        shape = jax.ShapeDtypeStruct((state.size,), state.dtype)
        # Constant steps forward only: no tree is needed that can be asked for any interval again.
        path = diffrax.UnsafeBrownianPath(shape, key, levy_area=diffrax.SpaceTimeLevyArea)
        size = self._diffusion(state, schedule).reshape(-1)
        terms = diffrax.MultiTerm(
            diffrax.ODETerm(lambda t, y, args: drift.vf(t, y.reshape(state.shape), args).ravel()),
            diffrax.ControlTerm(lambda *_: lx.DiagonalLinearOperator(size), path),
        )
        out = diffrax.diffeqsolve(terms, diffrax.ShARK(), y0=state.reshape(-1), **common)
        return self._moved(time, out.ys, state)

    def _moved(self, time: Array, path: Any, state: Array) -> Array:
        return jnp.where(time > 0, path[-1].reshape(state.shape), state)

    def _drift(self, b: Vector) -> Any:
        product = flat_product(self.operator)

        def drift(t: Any, state: Array, args: Any) -> Array:
            del t, args
            x, rows = state[X], [state[X]]
            force, rest = b - product(x), list(state[2:])
            speed = rest.pop(0) if self._heavy else None
            if rest:
                force = force + rest[0]
            if speed is None:
                rows = [force, x]
            else:
                rows = [speed, x, (force - speed) / jnp.asarray(self.inertia, x.dtype)]
            return jnp.stack([*rows, *(-colored / self._correlation(x) for colored in rest)])

        return drift

    def _diffusion(self, state: Array, schedule: Schedule) -> Array:
        """The white noise reaches the colored force, else the currents, else the voltages."""
        size = jnp.sqrt(2 * jnp.asarray(schedule.temperature, state.dtype))
        if self._colored:
            return jnp.zeros_like(state).at[-1].set(size / self._correlation(state))
        if self._heavy:
            size = size / jnp.asarray(self.inertia, state.dtype)
            return jnp.zeros_like(state).at[-1].set(size)
        return jnp.zeros_like(state).at[X].set(size)

    def _correlation(self, like: Array) -> Array:
        return jnp.asarray(self.correlation_time, like.dtype)

    @property
    def _heavy(self) -> bool:
        return not is_absent(self.inertia)

    @property
    def _colored(self) -> bool:
        return not is_absent(self.correlation_time)


def _diffrax() -> Any:
    try:
        import diffrax  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        msg = "`simulation` is 'diffrax', which is not installed: pip install 'pinn-ngd[spu]'."
        raise ImportError(msg) from error
    return diffrax
