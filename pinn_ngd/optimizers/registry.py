"""Named optimizers: ten-line compositions, one list for the CLI, the docs and the tests."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import lineax as lx
import optax

from .. import metrics
from .._names import choose, is_again
from .._settings import (
    Count,
    Fraction,
    NonNegative,
    Positive,
    check_known,
    checked,
    checked_settings,
    settings_of,
)
from ..linalg import Form, Spectral, get_solver
from ..metrics import AbstractMetric, EnergyMetric, Euclidean, Sketched
from . import minibatch_presets
from .acceleration import AbstractAcceleration, Chord, Geodesic, Plain
from .adapters import OptaxOptimizer
from .averaging import Averaged
from .base import AbstractOptimizer
from .bfgs import bfgs
from .citations import ENTRIES
from .line_search import Armijo, FixedStep, GridLineSearch
from .natural_gradient import NaturalGradient
from .schedules import schedule as rate_of
from .scipy_lm import ScipyLevenbergMarquardt
from .trust_region import TrustRegion

ACCELERATIONS: dict[str, AbstractAcceleration] = {
    "chord": Chord(),
    "geodesic": Geodesic(),
    "none": Plain(),
}


PREFIX = "metric."
# Settings of a training and not of a method: a comparison gives them to all.
SHARED = ("schedule", "decay_steps", "average")
Solver = lx.AbstractLinearSolver | str | None


def _solver(solver: Solver, default: Any) -> Any:
    if solver is None:
        return default
    return get_solver(solver) if isinstance(solver, str) else solver


def _metric(metric: str | AbstractMetric) -> AbstractMetric:
    return metrics.get(metric) if isinstance(metric, str) else metric


def engd(
    *,
    solver: Solver = None,
    form: Form = "auto",
    rcond: NonNegative = 2e-7,
    largest_step: Positive = 2.0,
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
    solver: Solver = None,
    form: Form = "auto",
    acceleration: str | AbstractAcceleration | None = None,
    acceptance: Fraction = 0.1,
    corrections: Count | None = None,
) -> AbstractOptimizer:
    """Energy natural gradient, ratio-controlled damping, curvature-corrected candidates.

    The correction is the energy metric's; other metrics go without.
    """
    metric = _metric(metric)
    chosen: Any = acceleration
    if chosen is None:
        chosen = "chord" if isinstance(metric, EnergyMetric) else "none"
    if isinstance(chosen, str):
        chosen = choose(chosen, ACCELERATIONS, "`acceleration`")
    if corrections is not None:
        chosen = Chord(iterations=corrections)
    return TrustRegion(
        metric=metric,
        solver=_solver(solver, Spectral(refine=False)),
        form=form,
        acceleration=chosen,
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
    solver: Solver = None,
    form: Form = "auto",
    sketch: Count | None = None,
    damping: NonNegative = 1e-5,
    search: str = "armijo",
    rate: Positive | None = None,
    norm_limit: Positive = float("inf"),
    bounds: Any = None,
) -> AbstractOptimizer:
    """Natural gradient in a metric of the state (default: Wasserstein), Armijo line search.

    `damping` is relative to |Y|_F^2. `sketch` is the number of adjoint solves of Hutchinson's
    estimate of the metric, none by default. `search` is "armijo", "grid" or "fixed", `rate` its
    first (or only) step length; `norm_limit` bounds the length of a step, `bounds` the parameters:
    (lower, upper) all of them, {"sigma": (0, 20)} some by the names of their leaves.
    """
    searching = choose(search, SEARCHES, "`search`")
    return NaturalGradient(
        metric=_metric(metric) if sketch is None else Sketched(_metric(metric), sketch),
        solver=_solver(solver, Spectral()),
        search=searching(rate, norm_limit),
        damping=damping,
        relative=True,
        form=form,
        bounds=bounds,
    )


def engd_w(
    *, solver: Solver = "cholesky", damping: NonNegative = 1e-10, rate: Positive | None = None
) -> AbstractOptimizer:
    """Damped energy natural gradient in the dual (kernel) form: A^T (A A^T + damping)^-1 b."""
    search = GridLineSearch() if rate is None else FixedStep(rate=rate)
    return NaturalGradient(
        solver=_solver(solver, None), search=search, damping=damping, form="dual"
    )


def spring(
    *,
    solver: Solver = "cholesky",
    damping: NonNegative = 1e-10,
    momentum: Fraction = 0.3,
    rate: Positive | None = None,
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


def adam(
    *, rate: Positive = 1e-3, schedule: str = "drops", decay_steps: Count = 1000
) -> AbstractOptimizer:
    """Adam, by default with the schedule of the ENGD paper.

    That is called "drops": `rate` for 15,000 steps, then a tenth of it, and a tenth of that every
    10,000 steps, not below 1e-7; whatever `decay_steps`. The others are those of `schedules`.
    """
    return OptaxOptimizer(optax.adam(rate_of(schedule, rate, decay_steps)))


def lbfgs(*, memory: Count = 10) -> AbstractOptimizer:
    """L-BFGS with the zoom line search, from Optax."""
    return OptaxOptimizer(optax.lbfgs(memory_size=memory), steps_per_call=10)


def bfgs_dense() -> AbstractOptimizer:
    """BFGS with a dense inverse Hessian and a zoom line search."""
    return OptaxOptimizer(bfgs(), steps_per_call=10)


def scipy_lm(*, evaluations: Count = 50) -> AbstractOptimizer:
    """MINPACK's Levenberg-Marquardt through SciPy, with this package's Jacobian."""
    return ScipyLevenbergMarquardt(evaluations=evaluations)


class Preset(NamedTuple):
    """How an optimizer is made, what it cites, and whether its iterates may be averaged."""

    make: Callable[..., AbstractOptimizer]
    bibtex: tuple[str, ...] = ()
    averaged: bool = False


PRESETS: dict[str, Preset] = {}


def register(
    name: str,
    make: Callable[..., AbstractOptimizer],
    *,
    bibtex: tuple[str, ...] | str = (),
    averaged: bool = False,
) -> None:
    """Give an optimizer a name: for `get`, for `train` and on the command line.

    `make` is called with keyword settings; the first line of its docstring describes it, and its
    annotations and defaults say what the settings may be. `bibtex` are the entries that `citation`
    prints. With `averaged` the optimizer has the setting `average` (see `Averaged`). Raises
    ValueError for a name that something else has.
    """
    if name in PRESETS and not is_again(PRESETS[name].make, make):
        raise ValueError(f"the name {name!r} is taken by another optimizer: choose a new one.")
    entries = (bibtex,) if isinstance(bibtex, str) else tuple(bibtex)
    PRESETS[name] = Preset(make, entries, averaged)


def _cited(*keys: str) -> tuple[str, ...]:
    return tuple(ENTRIES[key] for key in keys)


register("engd-tr", engd_tr, bibtex=_cited("engd", "radius", "geodesic", "lineax"))
register("engd", engd, bibtex=_cited("engd", "lineax"))
register("wngd", wngd, bibtex=_cited("state", "lineax"))
register("engd-w", engd_w, bibtex=_cited("engd", "spring", "lineax"))
register("spring", spring, bibtex=_cited("engd", "spring", "lineax"))
register("gd", gd, bibtex=_cited("numerical"))
register("adam", adam, bibtex=_cited("adam"), averaged=True)
register("lbfgs", lbfgs, bibtex=_cited("lbfgs"))
register("bfgs", bfgs_dense, bibtex=_cited("numerical"))
register("scipy-lm", scipy_lm, bibtex=_cited("minpack"))
for _name, (_make, _keys) in minibatch_presets.PRESETS.items():
    register(_name, _make, bibtex=_cited(*_keys), averaged=True)


def get(name: str, **settings: Any) -> AbstractOptimizer:
    """The optimizer called `name`, with its settings overridden.

    Those of minibatches have the setting `average` beside their own: see `Averaged`. Where
    `metric` is a name, settings called "metric.floor" and the like are handed on to it. Raises
    ValueError for an unknown name or setting, naming the known ones, and for a value that a setting
    cannot have.
    """
    preset = choose(name, PRESETS, "optimizer")
    known = _keywords(preset)
    settings = _with_metric(settings, known)
    check_known(f"optimizer {name!r}", settings, known)
    average = checked("average", settings.pop("average", 0.0), Fraction)
    optimizer = preset.make(**checked_settings(f"optimizer {name!r}", preset.make, settings))
    return Averaged(optimizer, average) if average else optimizer


def split_metric(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of an optimizer, and those of its metric, which are called "metric.name"."""
    own = {key: value for key, value in settings.items() if not key.startswith(PREFIX)}
    rest = {key: value for key, value in settings.items() if key.startswith(PREFIX)}
    return own, {key.removeprefix(PREFIX): value for key, value in rest.items()}


