"""Directions from a simulated analog device that is read before it has come to equilibrium."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import PRNGKeyArray, PyTree

from ... import _tree
from ..._settings import NonNegative
from ...linalg import LeastSquaresSystem, solve
from ...spu import SPU
from ..forms import gradient_of
from .directions import AbstractDirection


class DeviceState(eqx.Module):
    """The voltages at the last read-out and, with a delay, the system that was loaded then."""

    voltages: PyTree
    loaded: PyTree


class Thermodynamic(AbstractDirection):
    """d = x(time), where dx = -((A^T A + damping) x - g) dt + noise, started at x(0) = g.

    A read-out at `solver.time` 0 is the gradient, one at infinite time the natural gradient. With
    `carry` the device starts from its last read-out and not from g. This acts as a momentum that
    lasts long in flat directions. With `delay` > 0 the new system reaches the device after that
    time only: the first segment, of length `delay`, runs with the system of the previous step, and
    the second, of length time - delay, with the new one (Donatella et al., arXiv:2405.13817,
    section 4: the computer finds curvature and gradient while the device settles). In the first
    step both segments run with the new system. A delayed device is never reset between the
    segments; without `carry` it starts from the gradient of the previous system.

    Raises ValueError for a `delay` outside 0..time.
    """

    solver: SPU
    delay: NonNegative = eqx.field(static=True, default=0.0)
    carry: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        time: Any = self.solver.time
        if not 0 <= self.delay <= time:
            msg = f"`delay` is {self.delay}; it must lie between 0 and `time` = {time}."
            raise ValueError(msg)

    def init(self, system: LeastSquaresSystem) -> DeviceState:
        return DeviceState(gradient_of(system), self._kept(system))

    def __call__(
        self, system: LeastSquaresSystem, state: DeviceState, key: PRNGKeyArray
    ) -> tuple[PyTree, DeviceState]:
        first, second = jax.random.split(key)
        start = state.voltages if self.carry else None
        if self.delay:
            start = self._settle(state.loaded, self.delay, start, first)
        voltages = self._settle(system, self.solver.time - self.delay, start, second)
        return voltages, DeviceState(voltages, self._kept(system))

    def _settle(
        self, system: LeastSquaresSystem, time: Any, start: PyTree | None, key: PRNGKeyArray
    ) -> PyTree:
        """The voltages after `time`, from `start`, or from the gradient where `start` is None.

        They are not a number where they have grown without bound, so that the training fails there.
        """
        solver = eqx.tree_at(lambda s: s.time, self.solver, time)
        given = {} if start is None else {"y0": start}
        solution = solve(system, solver, options={"key": key, **given})
        stable = solution.result == lx.RESULTS.successful
        return jax.tree.map(lambda x: jnp.where(stable, x, jnp.nan), solution.value)

    def _kept(self, system: LeastSquaresSystem) -> PyTree:
        """The system, in arrays without weak types, where the next step begins with it; else ()."""
        return jax.tree.map(jnp.asarray, system) if self.delay else ()


class RelativeNoise(AbstractDirection):
    """The direction d of `inner` with white noise of `level` times its norm: an imperfect read-out.

    The expected squared norm of the noise is (level |d|)^2. A temperature is absolute while
    gradients shrink during a training; a relative level means the same in every problem.
    """

    inner: AbstractDirection
    level: NonNegative = 0.0

    @property
    def matrix_free(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.matrix_free

    def init(self, system: LeastSquaresSystem) -> PyTree:
        return self.inner.init(system)

    def __call__(
        self, system: LeastSquaresSystem, state: PyTree, key: PRNGKeyArray
    ) -> tuple[PyTree, PyTree]:
        inner_key, own = jax.random.split(key)
        direction, state = self.inner(system, state, inner_key)
        leaves, treedef = jax.tree.flatten(direction)
        scale = self.level * _tree.norm(direction) / _tree.size(direction) ** 0.5
        keys = jax.random.split(own, len(leaves))
        noisy = [
            leaf + scale * jax.random.normal(k, leaf.shape, leaf.dtype)
            for leaf, k in zip(leaves, keys, strict=True)
        ]
        return jax.tree.unflatten(treedef, noisy), state
