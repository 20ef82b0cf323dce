"""Where a run happened: versions, device, command line; and its settings as JSON knows them."""

import dataclasses
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PACKAGES = ("pinn_ngd", "jax", "jaxlib", "equinox", "lineax", "optax", "numpy", "scipy")


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


def command_line() -> list[str]:
    """What was typed, with the name of the program instead of its path."""
    program = Path(sys.argv[0]) if sys.argv else Path("python")
    name = program.parent.name if program.name == "__main__.py" else program.name
    return [name, *sys.argv[1:]]
