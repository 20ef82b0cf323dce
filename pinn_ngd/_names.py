"""Names and values as people write them."""

import ast
import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def choose(name: Any, known: Mapping[str, Any] | Iterable[str], what: str) -> Any:
    """What a mapping knows by that name, or the name where `known` is only a list of names.

    `what` says in an error what the name stands for: "optimizer", or an argument in backticks.
    Raises ValueError for an unknown name, with the known ones and the nearest of them.
    """
    names = list(known)
    if isinstance(name, str) and name in names:
        return known[name] if isinstance(known, Mapping) else name
    near = difflib.get_close_matches(name, names, n=1) if isinstance(name, str) else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(names)
    if what.startswith("`"):
        raise ValueError(f"{what} is {name!r}; it must be one of {listed}.{hint}")
    raise ValueError(f"unknown {what} {name!r}; known are {listed}.{hint}")


def is_again(old: Any, new: Any) -> bool:
    """Whether two functions or classes are one, made anew by a file that was executed again."""
    names = [(getattr(x, "__module__", ""), getattr(x, "__qualname__", None)) for x in (old, new)]
    return names[0] == names[1] and names[0][1] is not None


def literal(text: str) -> Any:
    """The value of a Python literal, or else the text itself.

    Raises ValueError for an expression that Python cannot hold, such as one nested too deeply.
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    except (MemoryError, RecursionError, OverflowError, TypeError) as error:
        start = text if len(text) <= 40 else text[:37] + "..."
        msg = (
            f"the value `{start}` is no Python literal ({type(error).__name__}): write a number, a"
            " tuple of numbers, True, False, None or a word."
        )
        raise ValueError(msg) from None
