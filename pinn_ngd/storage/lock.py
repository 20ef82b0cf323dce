"""One writer a folder: a lock that ends with the process that holds it."""

import contextlib
import errno
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .files import FolderError, in_words, shown

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
try:
    import msvcrt
except ImportError:  # everywhere else
    msvcrt = None

NAME = ".lock"
HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
ATTEMPTS = 10
FAR = 2**30


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is missing; FolderError if another holds it.

    The operating system keeps the lock (`flock`, on Windows `msvcrt.locking`) and drops it when the
    process ends, however it ends: nobody is kept out by a run that was killed. Where a file system
    or a system has no locks, a warning says that two runs are not kept apart. A folder that was
    made here and is still empty in the end is removed.
    """
    with in_words(folder):
        is_new = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
    try:
        file = _acquired(folder)
        try:
            yield
        finally:
            _release(file, folder / NAME)
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # what is not empty stays
                folder.rmdir()


def _acquired(folder: Path) -> IO[str]:
    path = folder / NAME
    for _ in range(ATTEMPTS):
        with in_words(path):
            file = open(path, "a+", encoding="utf-8", errors="replace")  # noqa: SIM115
        try:
            _lock(file, folder)
            # Whoever held it before has removed the file, perhaps after it was opened here.
            if _is_at(file, path):
                _sign(file, path)
                return file
        except BaseException:
            file.close()
            raise
        file.close()
    raise FolderError(f"the lock of `{shown(folder)}` keeps changing hands: try again.")


def _lock(file: IO[str], folder: Path) -> None:
    try:
        if fcntl is not None:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            os.lseek(file.fileno(), FAR, os.SEEK_SET)  # others may read what stands before
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # pyright: ignore
        else:
            _warn(folder)
    except OSError as error:
        if error.errno in HELD:
            file.seek(0)
            raise FolderError(
                f"another run is writing to `{shown(folder)}` ({file.read(200) or 'unknown'}): "
                "wait for its end, or give this one another folder."
            ) from error
        _warn(folder)


def _warn(folder: Path) -> None:
    warnings.warn(
        f"the file system of `{shown(folder)}` has no locks: see to it yourself that only one run "
        "writes there.",
        UserWarning,
        stacklevel=2,
    )


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _sign(file: IO[str], path: Path) -> None:
    """Who holds the lock, for the message to others."""
    with in_words(path):
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()


def _release(file: IO[str], path: Path) -> None:
    if fcntl is None:  # Windows removes no file that is open
        file.close()
    with contextlib.suppress(OSError):
        path.unlink()
    with contextlib.suppress(OSError):  # a full disk: what is not written is only a signature
        file.close()
