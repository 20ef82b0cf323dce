"""Problem files: found by name or path, and executed once."""

import hashlib
import importlib.util
import inspect
import linecache
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from .._listing import file_of, list_problems, problems_folder
from .._names import choose
from .._settings import check_known
from ..storage.fingerprint import digest, meaning_of
from .beside import files_beside, forget, importable


@dataclass(frozen=True)
class ProblemSource:
    """The file that a problem came from, its text, and the arguments that it was called with.

    `name` is that of a shipped problem or the path of a file, as the user gave it; `beside` holds
    names and texts of the files in its folder that it imports.
    """

    name: str
    text: str
    arguments: Mapping[str, Any]
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_shipped(self) -> bool:
        """Whether the file belongs to the package."""
        return not self.name.endswith(".py")

    @property
    def sha256(self) -> str:
        """The hash of the text."""
        return _sha256(self.text)

    @property
    def meaning(self) -> str:
        """The hash of what Python makes of the text: comments and layout do not count.

        The files that it imports from beside it are part of that.
        """
        others = [f"{name}\n{meaning_of(text)}" for name, text in self.beside.items()]
        return digest("\n".join([meaning_of(self.text), *others]))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()


class ProblemFile:
    """A problem file, executed once: what it defines, its settings, its text.

    Raises ValueError for an unknown name, a missing file, a file that does not define `problem` and
    one that ends the program.
    """

    def __init__(self, source: str | Path):
        self.name = str(source)
        path = _find(source)
        self.text, self.folder = _text_of(path), str(path.parent)
        self.beside = files_beside(path.parent, self.text)
        forget()
        with self._running():
            self._take(_module_of(path))

    @classmethod
    def from_text(
        cls, name: str, text: str, beside: Mapping[str, str] | None = None
    ) -> "ProblemFile":
        """A file that may be gone, from its text and from those `beside` it that it imports."""
        file = cls.__new__(cls)
        file.name, file.text, file.beside = name, text, dict(beside or {})
        file.folder = f"<recorded beside {name}>"
        module = ModuleType(f"_pinn_ngd_problem_{Path(name).stem}")
        module.__file__ = recorded = f"<recorded {name}>"
        lines = text.splitlines(keepends=True)  # for tracebacks, and for who asks for the source
        linecache.cache[recorded] = (len(text), None, lines, recorded)
        sys.modules[module.__name__] = module
        forget()
        with file._running():
            exec(compile(text, recorded, "exec"), module.__dict__)
        file._take(module)
        return file

    @property
    def sha256(self) -> str:
        """The hash of the text."""
        return _sha256(self.text)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Within it the file's own code runs."""
        with no_exit(self.name), importable(self.beside, self.folder):
            yield

    def _take(self, module: ModuleType) -> None:
        if not hasattr(module, "problem"):
            raise ValueError(
                f"{self.name} does not define `problem`, a Problem or a function that returns one."
            )
        self.entry: Any = module.problem

    @property
    def settings(self) -> dict[str, Any]:
        """Settings and their defaults; none where `problem` is no function."""
        if not callable(self.entry):
            return {}
        parameters = inspect.signature(self.entry).parameters
        return {name: parameter.default for name, parameter in parameters.items()}

    def call(self, settings: Mapping[str, Any]) -> tuple[Any, ProblemSource]:
        """What `problem(**settings)` returns, and its source with all the arguments."""
        known = self.settings
        if settings and not callable(self.entry):
            raise ValueError(
                f"{self.name} defines a fixed `problem`; make it a function to take settings."
            )
        check_known(f"problem {self.name!r}", settings, known)
        source = ProblemSource(self.name, self.text, {**known, **settings}, self.beside)
        with self._running():
            return (self.entry(**settings) if callable(self.entry) else self.entry), source


@contextmanager
def no_exit(name: str) -> Iterator[None]:
    """`sys.exit` in a problem file as an error: with it a run that did nothing looks like one."""
    try:
        yield
    except SystemExit as error:
        raise ValueError(
            f"{name} ended the program by `sys.exit({error.code!r})`: remove the call, or put it "
            'under `if __name__ == "__main__":`.'
        ) from error


def _find(source: str | Path) -> Path:
    path = Path(source)
    if path.suffix == ".py":
        if os.path.isfile(path):  # unlike Path.is_file: False too for a name that is too long
            return path
        raise ValueError(
            f"there is no file {path}; give a problem file or a name from `pinn-ngd list`."
        )
    name = str(source).replace("_", "-")
    choose(name, list(list_problems()), "problem")
    return file_of(problems_folder(), name)


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise ValueError(f"cannot read the problem file {path}: {error.strerror}.") from error


def _module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_pinn_ngd_problem_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module
