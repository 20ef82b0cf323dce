"""Tables in Markdown, and the marks between which a script puts them into a page."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any


def marks(name: str) -> tuple[str, str]:
    """What stands before and after a table that a script writes."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def spread(values: Sequence[float], form: str = ".1e") -> str:
    """Median and, of several values, the largest, of which what is not a number is one."""
    if not values:
        return ""
    values = [math.inf if math.isnan(value) else value for value in values]
    middle = format(statistics.median(values), form)
    return middle if len(values) == 1 else f"{middle} ({format(max(values), form)})"


def known(rows: Sequence[dict[str, Any]], key: str) -> list[float]:
    return [row[key] for row in rows if row.get(key) is not None]


def median(rows: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.median(known(rows, key) or [math.nan])


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = "|---|" + "---:|" * (len(heads) - 1)
    body = ["| " + " | ".join(cells) + " |" for cells in (heads, *lines)]
    return "\n".join([body[0], rule, *body[1:]]) + "\n"


def with_table(text: str, new: str, name: str = "results") -> str:
    """A text with what stands between its two marks replaced; unchanged where they are not."""
    first, last = marks(name)
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    return f"{before}{begin}\n{new}{end}{after}" if begin and end else text
