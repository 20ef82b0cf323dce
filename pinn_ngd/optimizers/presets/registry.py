"""The names of optimizers: one list for the command line, the docs and the tests."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ... import metrics
from ..._registry import Registry
from ..._settings import (
    Fraction,
    check_known,
    checked,
    checked_settings,
    settings_of,
    shared_settings_of,
)
from ..base import AbstractOptimizer
from ..minibatch.averaging import Averaged
from . import deterministic, dually_flat, minibatch, products, variational
from .preset import AbstractPreset

PREFIX = "metric."
AVERAGE = "average"
Maker = Callable[..., AbstractOptimizer | AbstractPreset]


class Preset(NamedTuple):
    """How an optimizer is made, what it cites, and whether its iterates may be averaged."""

    make: Maker
    bibtex: tuple[str, ...] = ()
    averaged: bool = False


def register(
    name: str,
    make: Maker,
    *,
    bibtex: tuple[str, ...] | str | None = None,
    averaged: bool | None = None,
) -> None:
    """Give an optimizer a name: for `get`, for `train` and on the command line.

    `make` is a class of optimizers, a class of settings (`AbstractPreset`) or a function that
    returns an optimizer. It is called with keyword settings; the first line of its docstring
    describes it, and its annotations and defaults say what the settings may be. `bibtex` are the
    entries that `citation` prints. With `averaged` the optimizer has the setting `average` (see
    `Averaged`). Where these two are not given, attributes of `make` with these names are taken.
    Raises ValueError for a name that something else has.
    """
    given = getattr(make, "bibtex", ()) if bibtex is None else bibtex
    entries = (given,) if isinstance(given, str) else tuple(given)
    averages = getattr(make, "averaged", False) if averaged is None else averaged
    PRESETS.add(name, Preset(make, entries, averages), lambda preset: preset.make)


PRESETS: Registry[Preset] = Registry("optimizer", "pinn_ngd.optimizers", register)
SHIPPED: dict[str, type[AbstractPreset]] = {
    "engd-tr": deterministic.EngdTR,
    "engd": deterministic.Engd,
    "wngd": deterministic.Wngd,
    "engd-w": deterministic.EngdW,
    "engd-nystrom": products.EngdNystrom,
    "ngd-exact": deterministic.NgdExact,
    "spring": deterministic.Spring,
    "engd-sub": deterministic.EngdSub,
    "kfac-pinn": deterministic.KFACPinn,
    "hessian-free": products.MartensHF,
    "nncg": products.NNCG,
    "gd": deterministic.GradientDescent,
    "adam": deterministic.Adam,
    "lbfgs": deterministic.LBFGS,
    "bfgs": deterministic.BFGS,
    "ssbroyden": deterministic.SSBroyden,
    "ssbfgs": deterministic.SSBFGS,
    "muon": deterministic.Muon,
    "scipy-lm": deterministic.ScipyLM,
    "ngd": minibatch.NGD,
    "ngd-woodbury": minibatch.NGDWoodbury,
    "ngd-cg": minibatch.NGDCG,
    "kfac": minibatch.KFAC,
    "ekfac": minibatch.EKFAC,
    "seng": minibatch.SENG,
    "sp-ngd": minibatch.SPNGD,
    "sngd": dually_flat.SNGD,
    "megd": dually_flat.MEGD,
    "csngd": dually_flat.CSNGD,
    "dsngd": dually_flat.DSNGD,
    "tngd": minibatch.TNGD,
    "tngd-adam": minibatch.TNGDAdam,
    "spectral-clipping": minibatch.SpectralClipping,
    "ngd-gp": variational.NGDGP,
    "sgd": minibatch.SGD,
    "signsgd": minibatch.SignSGD,
}
for _name, _preset in SHIPPED.items():
    register(_name, _preset)


def get(name: str, **settings: Any) -> AbstractOptimizer:
    """The optimizer called `name`, with its settings overridden.

    Those of minibatches have the setting `average` beside their own: see `Averaged`. Where
    `metric` is a name, settings called "metric.floor" and the like are handed on to it. Raises
    ValueError for an unknown name or setting, naming the known ones, and for a value that a setting
    cannot have.
    """
    preset, owner = PRESETS.find(name), f"optimizer {name!r}"
    known = _keywords(preset)
    settings = _with_metric(settings, known)
    check_known(owner, settings, known)
    average = checked(AVERAGE, settings.pop(AVERAGE, 0.0), Fraction)
    made = preset.make(**checked_settings(owner, preset.make, settings))
    optimizer = made.build() if isinstance(made, AbstractPreset) else made
    return Averaged(optimizer, average) if average else optimizer


def split_metric(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of an optimizer, and those of its metric, which are called "metric.name"."""
    own = {key: value for key, value in settings.items() if not key.startswith(PREFIX)}
    rest = {key: value for key, value in settings.items() if key.startswith(PREFIX)}
    return own, {key.removeprefix(PREFIX): value for key, value in rest.items()}


def _with_metric(settings: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the metric made, where settings of the metric are among them."""
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
        for name, preset in PRESETS.complete().items()
    }


def settings(name: str) -> dict[str, Any]:
    """The settings of an optimizer and their defaults."""
    return _keywords(PRESETS.find(name))


def shared_settings(name: str) -> set[str]:
    """The settings of an optimizer that belong to the training and not to the method.

    These are those that its annotations mark by `SHARED`, such as the schedule, and `average`. A
    comparison gives them to all optimizers. Raises ValueError for an unknown name.
    """
    preset = PRESETS.find(name)
    return shared_settings_of(preset.make) | ({AVERAGE} if preset.averaged else set())


def uses_metric(name: str) -> bool:
    """Whether an optimizer takes a metric."""
    return "metric" in settings(name)


def uses_solver(name: str) -> bool:
    """Whether an optimizer takes a linear solver."""
    return "solver" in settings(name)


def citation(optimizer: str) -> str:
    """BibTeX entries of the methods behind the optimizer of that name.

    Raises ValueError for an unknown name.
    """
    return "\n\n".join(PRESETS.find(optimizer).bibtex)


def _keywords(preset: Preset) -> dict[str, Any]:
    return settings_of(preset.make) | ({AVERAGE: 0.0} if preset.averaged else {})
