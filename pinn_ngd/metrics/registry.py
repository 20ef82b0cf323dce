"""The names of metrics: one list for the command line, the docs and the tests."""

import functools
from typing import Any, NamedTuple

from .._registry import Registry
from .._settings import checked_settings, settings_of
from ..states import AbstractState
from .base import AbstractMetric
from .dually_flat import DuallyFlat
from .energy import EnergyMetric
from .euclidean import Euclidean
from .fisher_rao import FisherRao
from .kernel_wasserstein import KernelWasserstein
from .sobolev import Sobolev
from .wasserstein import Wasserstein


class Named(NamedTuple):
    """A class of metrics, the values that a name gives to its fields, and a line of description."""

    kind: type[AbstractMetric]
    presets: dict[str, Any]
    description: str

    def make(self, **settings: Any) -> AbstractMetric:
        return self.kind(**{**self.presets, **settings})


def register(name: str, kind: type[AbstractMetric], description: str = "", **presets: Any) -> None:
    """Give a metric a name: for the optimizers that take one and on the command line.

    `presets` are values of the fields of that class. A class with `needs_state` is given the state
    of the problem. Raises ValueError for a name that something else has.
    """
    first = ((kind.__doc__ or "").strip().splitlines() or [""])[0]
    METRICS.add(name, Named(kind, presets, description or first), lambda named: named.kind)


METRICS: Registry[Named] = Registry("metric", "pinn_ngd.metrics", register)

register("energy", EnergyMetric, "Hessian of the objective in function space: Gauss-Newton")
register("euclidean", Euclidean, "Euclidean metric of the parameters: plain gradient descent")
register("dually-flat", DuallyFlat, "Fisher metric of an exponential family, by its coordinates")
register("l2", Sobolev, "L2 metric of the state")
register("h1", Sobolev, "H1 metric of the state", order=1.0)
register("h2", Sobolev, "H2 metric of the state, as of a residual of second order", order=2.0)
register(
    "h1-homogeneous",
    Sobolev,
    "L2 metric of the gradient of the state, zero for constants",
    order=1.0,
    homogeneous=True,
)
register("h-1", Sobolev, "H-1 metric of the state", order=-1.0)
register(
    "h-1-homogeneous",
    Sobolev,
    "H-1 metric of the state, zero for constants",
    order=-1.0,
    homogeneous=True,
)
register("fisher-rao", FisherRao, "Fisher-Rao metric of a positive state")
register("wasserstein", Wasserstein, "Wasserstein-2 metric of a positive state: transport of mass")
register(
    "wasserstein-central",
    Wasserstein,
    "Wasserstein-2 metric with the central differences of Nurbekyan, Lei and Yang's code",
    operator="central",
)
register(
    "wasserstein-kernel",
    KernelWasserstein,
    "Wasserstein-2 metric of a density that is known by its samples",
)


def get(name: str, *, state: AbstractState | None = None, **settings: Any) -> AbstractMetric:
    """The metric called `name`; `state` is the state that it measures where the objective has none.

    `settings` are fields of its class, such as `floor` or `order`. Raises ValueError for an unknown
    name or setting, and for a value that a setting cannot have.
    """
    named = METRICS.find(name)
    make = functools.partial(named.kind, **named.presets)
    chosen = checked_settings(f"metric {name!r}", make, settings)
    chosen |= {"state": state} if named.kind.needs_state else {}
    return named.make(**chosen)


def names() -> dict[str, str]:
    """Names of all metrics, each with a line that says what it is."""
    return {name: named.description for name, named in METRICS.complete().items()}


def settings(name: str) -> dict[str, Any]:
    """The settings of a metric and their defaults, without `state`, which a problem provides."""
    named = METRICS.find(name)
    known = settings_of(named.kind) | named.presets
    return {key: value for key, value in known.items() if key != "state"}


def needs_state(name: str) -> bool:
    """Whether that metric measures a state."""
    return METRICS.find(name).kind.needs_state
