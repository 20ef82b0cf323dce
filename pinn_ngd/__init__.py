"""Natural-gradient training of neural networks for PDEs, posed as linear least squares.

Names are imported when they are first asked for, from the modules that `__init__.pyi` says: the
command line answers `--help` and `list` without JAX.
"""

import ast
import importlib
from pathlib import Path
from typing import Any


def _places() -> dict[str, str]:
    """The module of every name; a package that is imported whole stands for itself."""
    stub = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    imports = [node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom)]
    return {
        alias.name: node.module or alias.name for node in imports for alias in node.names
    }  # fmt: skip


_PLACES = _places()
__all__ = list(_PLACES)  # pyright: ignore[reportUnsupportedDunderAll]  (for a star import)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pinn-ngd")
    if name not in _PLACES:
        raise AttributeError(f"module 'pinn_ngd' has no attribute {name!r}")
    place = _PLACES[name]
    module = importlib.import_module(f"{__name__}.{place}")
    found = module if place == name else getattr(module, name)
    globals()[name] = found  # asked once
    return found


def __dir__() -> list[str]:
    return sorted([*_PLACES, "__version__"])
