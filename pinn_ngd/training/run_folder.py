"""The folder that a run leaves behind: config.json, history.jsonl, result.json, checkpoint/."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .callbacks import JSONLWriter, to_json
from .checkpoint import Checkpoint
from .result import TrainResult

PACKAGES = ("pinn_ngd", "jax", "jaxlib", "equinox", "lineax", "optax", "numpy", "scipy")
METRICS = (
    "relative_l2", "relative_h1", "estimated_relative_l2", "estimated_relative_h1", "unexplained",
    "test_accuracy", "test_error", "test_score", "test_nll", "test_ece",
    "train_accuracy", "train_error", "train_nll",
)  # fmt: skip


class RunFolder:
    """Paths and files of one run.

    >>> folder = RunFolder("runs/poisson-2d-engd-tr-0")  # doctest: +SKIP
    >>> folder.write_config({"seed": 0})  # doctest: +SKIP
    >>> result = train(..., callbacks=[folder.writer()],
    ...                checkpoint=folder.checkpoint())  # doctest: +SKIP
    >>> folder.write_result(result, problem="poisson-2d")  # doctest: +SKIP

    Starting again in the same folder empties the history and removes the old result, unless the
    run is resumed.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.config_path = self.path / "config.json"
        self.history_path = self.path / "history.jsonl"
        self.result_path = self.path / "result.json"
        self.checkpoint_path = self.path / "checkpoint" / "latest.eqx"

    def write_config(self, settings: dict[str, Any]) -> None:
        """Write the resolved settings and the surroundings of a run, and remove an old result."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.result_path.unlink(missing_ok=True)
        config = {
            "settings": self._portable(plain(settings)),
            "environment": environment(),
            "command": self._portable(_command_line()),
        }
        self.config_path.write_text(to_json(config, indent=2) + "\n", encoding="utf-8")

    def writer(self) -> JSONLWriter:
        """The callback that writes `history.jsonl`, one run only."""
        return JSONLWriter(self.history_path, fresh=True)

    def checkpoint(self, every_seconds: float = 30.0) -> Checkpoint:
        """Where and how often `train` writes its checkpoint."""
        return Checkpoint(self.checkpoint_path, every_seconds)

    def write_result(self, result: TrainResult, **description: Any) -> dict[str, Any]:
        """Write and return `result.json`.

        `description` holds what the loop does not know: problem, optimizer, solver, seed,
        parameters, and metrics such as relative_h1; it wins over the metrics of the result.
        """
        known = {name: result.metrics[name] for name in METRICS if name in result.metrics}
        fields = ("steps", "seconds", "compile_seconds", "loss", "status", "message")
        head = ("problem", "optimizer", "solver", "seed", "parameters")
        values = dict.fromkeys(head) | {name: getattr(result, name) for name in fields}
        values |= result.solves | known | _trust(result)
        values = self._portable(plain(values | description))
        self.path.mkdir(parents=True, exist_ok=True)
        self.result_path.write_text(to_json(values, indent=2) + "\n", encoding="utf-8")
        return values

    def _portable(self, value: Any) -> Any:
        """Absolute paths of the machine as relative ones or names, but for the folder's own."""
        if isinstance(value, dict):
            return {key: self._portable(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._portable(item) for item in value]
        if not isinstance(value, str):
            return value
        option, equals, rest = value.partition("=")
        if equals and option.startswith("-"):
            return option + equals + self._portable(rest)
        return _shorten(value, self.path)


def _trust(result: TrainResult) -> dict[str, Any]:
    """What is known of the error: held-out losses, where the worst is, whether to believe."""
    found: dict[str, Any] = {}
    if result.held_out is not None:
        look = result.held_out
        found |= {"held_out_loss": look.loss, "held_out_terms": look.terms}
        found |= {"worst_residual": {"term": look.worst, "point": look.where}}
    if result.history and "points" in result.history[-1]:
        found["points"] = result.history[-1]["points"]
    if result.estimate is not None:
        found["estimate_reliable"] = result.estimate.reliable
    return found


def read_history(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The history lines of a run folder or of a .jsonl file; null is read as NaN.

    A last line that a dying run left unfinished is dropped. Raises FileNotFoundError where there
    is no history and ValueError where another line is not JSON.
    """
    path = _inside(path, "history.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(_nan_for_null(json.loads(line)))
        except json.JSONDecodeError as error:
            if number < len(lines):
                message = f"line {number} of `{path}` is not JSON: remove it, or run again."
                raise ValueError(message) from error
    return records


def read_result(path: str | os.PathLike) -> dict[str, Any]:
    """`result.json` of a run folder; raises FileNotFoundError where the run did not end."""
    return json.loads(_inside(path, "result.json").read_text(encoding="utf-8"))


def plain(value: Any) -> Any:
    """Settings as what JSON knows: arrays as numbers and lists, modules as dicts, else a name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(value).tolist()
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return np.asarray(value).tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        values = {field.name: plain(getattr(value, field.name, None)) for field in fields}
        return {"type": type(value).__name__, **values}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return getattr(value, "__name__", type(value).__name__)


def environment() -> dict[str, Any]:
    """Versions, device and number format: what a number in a result depends on."""
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cores": os.cpu_count(),
        "default_dtype": str(jnp.asarray(0.0).dtype),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return getattr(sys.modules.get(name), "__version__", None)


def _command_line() -> list[str]:
    program = Path(sys.argv[0]) if sys.argv else Path("python")
    name = program.parent.name if program.name == "__main__.py" else program.name
    return [name, *sys.argv[1:]]


def _shorten(text: str, own: Path) -> str:
    path = Path(text)
    if not path.is_absolute() or path == own:
        return text
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name


def _inside(path: str | os.PathLike, name: str) -> Path:
    path = Path(path)
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"there is no `{name}` at `{path}`: pass the folder of a run that has been started "
            "(and, for its result, has ended)."
        )
    return file


def _nan_for_null(record: dict[str, Any]) -> dict[str, Any]:
    return {name: float("nan") if value is None else value for name, value in record.items()}
