"""Named metrics: one list for the command line, the docs and the tests."""

from collections.abc import Callable
from typing import Any

from ..objectives import AbstractState
from .base import AbstractMetric
from .energy import EnergyMetric
from .euclidean import Euclidean
from .fisher_rao import FisherRao
from .kernel_wasserstein import KernelWasserstein
from .sobolev import Sobolev
from .wasserstein import Wasserstein

_METRICS: dict[str, tuple[Callable[..., AbstractMetric], str]] = {
    "energy": (EnergyMetric, "The objective's own Hessian: Gauss-Newton"),
    "euclidean": (Euclidean, "That of the parameters: gradient descent"),
    "l2": (Sobolev, "L2 of the state"),
    "h1": (lambda **k: Sobolev(order=1.0, **k), "H1 of the state"),
    "h2": (lambda **k: Sobolev(order=2.0, **k), "H2 of the state: that of a second-order residual"),
    "h1-homogeneous": (
        lambda **k: Sobolev(order=1.0, homogeneous=True, **k),
        "Gradients of the state in L2, constants not seen",
    ),
    "h-1": (lambda **k: Sobolev(order=-1.0, **k), "H-1 of the state"),
    "h-1-homogeneous": (
        lambda **k: Sobolev(order=-1.0, homogeneous=True, **k),
        "H-1 of the state, constants not seen",
    ),
    "fisher-rao": (FisherRao, "Fisher information of a positive state"),
    "wasserstein": (Wasserstein, "Wasserstein-2 of a positive state: transport of mass"),
    "wasserstein-central": (
        lambda **k: Wasserstein(operator="central", **k),
        "The same with the central differences of Nurbekyan, Lei and Yang's code",
    ),
    "wasserstein-kernel": (KernelWasserstein, "Wasserstein-2 of a density known by its samples"),
}
DENSITIES = ("fisher-rao", "wasserstein", "wasserstein-central")
_WITHOUT_STATE = ("energy", "euclidean", "wasserstein-kernel")


def get(name: str, *, state: AbstractState | None = None, **settings: Any) -> AbstractMetric:
    """The metric called `name`; `state` is what it acts on where the objective has no state.

    Raises ValueError for an unknown name.
    """
    if name not in _METRICS:
        msg = f"unknown metric {name!r}; known are {', '.join(_METRICS)}."
        raise ValueError(msg)
    make, _ = _METRICS[name]
    return make(**settings) if name in _WITHOUT_STATE else make(state=state, **settings)


def names() -> dict[str, str]:
    """Names of all metrics, each with a line that says what it is."""
    return {name: description for name, (_, description) in _METRICS.items()}


def needs_state(name: str) -> bool:
    """Whether that metric measures a state."""
    return name not in _WITHOUT_STATE
