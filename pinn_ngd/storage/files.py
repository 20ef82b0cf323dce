"""Files that are written whole or not at all, and the errors of a file system in words."""

import contextlib
import errno
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

SUFFIX = ".tmp"
LONGEST_NAME = 120  # characters; file systems allow 255 bytes
CAUSES = {
    errno.ENOSPC: "no space is left on the disk: free some, or choose a folder on another disk",
    errno.EDQUOT: "your disk quota is used up: free some space, or choose another folder",
    errno.EACCES: "permission is denied: choose a folder that you may write to",
    errno.EPERM: "permission is denied: choose a folder that you may write to",
    errno.EROFS: "the disk is read-only: choose a folder on another one",
    errno.ENAMETOOLONG: "the name is longer than the file system allows: choose a shorter one",
    errno.ENOTDIR: "a part of the path is a file or a device: choose the path of a folder",
    errno.EEXIST: "there is a file or a device and no folder: choose the path of a folder",
    errno.EISDIR: "there is a folder and no file: choose another path",
    errno.ELOOP: "the path is a link that leads to itself: choose another one",
}


class FolderError(ValueError):
    """A folder or file of a run cannot be used; the message says why, and the cure."""


@contextlib.contextmanager
def in_words(path: str | os.PathLike) -> Iterator[None]:
    """Errors of the file system as a `FolderError` of one sentence about `path`."""
    try:
        yield
    except OSError as error:
        cause = CAUSES.get(error.errno or 0, f"{error.strerror or error}: choose another path")
        raise FolderError(f"cannot write `{shown(path)}`: {cause}.") from error
    except ValueError as error:
        if isinstance(error, FolderError) or "null" not in str(error):
            raise
        message = "the name has a NUL character: choose another one"
        raise FolderError(f"cannot write `{shown(path)}`: {message}.") from error


def write_bytes(
    path: str | os.PathLike,
    write: Callable[[BinaryIO], object],
    *,
    before: Callable[[], None] = lambda: None,
) -> None:
    """Let `write` fill a temporary file in the folder of `path`, and rename it to `path`.

    `before` is called when nothing but the rename is left to do.

    A crash at any moment leaves the old file or the new one, never half of one; an error removes
    the temporary file. The mode of the file follows the umask. Raises FolderError where the file
    system refuses.
    """
    path = Path(path)
    with in_words(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{SUFFIX}")
        try:
            with open(temporary, "xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            before()
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_text(
    path: str | os.PathLike, text: str, *, before: Callable[[], None] = lambda: None
) -> None:
    """Write a text file as `write_bytes` does; what is no Unicode becomes a question mark."""
    data = text.encode("utf-8", errors="replace")
    write_bytes(path, lambda file: file.write(data), before=before)


def remove(path: Path) -> None:
    """Remove a file that may be missing."""
    with in_words(path):
        path.unlink(missing_ok=True)


def clean(folder: Path) -> None:
    """Remove the temporary files that `write_bytes` left in a folder when it was killed."""
    for leftover in folder.glob(f".*.{'[0-9a-f]' * 8}{SUFFIX}"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def read_json(path: Path) -> Any:
    """What a JSON file holds; None where it is missing, damaged or no text."""
    try:
        return from_json(path.read_bytes())
    except OSError:
        return None


def from_json(data: bytes) -> Any:
    """The value of a JSON text; None where it is none, also for nesting without end."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def to_json(value: Any, **settings: Any) -> str:
    """Strict JSON of plain Python values: infinities and NaN become null."""
    return json.dumps(_finite(value), allow_nan=False, **settings)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(path: str | os.PathLike) -> str:
    """A path as a message shows it: without control characters, and not longer than a line."""
    text = "".join(c if c.isprintable() else "?" for c in os.fspath(path))
    return text if len(text) <= LONGEST_NAME else f"{text[:60]}...{text[-40:]}"


def safe_name(text: str) -> str:
    """A file name of letters, digits and "._-": neither a path nor the markup of a terminal."""
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in text)
    return name.lstrip(".-")[:LONGEST_NAME] or "run"
