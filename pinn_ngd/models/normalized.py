"""Coordinates and values of order one."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from ..geometry.domains import Domain

FAR = 10.0  # times one: what lies beyond is not of order one


class UnitBox(eqx.Module):
    """x -> (x - lower) / extents, which maps a domain into the unit box. Nothing to train."""

    lower: tuple[float, ...] = eqx.field(static=True)
    extents: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, domain: Domain):
        self.lower = tuple(float(x) for x in domain.lower)
        self.extents = tuple(float(x) for x in domain.extents)

    @property
    def is_of_order_one(self) -> bool:
        """Whether a network may take the coordinates as they are: sides and places near one."""
        near = all(abs(x) <= FAR for x in self.lower)
        return near and all(1 / FAR <= x <= FAR for x in self.extents)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        return (x - jnp.asarray(self.lower, x.dtype)) / jnp.asarray(self.extents, x.dtype)


class Normalized(eqx.Module):
    """u(x) = center + half_width net((x - lower) / extents): a network for a problem in its units.

    In SI units coordinates and values are far from one: 3600 seconds, 0.05 meters, 300 kelvin. A
    network whose parameters have to make up for that is trained badly or not at all. `net` sees the
    unit box instead of `domain` and has to return numbers between -1 and 1 for values in the range
    `values`, such as (280.0, 320.0), or a pair for every component, ((0.0, 1.0), (-5.0, 5.0)). Both
    are only a matter of scale and need not be exact. Nothing here is trained. A `models.MLP` that
    was given such a domain has normalized its inputs already.

    Raises ValueError for a range without width.
    """

    net: Callable
    inputs: UnitBox | None
    center: tuple[float, ...] | float = eqx.field(static=True)
    half_width: tuple[float, ...] | float = eqx.field(static=True)

    def __init__(
        self,
        net: Callable,
        *,
        domain: Domain | None = None,
        values: Any = (-1.0, 1.0),
    ):
        ends = np.asarray(values, float)
        if (
            ends.ndim not in (1, 2)
            or ends.shape[-1] != 2
            or not np.all(ends[..., 0] < ends[..., 1])
        ):
            raise ValueError(
                f"`values` = {values!r} is no range: give the least and the largest value that the "
                "solution takes, roughly, such as (280.0, 320.0), or such a pair a component."
            )
        self.net = net
        self.inputs = None if domain is None else UnitBox(domain)
        self.center = _plain(ends.mean(axis=-1).tolist())
        self.half_width = _plain((0.5 * np.diff(ends)[..., 0]).tolist())

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        y = self.net(x if self.inputs is None else self.inputs(x))
        return jnp.asarray(self.center, y.dtype) + jnp.asarray(self.half_width, y.dtype) * y


def _plain(x: list[float] | float) -> tuple[float, ...] | float:
    """Plain numbers, which may be static: arrays are neither hashable nor comparable."""
    return tuple(x) if isinstance(x, list) else x
