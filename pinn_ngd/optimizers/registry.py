"""Named optimizers: ten-line compositions, one list for the CLI, the docs and the tests."""

import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax

from .. import metrics
from ..linalg import Form, Spectral, get_solver
from ..metrics import AbstractMetric, EnergyMetric, Euclidean, Sketched
from . import minibatch_presets
from .acceleration import AbstractAcceleration, Chord, Geodesic, Plain
from .adapters import OptaxOptimizer
from .averaging import Averaged
from .base import AbstractOptimizer
from .bfgs import bfgs
from .line_search import Armijo, FixedStep, GridLineSearch
from .natural_gradient import NaturalGradient
from .scipy_lm import ScipyLevenbergMarquardt
from .trust_region import TrustRegion

ACCELERATIONS: dict[str, AbstractAcceleration] = {
    "chord": Chord(),
    "geodesic": Geodesic(),
    "none": Plain(),
}


def _solver(solver: Any, default: Any) -> Any:
    if solver is None:
        return default
    return get_solver(solver) if isinstance(solver, str) else solver


def _metric(metric: str | AbstractMetric) -> AbstractMetric:
    return metrics.get(metric) if isinstance(metric, str) else metric


def engd(
    *, solver: Any = None, form: Form = "auto", rcond: float = 2e-7, largest_step: float = 2.0
) -> AbstractOptimizer:
    """Energy natural gradient as published: pseudo-inverse of the Gram matrix, grid line search.

    `rcond` cuts singular values of J; its default is sqrt(eps p) for a few hundred parameters, the
    cut-off of their `lstsq` on J^T J. `largest_step` is 2 in their scaling (a loss without 1/2
    against a Gram matrix without 2) and 1 in that of their 5-d script.
    """
    default = Spectral(method="gram", rcond=rcond)
    search = GridLineSearch(largest=largest_step)
    return NaturalGradient(solver=_solver(solver, default), search=search, form=form)


def engd_tr(
    *,
    metric: str | AbstractMetric = "energy",
    solver: Any = None,
    form: Form = "auto",
    acceleration: str | AbstractAcceleration | None = None,
    acceptance: float = 0.1,
    corrections: int | None = None,
) -> AbstractOptimizer:
    """Energy natural gradient, ratio-controlled damping, curvature-corrected candidates.

    The correction is the energy metric's; other metrics go without.
    """
    metric = _metric(metric)
    if acceleration is None:
        acceleration = "chord" if isinstance(metric, EnergyMetric) else "none"
    if isinstance(acceleration, str):
        if acceleration not in ACCELERATIONS:
            known = ", ".join(ACCELERATIONS)
            msg = f"`acceleration` is {acceleration!r}; it must be one of {known}."
            raise ValueError(msg)
        acceleration = ACCELERATIONS[acceleration]
    if corrections is not None:
        acceleration = Chord(iterations=corrections)
    return TrustRegion(
        metric=metric,
        solver=_solver(solver, Spectral(refine=False)),
        form=form,
        acceleration=acceleration,
        acceptance=acceptance,
    )


SEARCHES = {
    "armijo": lambda rate, limit: Armijo(initial=1.0 if rate is None else rate, norm_limit=limit),
    "grid": lambda rate, limit: GridLineSearch(largest=1.0 if rate is None else rate),  # noqa: ARG005
    "fixed": lambda rate, limit: FixedStep(0.1 if rate is None else rate, limit),
}


def wngd(
    *,
    metric: str | AbstractMetric = "wasserstein",
    solver: Any = None,
    form: Form = "auto",
    sketch: int | None = None,
    damping: float = 1e-5,
    search: str = "armijo",
    rate: float | None = None,
    norm_limit: float = float("inf"),
    bounds: tuple[float, float] | None = None,
) -> AbstractOptimizer:
    """Natural gradient in a metric of the state (default: Wasserstein), Armijo line search.

    `damping` is relative to |Y|_F^2. `sketch` is the number of adjoint solves of Hutchinson's
    estimate of the metric, none by default. `search` is "armijo", "grid" or "fixed", `rate` its
    first (or only) step length; `norm_limit` bounds the length of a step, `bounds` the parameters.
    """
    if search not in SEARCHES:
        msg = f"`search` is {search!r}; it must be one of {', '.join(SEARCHES)}."
        raise ValueError(msg)
    return NaturalGradient(
        metric=_metric(metric) if sketch is None else Sketched(_metric(metric), sketch),
        solver=_solver(solver, Spectral()),
        search=SEARCHES[search](rate, norm_limit),
        damping=damping,
        relative=True,
        form=form,
        bounds=bounds,
    )


