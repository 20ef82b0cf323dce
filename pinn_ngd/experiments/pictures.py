"""The pictures of a run."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from ..states import StateObjective
from ..storage.reading import read_history
from ..validation import ErrorEstimate
from . import plotting
from .problem import Problem
from .run_folder import RunFolder


def draw(
    problem: Problem, model: PyTree, folder: RunFolder, estimate: ErrorEstimate | None = None
) -> list[Path]:
    """The pictures of a run: solution, error and its estimate, and its history if there is one."""
    return [*draw_solution(problem, model, folder, estimate), *draw_history(folder)]


def draw_or_warn(
    problem: Problem, model: PyTree, folder: RunFolder, estimate: ErrorEstimate | None = None
) -> None:
    """The same, where a picture that fails must not make a failure of a run that is over."""
    drawn_or_warned(lambda: draw_solution(problem, model, folder, estimate), "solution")
    drawn_or_warned(lambda: draw_history(folder), "history")


def drawn_or_warned(draw_one: Callable[[], Any], name: str) -> None:
    """Draw one picture; a warning where that fails, whatever the reason."""
    try:
        draw_one()
    except (Exception, SystemExit) as error:
        warnings.warn(
            f"the picture of the {name} could not be drawn ({type(error).__name__}: {error}); the "
            "run is over, and all its other files are complete.",
            UserWarning,
            stacklevel=3,
        )


def draw_solution(
    problem: Problem, model: PyTree, folder: RunFolder, estimate: ErrorEstimate | None = None
) -> list[Path]:
    """The solution with its error, or the problem's own picture; nothing where it has none."""
    if problem.picture is not None:
        figure = problem.picture(model)
    elif callable(model) and problem.domain is not None:
        # What an estimate that knows nothing has found would look like a map of small errors.
        error = estimate.error if estimate is not None and estimate.known else None
        symbol = "" if isinstance(problem.objective, StateObjective) else "u"
        figure = plotting.plot_solution(
            model, problem.exact, problem.domain, estimated_error=error, symbol=symbol,
            components=problem.components,
        )  # fmt: skip
    else:  # a state of parameters without a picture of their own
        return []
    return plotting.save(figure, folder.path / "solution")


def draw_history(folder: RunFolder) -> list[Path]:
    """Losses, errors or scores against steps, as `history.jsonl` has them."""
    history = read_history(folder.path) if folder.history_path.is_file() else []
    if not history:
        return []
    learned = any("test_accuracy" in record for record in history)
    figure = (plotting.plot_learning if learned else plotting.plot_history)(history)
    return plotting.save(figure, folder.path / "history")
