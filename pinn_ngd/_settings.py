"""Settings that say of themselves, in their annotations, what they may be."""

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from ._names import choose

INFINITY = float("inf")


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; without the ends where `above` or `below` says so."""

    low: float = -INFINITY
    high: float = INFINITY
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        low = value > self.low if self.above else value >= self.low
        return low and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        if self.high == INFINITY:
            return f"above {self.low:g}" if self.above else f"not below {self.low:g}"
        low = f"above {self.low:g}" if self.above else f"at least {self.low:g}"
        return f"{low} and {'below' if self.below else 'at most'} {self.high:g}"


class Shared:
    """Marks a setting of a training that does not belong to a method, such as a schedule.

    A comparison gives the value of such a setting to all optimizers. To mark one, annotate it:
    `warmup: Annotated[int, SHARED] = 0`.
    """


SHARED = Shared()
Positive = Annotated[float, Range(0.0, above=True)]
NonNegative = Annotated[float, Range(0.0)]
Fraction = Annotated[float, Range(0.0, 1.0, below=True)]
Share = Annotated[float, Range(0.0, 1.0, above=True)]
Count = Annotated[int, Range(1.0)]
Whole = Annotated[int, Range(0.0)]


def checked(name: str, value: Any, hint: Any) -> Any:
    """The value, a whole number as a float where one is wanted; ValueError where it does not fit.

    Hints are numbers with a `Range`, bool, str, `Literal`, classes and unions of these; what is
    said by any other hint is not looked at.
    """
    found, fits = _fitted(value, hint, name)
    if not fits:
        raise ValueError(f"`{name}` is {_shown(value)}; it must be {_described(hint)}.")
    return found


def check_fields(module: Any) -> None:
    """Raises ValueError where a field of a module does not fit its annotation."""
    for name, hint in _hints(type(module)).items():
        if get_origin(hint) is not ClassVar and hasattr(module, name):
            checked(name, getattr(module, name), hint)


def settings_of(make: Callable[..., Any]) -> dict[str, Any]:
    """The keywords of a function or class, and their defaults."""
    parameters = inspect.signature(make).parameters
    return {
        name: None if parameter.default is parameter.empty else parameter.default
        for name, parameter in parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }


def settings_in_words(make: Callable[..., Any]) -> dict[str, str]:
    """The keywords of a function or class, each with its default and what else it may be."""
    hints = _hints_of(make)
    lines = {}
    for name, default in settings_of(make).items():
        may_be = _described(hints[name]) if name in hints else ""
        lines[name] = f"{default!r}; {may_be}" if may_be else repr(default)
    return lines


def shared_settings_of(make: Callable[..., Any]) -> set[str]:
    """The keywords of a function or class that are marked as `Shared`."""
    marks = {name: get_args(hint) for name, hint in _hints_of(make).items() if name != "return"}
    return {name for name, parts in marks.items() if any(isinstance(x, Shared) for x in parts)}


def checked_settings(owner: str, make: Callable[..., Any], given: Mapping[str, Any]) -> dict:
    """The given settings as `make` takes them.

    Raises ValueError for a setting that it does not have, naming those of the `owner`, and for a
    value that does not fit its annotation, or the type of its default where it has none.
    """
    known = settings_of(make)
    check_known(owner, given, known)
    hints = _hints_of(make)
    return {
        name: checked(name, v, hints.get(name, _like(known[name]))) for name, v in given.items()
    }


def check_known(owner: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raises ValueError for names that are not known, naming those that are."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        have = ", ".join(known) or "none"
        raise ValueError(f"{owner} has no setting {', '.join(unknown)}; it has {have}.")


def _hints_of(make: Any) -> dict[str, Any]:
    target = make.func if isinstance(make, functools.partial) else make
    return _hints(target if inspect.isclass(target) else inspect.unwrap(target))


@functools.lru_cache(maxsize=256)
def _hints(owner: Any) -> dict[str, Any]:
    try:
        return get_type_hints(owner, include_extras=True)
    except (NameError, TypeError):  # names that only a type checker knows
        return {}


def _like(default: Any) -> Any:
    return type(default) if type(default) in (int, float, bool) else Any


def _fitted(value: Any, hint: Any, name: str) -> tuple[Any, bool]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _within(value, hint, name)
    if origin in (Union, types.UnionType):
        for argument in sorted(arguments, key=lambda arm: arm is str):  # a name last, to be told
            found, fits = _fitted(value, argument, name)
            if fits:
                return found, True
        return value, False
    if origin is Literal:
        return choose(value, arguments, f"`{name}`"), True
    if hint is None or hint is type(None):
        return value, value is None
    if hint in (int, float):
        return _number(value, hint)
    if hint is bool:
        return value, isinstance(value, bool | np.bool_)
    if inspect.isclass(hint) and hint.__module__ != "typing" and origin is None:
        return value, _is_a(value, hint)
    return value, True


def _within(value: Any, hint: Any, name: str) -> tuple[Any, bool]:
    base, *marks = get_args(hint)
    value, fits = _fitted(value, base, name)
    number = _concrete(value)
    ranges = [mark for mark in marks if isinstance(mark, Range)]
    return value, fits and (number is None or all(number in mark for mark in ranges))


def _is_a(value: Any, hint: type) -> bool:
    try:
        return isinstance(value, hint)
    except TypeError:  # a protocol, or an array type, that cannot be asked
        return True


def _number(value: Any, kind: type) -> tuple[Any, bool]:
    if isinstance(value, bool | np.bool_ | str | bytes) or value is None:
        return value, False
    if hasattr(value, "dtype") and not isinstance(value, np.generic):
        return value, getattr(value, "shape", None) == ()  # an array or a tracer
    if not isinstance(value, int | float | np.number) or isinstance(value, complex):
        return value, False
    if kind is float:
        return (float(value) if isinstance(value, int) else value), not np.isnan(value)
    whole = np.isfinite(value) and int(value) == value
    return (int(value) if whole else value), bool(whole)


def _concrete(value: Any) -> float | None:
    try:
        return float(value)
    except Exception:  # a tracer, or no number at all
        return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"of type {type(value).__name__}"


def _described(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        ranges = " and ".join(str(mark) for mark in arguments[1:] if isinstance(mark, Range))
        return f"{_described(arguments[0])} {ranges}".strip()
    if origin in (Union, types.UnionType):
        parts = [_described(argument) for argument in arguments]
        return " or ".join([", ".join(parts[:-1]), parts[-1]])
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin is tuple:
        return "(" + ", ".join(map(_described, arguments)) + ")"
    words = {int: "a whole number", float: "a number", bool: "True or False", str: "a name"}
    if hint is None or hint is type(None):
        return "None"
    return words.get(hint, f"of the class {getattr(hint, '__name__', hint)}")