def engd_w(
    *, solver: Any = "cholesky", damping: float = 1e-10, rate: float | None = None
) -> AbstractOptimizer:
    """Damped energy natural gradient in the dual (kernel) form: A^T (A A^T + damping)^-1 b."""
    search = GridLineSearch() if rate is None else FixedStep(rate=rate)
    return NaturalGradient(
        solver=_solver(solver, None), search=search, damping=damping, form="dual"
    )


def spring(
    *,
    solver: Any = "cholesky",
    damping: float = 1e-10,
    momentum: float = 0.3,
    rate: float | None = None,
) -> AbstractOptimizer:
    """ENGD-W with the Kaczmarz-style momentum of SPRING."""
    search = GridLineSearch() if rate is None else FixedStep(rate=rate)
    return NaturalGradient(
        solver=_solver(solver, None),
        search=search,
        damping=damping,
        momentum=momentum,
        form="dual",
    )


def gd() -> AbstractOptimizer:
    """Gradient descent with the 31-point grid line search."""
    return NaturalGradient(metric=Euclidean(), solver=get_solver("cg"), search=GridLineSearch())


def adam(*, rate: float = 1e-3) -> AbstractOptimizer:
    """Adam with the schedule of the ENGD paper.

    `rate` for 15,000 steps, then a tenth of it, and a tenth of that every 10,000 steps, not below
    1e-7.
    """

    def schedule(count):
        drops = jnp.maximum(0, jnp.ceil((count - 15_000) / 10_000))
        return jnp.maximum(rate * 0.1**drops, 1e-7)

    return OptaxOptimizer(optax.adam(schedule))


def lbfgs(*, memory: int = 10) -> AbstractOptimizer:
    """L-BFGS with the zoom line search, from Optax."""
    return OptaxOptimizer(optax.lbfgs(memory_size=memory), steps_per_call=10)


def bfgs_dense() -> AbstractOptimizer:
    """BFGS with a dense inverse Hessian and a zoom line search."""
    return OptaxOptimizer(bfgs(), steps_per_call=10)


def scipy_lm(*, evaluations: int = 50) -> AbstractOptimizer:
    """MINPACK's Levenberg-Marquardt through SciPy, with this package's Jacobian."""
    return ScipyLevenbergMarquardt(evaluations=evaluations)


_PRESETS: dict[str, Callable[..., AbstractOptimizer]] = {
    "engd-tr": engd_tr,
    "engd": engd,
    "wngd": wngd,
    "engd-w": engd_w,
    "spring": spring,
    "gd": gd,
    "adam": adam,
    "lbfgs": lbfgs,
    "bfgs": bfgs_dense,
    "scipy-lm": scipy_lm,
    **minibatch_presets.PRESETS,
}


STOCHASTIC = {"adam", *minibatch_presets.PRESETS}


def get(name: str, **settings: Any) -> AbstractOptimizer:
    """The optimizer called `name`, with its settings overridden.

    Those of minibatches have the setting `average` beside their own: see `Averaged`. Raises
    ValueError for an unknown name or setting, naming the known ones.
    """
    if name not in _PRESETS:
        msg = f"unknown optimizer {name!r}; known are {', '.join(_PRESETS)}."
        raise ValueError(msg)
    known = _keywords(name)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        msg = (
            f"optimizer {name!r} has no setting {', '.join(unknown)}; "
            f"it has {', '.join(known) or 'none'}."
        )
        raise ValueError(msg)
    settings = {key: _like(known[key], value) for key, value in settings.items()}
    average = settings.pop("average", 0.0)
    optimizer = _PRESETS[name](**settings)
    return Averaged(optimizer, average) if average else optimizer


def _like(default: Any, value: Any) -> Any:
    """The value; a float where it is an integer and the default a float: time=5 is time=5.0."""
    return float(value) if isinstance(default, float) and type(value) is int else value


def names() -> dict[str, str]:
    """Names of all optimizers, each with a line that says what it is."""
    return {
        name: (preset.__doc__ or "").strip().splitlines()[0] for name, preset in _PRESETS.items()
    }


def settings(name: str) -> dict[str, Any]:
    """The settings of an optimizer and their defaults."""
    get(name)
    return _keywords(name)


def _keywords(name: str) -> dict[str, Any]:
    parameters = inspect.signature(_PRESETS[name]).parameters
    own = {key: parameter.default for key, parameter in parameters.items()}
    return own | ({"average": 0.0} if name in STOCHASTIC else {})
