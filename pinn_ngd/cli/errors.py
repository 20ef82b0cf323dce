"""What a user reads when something goes wrong."""

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer

USAGE = 2


@contextmanager
def honest(source: str | None = None) -> Iterator[None]:
    """Errors of the user in the user's terms, with exit code 2; our own with their traceback."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    except (typer.Exit, typer.Abort):
        raise
    except SystemExit as error:  # with exit code 0, what did nothing would look like a success
        where = f" in {source}" if source else ""
        _complain(f"error: `sys.exit({error.code!r})` was called{where}: remove the call.", error)
    except Exception as error:
        blame = _users_line(error, source)
        if blame is not None:
            _complain(f"{blame}\n{type(error).__name__}: {error}", error)
        known = ValueError | FileNotFoundError | ImportError | ConnectionError
        if isinstance(error, known) and _is_ours(error):
            _complain(f"error: {error}", error)
        raise


def _users_line(error: Exception, source: str | None) -> str | None:
    """Where in the problem's file an error arose, as Python would print it; None if elsewhere."""
    path = _problem_path(source)
    if path is None:
        return None
    if isinstance(error, SyntaxError) and error.filename:
        here = f'  File "{source}", line {error.lineno}\n    {error.text}'.rstrip()
        return here if Path(error.filename).resolve() == path else None
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).resolve() == path]
    if not ours:
        return None
    last = ours[-1]
    return f'  File "{last.filename}", line {last.lineno}, in {last.name}\n    {last.line}'


def _problem_path(source: str | None) -> Path | None:
    if source is None:
        return None
    from .._listing import file_of, problems_folder

    if source.endswith(".py"):
        return Path(source).resolve()
    return file_of(problems_folder(), source).resolve()


def _is_ours(error: Exception) -> bool:
    """Whether this package raised it on purpose, and not a library below it by our mistake."""
    frames = traceback.extract_tb(error.__traceback__)
    package = Path(__file__).resolve().parents[1]
    return bool(frames) and Path(frames[-1].filename).resolve().is_relative_to(package)


def _complain(message: str, error: BaseException) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(USAGE) from error


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"warning: {message}", err=True)
