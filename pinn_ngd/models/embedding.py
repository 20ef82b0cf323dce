"""Fixed features of the coordinates in front of a network: periodic, even, random Fourier ones."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from ..geometry.domains import Box, Domain
from .normalized import UnitBox


class PeriodicFeatures(eqx.Module):
    """x -> (cos(2 pi k x_j / P_j), sin(2 pi k x_j / P_j)) on periodic axes, others as they are.

    A smooth function of these features *is* periodic, with all its derivatives, whatever its
    parameters: no periodic term is needed (Dong and Ni, J. Comput. Phys. 2021, arXiv:2007.07442).
    P_j is the extent of the domain along the axis, k = 1, ..., `harmonics`. Nothing is trained.
    `image` is the box that the features fill, the domain of the network behind them:

        features = PeriodicFeatures(domain, axes=(1,))
        net = MLP((features.size, 20, 20, 1), key=key, domain=features.image)
        model = Embedded(features, net)

    Raises ValueError for axes that are not among those of the domain, and for no harmonics.
    """

    dimension: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)
    periods: tuple[float, ...] = eqx.field(static=True)
    harmonics: int = eqx.field(static=True)
    image: Box = eqx.field(static=True)

    def __init__(self, domain: Domain, axes: Sequence[int], *, harmonics: int = 1):
        self.dimension, self.axes, self.harmonics = domain.dimension, tuple(axes), harmonics
        _check_axes(self.axes, self.dimension, "the periodic ones")
        if harmonics < 1:
            raise ValueError(f"`harmonics` is {harmonics}: take one or more.")
        self.periods = tuple(float(domain.extents[axis]) for axis in self.axes)
        kept = [axis for axis in range(self.dimension) if axis not in self.axes]
        waves = 2 * self.harmonics * len(self.axes)
        self.image = Box(
            [*(domain.lower[axis] for axis in kept), *(-1.0,) * waves],
            [*(domain.upper[axis] for axis in kept), *(1.0,) * waves],
        )

    @property
    def size(self) -> int:
        """The number of features, which is the number of inputs that the network has to have."""
        return self.dimension - len(self.axes) + 2 * self.harmonics * len(self.axes)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " size"]:
        kept = [x[i] for i in range(self.dimension) if i not in self.axes]
        angles = [
            (2 * np.pi * k / period) * x[axis]
            for axis, period in zip(self.axes, self.periods, strict=True)
            for k in range(1, self.harmonics + 1)
        ]
        return jnp.stack([*kept, *map(jnp.cos, angles), *map(jnp.sin, angles)])


class NeumannFeatures(eqx.Module):
    """x -> cos(pi (x_j - lower_j) / L_j) on some axes, others as they are.

    A smooth function of these features is even about both faces across these axes, so that its
    normal derivative on them *is* zero, whatever its parameters: no term is needed for it. Where
    the solution itself is smooth up to the faces and satisfies the condition it is a smooth
    function of the features for as many derivatives as its even continuation has.

    Raises ValueError for axes that are not among those of the domain.
    """

    dimension: int = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)
    lower: tuple[float, ...] = eqx.field(static=True)
    extents: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, domain: Domain, axes: Sequence[int]):
        self.dimension, self.axes = domain.dimension, tuple(axes)
        _check_axes(self.axes, self.dimension, "those with a zero normal derivative")
        self.lower = tuple(float(a) for a in domain.lower)
        self.extents = tuple(float(a) for a in domain.extents)

    @property
    def size(self) -> int:
        """The number of features: as many as there are coordinates."""
        return self.dimension

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        def feature(i: int) -> Float[Array, ""]:
            if i not in self.axes:
                return x[i]
            return jnp.cos(np.pi * (x[i] - self.lower[i]) / self.extents[i])

        return jnp.stack([feature(i) for i in range(self.dimension)])


def _check_axes(axes: tuple[int, ...], dimension: int, which: str) -> None:
    if not axes or any(not 0 <= axis < dimension for axis in axes):
        raise ValueError(
            f"`axes` = {axes} are not among the {dimension} of the domain: name {which}, such as "
            "(1,) for space in space-time."
        )


class FourierFeatures(eqx.Module):
    """x -> (cos(2 pi B y), sin(2 pi B y)), y = (x - lower) / extents, with random B that is fixed.

    The entries of B (count, d) are normal with deviation `scales`, one number or several, to which
    the rows are then shared out: several scales let a network of low frequency learn a solution
    of several frequencies (Tancik et al., NeurIPS 2020; Wang, Wang and Perdikaris 2021,
    arXiv:2012.10047). Nothing is trained.

    Raises ValueError for fewer rows than scales, or a scale that is not positive.
    """

    frequencies: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    lower: tuple[float, ...] = eqx.field(static=True)
    extents: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        domain: Domain,
        count: int,
        *,
        key: PRNGKeyArray,
        scales: float | Sequence[float] = 1.0,
    ):
        spread = np.atleast_1d(np.asarray(scales, float))
        if count < spread.size or not np.all(spread > 0):
            raise ValueError(
                f"`count` = {count} and `scales` = {scales} make no features: give positive "
                "scales, and at least one feature for each."
            )
        rows = spread[np.arange(count) * spread.size // count, None]
        normal = np.asarray(jax.random.normal(key, (count, domain.dimension), jnp.float32), float)
        self.frequencies = tuple(map(tuple, (rows * normal).tolist()))
        self.lower = tuple(float(a) for a in domain.lower)
        self.extents = tuple(float(a) for a in domain.extents)

    @property
    def size(self) -> int:
        """The number of features, twice the number of frequencies."""
        return 2 * len(self.frequencies)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " size"]:
        unit = (x - jnp.asarray(self.lower, x.dtype)) / jnp.asarray(self.extents, x.dtype)
        angles = 2 * np.pi * (jnp.asarray(self.frequencies, x.dtype) @ unit)
        return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)])


class Embedded(eqx.Module):
    """u(x) = network(features(x)), for any features and any network."""

    features: Callable[[Float[Array, " d"]], Float[Array, " size"]]
    network: Callable[[Float[Array, " size"]], Any]

    def __call__(self, x: Float[Array, " d"]) -> Inexact[Array, "*k"]:
        return self.network(self.features(x))


def knows_its_domain(model: Any) -> bool:
    """Whether a part of a model was made for a domain and has taken its units into account."""
    kinds = (UnitBox, PeriodicFeatures, NeumannFeatures, FourierFeatures)
    parts = jax.tree.leaves(model, is_leaf=lambda part: isinstance(part, kinds))
    return any(isinstance(part, kinds) for part in parts)
