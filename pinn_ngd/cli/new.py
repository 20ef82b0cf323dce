"""A problem file to start from: a shipped one under another name, with comments that guide."""

import ast
from pathlib import Path

from .._listing import file_of, list_problems, problems_folder
from .._names import choose
from ..storage.files import in_words

COMMENTS = """
# This file began as the shipped problem {like!r}, and its docstring tells of that one.
# What you change, from the top:
#
{changes}
#
#     pinn-ngd check {file}                  are derivatives and adjoints right?
#     pinn-ngd solve {file}{tolerance}
#     pinn-ngd show {file}                   settings and their defaults
"""

EQUATIONS = """\
# * `exact`, the solution, if you know it. If not, write conditions without it, and delete it here
#   and in `Problem(...)`: the run estimates its error all the same.
# * The domain: Interval, Box, SpaceTime, disk, polygon, ... (docs/geometry.md).
# * The terms. A residual is a function of the model `u` and of ONE point `x` of shape (d,); it is
#   zero where the equation or the condition holds. In space-time the time is x[0]. A rule says at
#   which points it is taken; their number is a start, the run adds points where they are missing.
# * The network, and the keyword arguments of `problem`, which are the settings of the command line.
"""

TOLERANCE = " --tolerance 1e-6 train until the estimated error is below"

OTHERS = """\
# * The data, or what stands for them, and the model with its parameters at the start.
# * The objective: what is minimized, and of which state or network.
# * `scores` and `picture`, where there are any: what a run reports and draws of its result.
# * The keyword arguments of `problem`, which are the settings of the command line.
"""


def write_new(path: Path, like: str) -> None:
    """Write a copy of the shipped problem `like` to a path that ends in .py and is free.

    Raises ValueError for an unknown problem, a file that is there and another ending, and its kind
    FolderError where the file system refuses.
    """
    like = choose(like.replace("_", "-"), list(list_problems()), "problem")
    if path.suffix != ".py":
        raise ValueError(f"`{path}` does not end in .py: problem files are Python, as `mine.py`.")
    if path.exists():
        raise ValueError(f"`{path}` is there already: take another name, or delete it.")
    text = file_of(problems_folder(), like).read_text(encoding="utf-8")
    name = path.stem.replace("_", "-")
    with in_words(path):
        path.write_text(_guided(text, like, name, path.name), encoding="utf-8")


def _guided(text: str, like: str, name: str, file: str) -> str:
    """The text with its problem renamed, and the comments behind its docstring."""
    renamed = text.replace(f'"{like}"', f'"{name}"')
    docstring = ast.parse(renamed).body[0]
    lines = renamed.splitlines(keepends=True)
    head, rest = lines[: docstring.end_lineno], lines[docstring.end_lineno :]
    is_equation = any(word in text for word in ("ResidualObjective", "EnergyObjective"))
    changes, tolerance = (EQUATIONS, TOLERANCE) if is_equation else (OTHERS, "")
    comments = COMMENTS.format(like=like, file=file, changes=changes.rstrip(), tolerance=tolerance)
    return "".join([*head, comments, *rest])
