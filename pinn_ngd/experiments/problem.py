"""Problems: what is solved, on what network and points, with what budget, defined in a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array

from .. import _tree
from ..evaluation.errors import Evaluator, check_components, evaluator
from ..evaluation.host_function import HostFunction, traceable
from ..geometry.domains import Domain
from ..geometry.quadrature import GaussLegendre, Quadrature, Sobol, as_rule
from ..geometry.region import AbstractRegion
from ..models import Normalized, knows_its_domain
from ..objectives import AbstractObjective, ResidualObjective, balanced, explained
from ..training.accepted import objective_of
from ..training.clock import numbers
from .problem_file import ProblemFile, ProblemSource


@dataclass(frozen=True)
class Measures:
    """model -> relative errors, where the solution is known, and a problem's own scores."""

    errors: Evaluator | None
    scores: Callable[[Any], dict[str, float]] | None

    def __call__(self, model: Any) -> dict[str, float]:
        errors = {} if self.errors is None else self.errors(model)
        return errors | ({} if self.scores is None else numbers(self.scores(model), "`scores`"))

    def check(self, model: Any) -> None:
        """Raises ValueError for a model that cannot be compared with the exact solution."""
        if self.errors is not None:
            self.errors.check(model)


@dataclass(frozen=True)
class InUnits:
    """A network that sees the unit box instead of its domain, whatever the units are."""

    model: Callable[[Any], Any]
    domain: Domain

    def __call__(self, key: Any) -> Any:
        net = self.model(key)
        return net if knows_its_domain(net) else Normalized(net, domain=self.domain)


EVALUATION_POINTS = 10_000
MANY_PARTS = 400  # cells of a mesh: then few points in each are enough
EVALUATION_SEED = 20_011  # far from the seeds that people choose


