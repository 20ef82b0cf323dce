"""Directions from a simulated analog device that is read before it has settled."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import PRNGKeyArray, PyTree

from .. import _tree
from .._settings import NonNegative
from ..linalg import LeastSquaresSystem, solve
from ..spu import SPU
from .directions import AbstractDirection
from .forms import gradient_of


class DeviceState(eqx.Module):
    """The voltages at the last read-out and, with a delay, the system that was loaded then."""

    voltages: PyTree
    loaded: PyTree


class Thermodynamic(AbstractDirection):
    """d = x(time), where dx = -((A^T A + damping) x - g) dt + noise, started at x(0) = g.

    `solver.time` leads from the gradient (0) to the natural gradient (infinity). With `carry` the
    device starts from its last read-out, not from g: a momentum whose memory is long in flat
    directions. With `delay` > 0 the new system is uploaded only after that time: the first
    segment, of length `delay`, runs with the system of the previous step, the second, of length
    time - delay, with the new one (Donatella et al., arXiv:2405.13817, section 4: curvature and
    gradient are computed while the device settles). At the first step the old system is the new.
    A delayed device is never reset between the segments; without `carry` it starts from the old g.

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
        """From `start`, or from the gradient, which `solve` knows to be A^T target, for None.

        Not a number where the voltages have grown without bound, so that a training fails there.
        """
        solver = eqx.tree_at(lambda s: s.time, self.solver, time)
        given = {} if start is None else {"y0": start}
        solution = solve(system, solver, options={"key": key, **given})
        stable = solution.result == lx.RESULTS.successful
        return jax.tree.map(lambda x: jnp.where(stable, x, jnp.nan), solution.value)

    def _kept(self, system: LeastSquaresSystem) -> PyTree:
        """The system as strongly typed arrays, where a delay will need it again."""
        return jax.tree.map(jnp.asarray, system) if self.delay else ()


class RelativeNoise(AbstractDirection):
    """Another direction's d with white noise of `level` times its own norm: an imperfect read-out.

    Temperatures are absolute, gradients shrink: noise relative to them carries over between
    problems. The noise vector's expected squared norm is (level |d|)^2.
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
