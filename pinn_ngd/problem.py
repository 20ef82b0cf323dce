"""Problems: what is solved, on what network and points, with what budget, defined in a file."""

import difflib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxtyping import Array, PRNGKeyArray

from .domains import Box, Interval, SpaceTime
from .evaluation import evaluator
from .objectives import AbstractObjective
from .quadrature import Quadrature


@dataclass(frozen=True)
class Problem:
    """What a run needs.

    `model(key)` builds the network; `exact(x)` is the solution where it is known, and errors are
    measured with it on `evaluation`, points that training does not use. `seconds` and `steps` are
    the default budgets, `optimizer` (a name, or an optimizer with all its settings) and
    `optimizer_settings` what `pinn-ngd solve` uses. The points
    of `objective` are a start: where the residual is larger between them than on them a run adds
    some, unless `fixed_points`. `settings` records the arguments that the problem file was called
    with. `picture(model)` makes
    the figure of a run where the model is no function of a point.

    A problem of data has no domain and no exact solution. Its `scores(model)` returns named
    numbers that join the history, the result and the pictures, such as those of
    `pinn_ngd.scores.classifier_scores`; `compared` names the one by which runs are compared.
    """

    name: str
    description: str
    objective: AbstractObjective
    model: Callable[[PRNGKeyArray], Any]
    domain: Interval | Box | SpaceTime | None = None
    evaluation: Quadrature | None = None
    exact: Callable[[Array], Array] | None = None
    optimizer: str | Any = "engd-tr"
    optimizer_settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 60.0
    steps: int | None = None
    fixed_points: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    picture: Callable[[Any], Any] | None = None
    scores: Callable[[Any], dict[str, float]] | None = None
    compared: str | None = None

    @property
    def measure(self) -> str:
        """The number by which runs are compared: smaller is better."""
        return self.compared or ("relative_l2" if self.exact is not None else "loss")

    @property
    def is_measured(self) -> bool:
        """Whether `evaluator` has something to measure: an exact solution, or scores."""
        return self.exact is not None or self.scores is not None

    def evaluator(self, *, h1: bool = False) -> Callable[[Any], dict[str, float]]:
        """What `train` evaluates: model -> `scores`, or relative errors on the held-out points.

        Compiled once. Raises ValueError where neither the exact solution nor scores are known.
        """
        if self.scores is not None:
            return self.scores
        if self.exact is None or self.evaluation is None:
            msg = f"problem '{self.name}' has no `exact` solution to measure an error with."
            raise ValueError(msg)
        return evaluator(self.exact, self.evaluation, h1=h1)


def problems_folder() -> Path:
    """The folder of the shipped problems: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "_problems"
    return installed if installed.is_dir() else package.parent / "problems"


def list_problems() -> dict[str, str]:
    """Names of the shipped problems, each with the first line of its file's docstring."""
    files = sorted(problems_folder().glob("[!_]*.py"))
    return {file.stem.replace("_", "-"): _first_line(file) for file in files}


def load_problem(source: str | Path, **settings: Any) -> Problem:
    """The shipped problem of that name, or the one that the file at that path defines.

    A problem file defines `problem`: a `Problem`, or a function of keyword settings that returns
    one. Raises ValueError for an unknown name, a file without `problem`, or an unknown setting.
    """
    entry = _entry(_find(source), source)
    if isinstance(entry, Problem):
        if settings:
            msg = f"{source} defines a fixed `problem`; make it a function to take settings."
            raise ValueError(msg)
        return entry
    known = settings_of(source)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        msg = (
            f"problem {str(source)!r} has no setting {', '.join(unknown)}; "
            f"it has {', '.join(known) or 'none'}."
        )
        raise ValueError(msg)
    problem = entry(**settings)
    if not isinstance(problem, Problem):
        msg = f"`problem` in {source} returned {type(problem).__name__}, not a `pinn_ngd.Problem`."
        raise ValueError(msg)
    return problem


def settings_of(source: str | Path) -> dict[str, Any]:
    """Settings of a problem file and their defaults."""
    entry = _entry(_find(source), source)
    if isinstance(entry, Problem):
        return {}
    return {name: p.default for name, p in inspect.signature(entry).parameters.items()}


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.suffix == ".py":
        if path.is_file():
            return path
        msg = f"there is no file {path}; give a problem file or a name from `pinn-ngd list`."
        raise ValueError(msg)
    shipped = problems_folder() / f"{str(source).replace('-', '_')}.py"
    if shipped.is_file():
        return shipped
    known = list(list_problems())
    near = difflib.get_close_matches(str(source), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    msg = f"unknown problem {str(source)!r}; known are {', '.join(known)}.{hint}"
    raise ValueError(msg)


def _entry(path: Path, source: str | Path) -> Any:
    module = _load(path)
    if not hasattr(module, "problem"):
        msg = f"{source} does not define `problem`, a Problem or a function that returns one."
        raise ValueError(msg)
    return module.problem


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_pinn_ngd_problem_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _first_line(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    docstring = text.split('"""')[1] if text.count('"""') >= 2 else ""
    return docstring.strip().splitlines()[0] if docstring.strip() else ""
