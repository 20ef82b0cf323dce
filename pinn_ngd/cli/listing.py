"""What there is: names with a line each, known without JAX."""

import importlib.metadata
from collections.abc import Callable, Iterable, Sequence

from .._catalog import METRICS, OPTIMIZERS, SOLVERS, Lines, by_kind
from .._listing import file_of, list_problems, problems_folder
from .._names import choose
from .recipes import list_figures


def listed(parts: Sequence[str]) -> dict[str, Lines]:
    """Tables by their titles: of the given parts, or of all but the figures where none is given.

    Raises ValueError for an unknown part.
    """
    chosen = [choose(part, PARTS, "part of the list") for part in parts]
    chosen = chosen or [table for part, table in PARTS.items() if part != "figures"]
    return {title: lines for table in chosen for title, lines in table().items()}


def _problems() -> dict[str, Lines]:
    known, folder = list_problems(), problems_folder()
    texts = {name: file_of(folder, name).read_text(encoding="utf-8") for name in known}
    return {f"problems: {kind}": lines for kind, lines in by_kind(known, texts).items()}


def _optimizers() -> dict[str, Lines]:
    ours = {f"optimizers (--optimizer) for {kind}": lines for kind, lines in OPTIMIZERS.items()}
    known = [name for lines in OPTIMIZERS.values() for name in lines]
    others = _plugged_in("pinn_ngd.optimizers", known)
    return ours | ({"optimizers (--optimizer) of other distributions": others} if others else {})


def _plugged_in(group: str, known: Iterable[str]) -> Lines:
    """Names that installed distributions add, known without loading them."""
    points = [p for p in importlib.metadata.entry_points(group=group) if p.name not in set(known)]
    return {p.name: f"of {'a distribution' if p.dist is None else p.dist.name}" for p in points}


PARTS: dict[str, Callable[[], dict[str, Lines]]] = {
    "problems": _problems,
    "optimizers": _optimizers,
    "metrics": lambda: {"metrics (--metric)": METRICS | _plugged_in("pinn_ngd.metrics", METRICS)},
    "solvers": lambda: {
        "linear solvers (--solver)": SOLVERS | _plugged_in("pinn_ngd.solvers", SOLVERS)
    },
    "figures": lambda: {"figures (of a checkout)": list_figures()},
}
