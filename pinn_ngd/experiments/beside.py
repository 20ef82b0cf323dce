"""The modules beside a problem file that it imports, as a script imports those of its folder.

They are found by reading and not by running, so that what a run depends on is known before it
starts, and loaded from the text that was read: a run that is loaded when the files are gone, or
have changed, imports what it imported then.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

LOADED: set[str] = set()  # names of the modules that came from here
OURS = __name__.partition(".")[0]  # a problem file may lie beside a checkout of this package


def files_beside(folder: Path, text: str) -> dict[str, str]:
    """Name and text of every file in `folder` that a program imports, and that these import.

    Names are relative to the folder, with "/": "tools.py", "library/__init__.py". Files that cannot
    be parsed import nothing; running them says what is wrong.
    """
    found: dict[str, str] = {}
    wanted = sorted(_imported(text, ()))
    while wanted:
        parts = wanted.pop(0)
        for name in (_path(parts), _path((*parts, "__init__"))):
            file = folder / name
            if name not in found and _is_beside(parts[0], folder) and file.is_file():
                found[name] = file.read_bytes().decode("utf-8", errors="replace")
                package = parts if file.name == "__init__.py" else parts[:-1]
                wanted += sorted(_imported(found[name], package))
    return dict(sorted(found.items()))


@contextmanager
def importable(files: Mapping[str, str], folder: str) -> Iterator[None]:
    """Within it the modules of these files can be imported, before all others of their names."""
    finder = _Finder(files, folder)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def forget() -> None:
    """Let the next import find files anew: they may have changed, and other folders have files of
    the same names."""
    while LOADED:
        sys.modules.pop(LOADED.pop(), None)


class _Finder(MetaPathFinder):
    def __init__(self, files: Mapping[str, str], folder: str):
        self.files, self.folder = files, folder

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        del path, target
        parts = tuple(fullname.split("."))
        module, package = _path(parts), _path((*parts, "__init__"))
        name = module if module in self.files else package
        inside = any(file.startswith(f"{'/'.join(parts)}/") for file in self.files)
        if name not in self.files and not inside:
            return None
        loader = _Loader(self.files.get(name, ""), f"{self.folder}/{name}")
        is_package = name == package
        return spec_from_loader(fullname, loader, origin=loader.file, is_package=is_package)


class _Loader(InspectLoader):
    """Executes a text as the module of a file."""

    def __init__(self, text: str, file: str):
        self.text, self.file = text, file

    def get_source(self, fullname: str) -> str:
        del fullname
        return self.text

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self.file
        LOADED.add(module.__name__)
        exec(compile(self.text, self.file, "exec"), module.__dict__)


def _path(parts: tuple[str, ...]) -> str:
    return f"{'/'.join(parts)}.py"


def _is_beside(name: str, folder: Path) -> bool:
    """Whether an import of this name means the folder: not if it came from elsewhere before."""
    if name == OURS:
        return False
    if name in LOADED or name not in sys.modules:
        return True
    file = getattr(sys.modules[name], "__file__", None)
    return file is not None and folder.resolve() in Path(file).resolve().parents


def _imported(text: str, package: tuple[str, ...]) -> set[tuple[str, ...]]:
    """All that may be a module among the names that a text imports, with the packages above.

    `package` is where relative imports of the text start.
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names: set[tuple[str, ...]] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = (*start, *(node.module.split(".") if node.module else ()))
            names |= {(*base, alias.name) for alias in node.names}
    return {name[:length] for name in names for length in range(1, len(name) + 1)}