@dataclass(frozen=True)
class Problem:
    """What a run needs.

    `model(key)` builds the network; a ready one is taken for every key. `exact(x)` is the solution
    at ONE point where it is known, and errors are measured with it on `evaluation`, points that
    training does not use (`evaluation_points` of the domain by default; a rule or an array will
    do); written with NumPy it has no error in H1. `components` are the names of the components of a
    solution with several, such as ("u", "v", "p"): errors and pictures call them so. `seconds` and
    `steps` are the default budgets, `optimizer` (a name, or an optimizer with all its settings) and
    `optimizer_settings` what `pinn-ngd solve` uses: `engd-tr` where there is none, unless another
    suits its size better (`optimizers.suited`), which is what `by_size` says. The points of
    `objective` are a start: where the residual is larger between them than on them a run adds some,
    unless `fixed_points`. With `balance` the terms get weights under which all of them feel the
    parameters alike (`objectives.balanced`), and with `normalize` the network sees the unit box
    instead of the domain (`models.Normalized`), for problems in units of their own. With `windows`,
    a number of them or the times of their ends, a run goes window by window of time
    (`train_windows`).
    `settings` records the arguments that the problem file was called with, `source` the file
    itself: `load_problem` adds both. `picture(model)` makes the figure of a run where the model is
    no function of a point.

    `scores(model)` returns named numbers, beside the errors where there are some, that join the
    history, the result, the tables and the pictures. A problem of data has nothing else: no domain
    and no exact solution, but such as `pinn_ngd.evaluation.classifier_scores`. `compared` names the
    number by which runs are compared.
    """

    name: str
    description: str
    objective: AbstractObjective
    model: Any  # a function of a key, or what one would return
    domain: Domain | None = None
    evaluation: Any = None  # a Quadrature; a rule and an array of points become one
    exact: Callable[[Array], Array] | None = None
    optimizer: str | Any = None
    optimizer_settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 60.0
    steps: int | None = None
    fixed_points: bool = False
    balance: bool = False
    normalize: bool = False
    windows: int | Sequence[float] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    picture: Callable[[Any], Any] | None = None
    scores: Callable[[Any], dict[str, float]] | None = None
    compared: str | None = None
    components: Sequence[str] = ()
    source: ProblemSource | None = None
    by_size: bool | None = None

    def __post_init__(self):
        # A copy by `dataclasses.replace` that names another optimizer means that one.
        free = self.optimizer is None or (self.by_size and self.optimizer == "engd-tr")
        object.__setattr__(self, "by_size", bool(free and not self.optimizer_settings))
        if self.optimizer is None:
            object.__setattr__(self, "optimizer", "engd-tr")
        self._check_kinds()
        check_components(self.components)
        if not callable(self.model) or _tree.size(self.model):
            ready = self.model
            object.__setattr__(self, "model", lambda key: ready)  # noqa: ARG005
        if not self.normalize and isinstance(self.model, InUnits):  # that of a problem that did
            object.__setattr__(self, "model", self.model.model)
        if self.normalize and not isinstance(self.model, InUnits):
            if self.domain is None:
                msg = (
                    f"`normalize` needs the `domain` of the problem '{self.name}', which has none."
                )
                raise ValueError(msg)
            object.__setattr__(self, "model", InUnits(self.model, self.domain))
        if self.exact is not None and self.evaluation is None and self.domain is not None:
            object.__setattr__(self, "evaluation", evaluation_points(self.domain))
        if self.exact is not None and self.evaluation is not None and callable(self.exact):
            point = self.evaluation.points[0]
            with explained(f"`exact` of the problem '{self.name}'", point.shape):
                exact = traceable(self.exact, point)
            object.__setattr__(self, "exact", exact)

    def _check_kinds(self) -> None:
        """ValueError for an objective, a domain or points of evaluation that are none.

        Points may be an array or a rule, too.
        """
        objective_of(self.objective)
        if self.domain is not None and not isinstance(self.domain, AbstractRegion):
            raise ValueError(
                f"`domain` of the problem '{self.name}' is {self.domain!r}: give one such as "
                "`Box((0, 0), (1, 1))`, or None."
            )
        if self.evaluation is not None and not isinstance(self.evaluation, Quadrature):
            points = as_rule(self.evaluation, f"`evaluation` of the problem '{self.name}'")
            object.__setattr__(self, "evaluation", points.quadrature(jax.random.key(0)))

    def objective_at(self, model: Any) -> AbstractObjective:
        """The objective that a run from `model` minimizes: with balanced terms where it says so.

        Raises ValueError where there are no terms to balance.
        """
        if not self.balance:
            return self.objective
        if not isinstance(self.objective, ResidualObjective):
            kind = type(self.objective).__name__
            raise ValueError(
                f"`balance` weighs the terms of a ResidualObjective; this is a {kind}."
            )
        return balanced(self.objective, model)

    @property
    def measure(self) -> str:
        """The number by which runs are compared: smaller is better."""
        return self.compared or ("relative_l2" if self.exact is not None else "loss")

    @property
    def is_measured(self) -> bool:
        """Whether `evaluator` has something to measure: an exact solution, or scores."""
        return self.exact is not None or self.scores is not None

    def evaluator(self, *, h1: bool = False) -> "Measures":
        """What `train` evaluates: model -> relative errors on the held-out points, and `scores`.

        Compiled once. Raises ValueError where neither the exact solution nor scores are known, and
        for an exact solution that is not finite. There is no H1 error where it is NumPy's.
        """
        if self.exact is None and self.scores is not None:
            return Measures(None, self.scores)
        return Measures(self.errors(h1=h1), self.scores)

    def errors(self, *, h1: bool = False) -> Evaluator:
        """Relative errors alone; raises ValueError where they cannot be measured."""
        if self.exact is None or self.evaluation is None:
            wanted = "`exact` solution" if self.exact is None else "`evaluation` points or `domain`"
            raise ValueError(f"problem '{self.name}' has no {wanted} to measure an error with.")
        h1 = h1 and not isinstance(self.exact, HostFunction)
        return evaluator(self.exact, self.evaluation, h1=h1, components=self.components)


def evaluation_points(domain: Domain) -> Quadrature:
    """Some 10,000 points on any domain: Gauss-Legendre in up to three dimensions, Sobol above."""
    if domain.dimension > 3 or any(piece.rejects for piece in domain.pieces):
        return Sobol(domain, 2**13, seed=EVALUATION_SEED).quadrature()
    parts = sum(piece.smooth_parts for piece in domain.pieces)
    each = (EVALUATION_POINTS / parts) ** (1 / domain.dimension)
    least = 5 if parts <= MANY_PARTS else 2
    return GaussLegendre(domain, min(max(round(each), least), 401)).quadrature()


def load_problem(source: str | Path, **settings: Any) -> Problem:
    """The shipped problem of that name, or the one that the file at that path defines.

    A problem file defines `problem`: a `Problem`, or a function of keyword settings that returns
    one. Raises ValueError for an unknown name, a file without `problem`, or an unknown setting.
    """
    return built(ProblemFile(source), settings)


def built(file: ProblemFile, settings: Mapping[str, Any]) -> Problem:
    """The problem of a file that has been loaded, with its source and all its arguments."""
    problem, source = file.call(settings)
    if not isinstance(problem, Problem):
        kind = type(problem).__name__
        found = f"returned {kind}" if callable(file.entry) else f"is a {kind}"
        raise ValueError(
            f"`problem` in {file.name} {found}: make it a Problem or a function returning one."
        )
    arguments = {**problem.settings, **source.arguments}
    return replace(problem, settings=arguments, source=source)


def settings_of(source: str | Path) -> dict[str, Any]:
    """Settings of a problem file and their defaults."""
    return ProblemFile(source).settings