def _with_metric(settings: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    own, given = split_metric(settings)
    metric = own.get("metric", known.get("metric"))
    if not given or metric is None:  # unknown settings are told with the others
        return own if given == {} else settings
    if not isinstance(metric, str):
        msg = f"`{PREFIX}{next(iter(given))}` goes with the name of a metric, not with an object."
        raise ValueError(msg)
    return own | {"metric": metrics.get(metric, **given)}


def name_of(optimizer: Any) -> str:
    """What an optimizer is called in folders and tables: its class in lower case, with hyphens."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(optimizer).__name__).lower()


def names() -> dict[str, str]:
    """Names of all optimizers, each with a line that says what it is."""
    return {
        name: ((preset.make.__doc__ or "").strip().splitlines() or ["Without a description."])[0]
        for name, preset in PRESETS.items()
    }


def settings(name: str) -> dict[str, Any]:
    """The settings of an optimizer and their defaults."""
    return _keywords(choose(name, PRESETS, "optimizer"))


def citation(optimizer: str) -> str:
    """BibTeX entries of the methods behind the optimizer of that name.

    Raises ValueError for an unknown name.
    """
    return "\n\n".join(choose(optimizer, PRESETS, "optimizer").bibtex)


def _keywords(preset: Preset) -> dict[str, Any]:
    return settings_of(preset.make) | ({"average": 0.0} if preset.averaged else {})
