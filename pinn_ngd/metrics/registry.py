"""Named metrics: one list for the command line, the docs and the tests."""

import functools
from typing import Any, NamedTuple

from .._names import choose, is_again
from .._settings import checked_settings, settings_of
from ..states import AbstractState
from .base import AbstractMetric
from .energy import EnergyMetric
from .euclidean import Euclidean
from .fisher_rao import FisherRao
from .kernel_wasserstein import KernelWasserstein
from .sobolev import Sobolev
from .state import AbstractStateMetric
from .wasserstein import Wasserstein


class Named(NamedTuple):
    """A class of metrics, what a name presets of its fields, and a line that describes it."""

    kind: type[AbstractMetric]
    presets: dict[str, Any]
    description: str

    def make(self, **settings: Any) -> AbstractMetric:
        return self.kind(**{**self.presets, **settings})


METRICS: dict[str, Named] = {}


def register(name: str, kind: type[AbstractMetric], description: str = "", **presets: Any) -> None:
    """Give a metric a name: for the optimizers that take one and on the command line.

    `presets` are values of the fields of that class. A subclass of `AbstractStateMetric` is given
    the state of the problem. Raises ValueError for a name that something else has.
    """
    if name in METRICS and not is_again(METRICS[name].kind, kind):
        raise ValueError(f"the name {name!r} is taken by another metric: choose a new one.")
    first = ((kind.__doc__ or "").strip().splitlines() or [""])[0]
    METRICS[name] = Named(kind, presets, description or first)


register("energy", EnergyMetric, "The objective's own Hessian: Gauss-Newton")
register("euclidean", Euclidean, "That of the parameters: gradient descent")
register("l2", Sobolev, "L2 of the state")
register("h1", Sobolev, "H1 of the state", order=1.0)
register("h2", Sobolev, "H2 of the state: that of a second-order residual", order=2.0)
register(
    "h1-homogeneous",
    Sobolev,
    "Gradients of the state in L2, constants not seen",
    order=1.0,
    homogeneous=True,
)
register("h-1", Sobolev, "H-1 of the state", order=-1.0)
register(
    "h-1-homogeneous",
    Sobolev,
    "H-1 of the state, constants not seen",
    order=-1.0,
    homogeneous=True,
)
register("fisher-rao", FisherRao, "Fisher information of a positive state")
register("wasserstein", Wasserstein, "Wasserstein-2 of a positive state: transport of mass")
register(
    "wasserstein-central",
    Wasserstein,
    "The same with the central differences of Nurbekyan, Lei and Yang's code",
    operator="central",
)
register("wasserstein-kernel", KernelWasserstein, "Wasserstein-2 of a density known by its samples")


def get(name: str, *, state: AbstractState | None = None, **settings: Any) -> AbstractMetric:
    """The metric called `name`; `state` is what it acts on where the objective has no state.

    `settings` are fields of its class, such as `floor` or `order`. Raises ValueError for an unknown
    name or setting, and for a value that a setting cannot have.
    """
    named = choose(name, METRICS, "metric")
    make = functools.partial(named.kind, **named.presets)
    chosen = checked_settings(f"metric {name!r}", make, settings)
    chosen |= {"state": state} if issubclass(named.kind, AbstractStateMetric) else {}
    return named.make(**chosen)


def names() -> dict[str, str]:
    """Names of all metrics, each with a line that says what it is."""
    return {name: named.description for name, named in METRICS.items()}


def settings(name: str) -> dict[str, Any]:
    """The settings of a metric and their defaults; its `state` is the problem's and not listed."""
    named = choose(name, METRICS, "metric")
    known = settings_of(named.kind) | named.presets
    return {key: value for key, value in known.items() if key != "state"}


def needs_state(name: str) -> bool:
    """Whether that metric measures a state."""
    return issubclass(choose(name, METRICS, "metric").kind, AbstractStateMetric)
