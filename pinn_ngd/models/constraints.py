"""Boundary conditions met exactly by construction."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Inexact


class HardDirichlet(eqx.Module):
    """u(x) = lift(x) + distance(x) net(x), equal to g on the boundary whatever the network does.

    Let `lift` be a smooth extension of the boundary values, lift = g on the boundary, and
    `distance` a smooth function with distance = 0 on the boundary and distance > 0 inside. Then
    on the boundary u = g + 0 * net = g for all parameters, and no boundary term is needed.
    Conversely, for smooth exact u the network has to learn (u - lift) / distance; by Hadamard's
    lemma this quotient stays smooth up to the boundary if distance vanishes there to first order
    only (nonzero normal derivative). Examples: x (1 - x) on [0, 1], and t for an initial value.
    Lagaris, Likas and Fotiadis (1998), doi:10.1109/72.712178; Sukumar and Srivastava (2022),
    arXiv:2104.08426.

    `geometry.smooth_distance` makes `distance` for most domains.

    `lift` and `distance` are fixed functions (d,) -> () (static, never trained), `lift` also a
    number; `net` is any model, scalar or vector.
    """

    net: Callable[[Float[Array, " d"]], Any]
    lift: Callable[[Float[Array, " d"]], Any] | float = eqx.field(static=True)
    distance: Callable[[Float[Array, " d"]], Any] = eqx.field(static=True)

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        lift = self.lift(x) if callable(self.lift) else self.lift
        return lift + self.distance(x) * self.net(x)
