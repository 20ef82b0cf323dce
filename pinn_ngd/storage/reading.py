"""The files of a run as they are found: cut, damaged or foreign ones are named, and never crash."""

import os
import warnings
from pathlib import Path
from typing import Any

from .files import FolderError, from_json, shown


def read_history(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The history lines of a run folder or of a .jsonl file; null is read as NaN.

    A last line that a dying run left unfinished is dropped; other lines that cannot be read are
    left out with a warning. Raises FileNotFoundError where there is no history.
    """
    path = _inside(path, "history.jsonl")
    lines = _bytes_of(path).splitlines()
    records = [from_json(line) for line in lines]
    found = [_nan_for_null(record) for record in records if isinstance(record, dict)]
    bad = len(records) - len(found) - (bool(records) and not isinstance(records[-1], dict))
    if bad:
        warnings.warn(
            f"{bad} of {len(lines)} lines of `{shown(path)}` cannot be read and are left out.",
            UserWarning,
            stacklevel=2,
        )
    return found


def read_result(path: str | os.PathLike) -> dict[str, Any]:
    """`result.json` of a run folder.

    Raises FileNotFoundError where the run did not end, and FolderError where it is damaged.
    """
    return _object(_inside(path, "result.json"))


def read_config(path: str | os.PathLike) -> dict[str, Any]:
    """`config.json` of a run folder; raises as `read_result`, also where no run wrote it."""
    file = _inside(path, "config.json")
    config = _object(file)
    if not isinstance(config.get("settings"), dict):
        raise FolderError(
            f"`{shown(file)}` has no settings, so no run of pinn_ngd wrote it: give another folder."
        )
    return config


def _object(path: Path) -> dict[str, Any]:
    value = from_json(_bytes_of(path))
    if isinstance(value, dict):
        return value
    raise FolderError(
        f"`{shown(path)}` is damaged or no file of a run (it should hold one JSON object): remove "
        "it, or give another folder."
    )


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FolderError(f"cannot read `{shown(path)}`: {error.strerror}.") from error


def _inside(path: str | os.PathLike, name: str) -> Path:
    path = Path(path)
    file = path / name if _is(path.is_dir) else path
    if not _is(file.is_file):
        raise FileNotFoundError(
            f"there is no `{name}` at `{shown(path)}`: pass the folder of a run that has been "
            "started (and, for its result, has ended)."
        )
    return file


def _is(question: Any) -> bool:
    """The answer of a path about itself; False for names that no file can have."""
    try:
        return question()
    except (OSError, ValueError):
        return False


def _nan_for_null(record: dict[str, Any]) -> dict[str, Any]:
    return {name: float("nan") if value is None else value for name, value in record.items()}
