"""Files that are found by listing a folder: problems and recipes of figures.

Nothing is executed and nothing heavy is imported, so that a list is there at once.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def described(folder: Path) -> dict[str, str]:
    """Names of the Python files in a folder, each with the first line of its docstring.

    A name has dashes where its file has underscores; files that begin with "_" are left out.
    """
    files = sorted(folder.glob("[!_]*.py"))
    return {file.stem.replace("_", "-"): _first_line(file) for file in files}


def file_of(folder: Path, name: str) -> Path:
    """The file that `described` calls by that name."""
    return folder / f"{name.replace('-', '_')}.py"


def problems_folder() -> Path:
    """The folder of the shipped problems: inside an installed package, beside it in a checkout."""
    installed = PACKAGE / "_problems"
    return installed if installed.is_dir() else PACKAGE.parent / "problems"


def list_problems() -> dict[str, str]:
    """Names of the shipped problems, each with the first line of its file's docstring."""
    return described(problems_folder())


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return docstring.splitlines()[0] if docstring else ""
