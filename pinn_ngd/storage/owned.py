"""What a user's function depends on besides its arguments: whose code it is, and its globals."""

import dis
import functools
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import equinox as eqx

# Code in these folders is known by its version: this package, Python's own and what is installed.
INSTALLED = (
    Path(__file__).resolve().parents[1],
    *(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")),
)


def is_the_users(thing: Callable | type) -> bool:
    """Whether a function or class is defined in no installed package: in a script, say."""
    if isinstance(thing, FunctionType):
        return _is_outside(thing.__code__.co_filename)
    file = getattr(sys.modules.get(thing.__module__), "__file__", None)
    return file is None or _is_outside(file)


@functools.lru_cache(maxsize=1024)
def _is_outside(file: str) -> bool:
    parents = Path(file).resolve().parents
    return not any(folder in parents for folder in INSTALLED)


def globals_of(function: FunctionType) -> dict[str, Any]:
    """Numbers, arrays, modules of parameters and the user's functions that a function reads by
    their global names. What it assigns itself, such as a counter, is no part of what it computes.
    """
    read: set[str] = set()
    assigned: set[str] = set()
    for code in _codes(function.__code__):
        for instruction in dis.get_instructions(code):
            if instruction.opname == "LOAD_GLOBAL":
                read.add(instruction.argval)
            elif instruction.opname == "STORE_GLOBAL":
                assigned.add(instruction.argval)
    known = {name: function.__globals__.get(name) for name in sorted(read - assigned)}
    return {name: value for name, value in known.items() if _counts(value)}


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _counts(value: Any) -> bool:
    if value is None or isinstance(value, type | ModuleType):
        return False
    if isinstance(value, FunctionType):
        return is_the_users(value)
    plain = isinstance(value, bool | int | float | complex | str)
    return plain or eqx.is_array_like(value) or isinstance(value, tuple | eqx.Module)
