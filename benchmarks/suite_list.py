"""What `suite.toml` lists: problems, budgets and targets."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LIST = Path(__file__).parent / "suite.toml"
SECONDS = 60.0  # of a run, where the list says nothing
SEEDS = 5  # the same


def entries() -> dict[str, dict[str, Any]]:
    """The problems of the suite by label, "problem" or "problem:variant"."""
    return tomllib.loads(LIST.read_text(encoding="utf-8"))


def goals(label: str) -> list[tuple[float, float]]:
    """The targets of a problem, errors and seconds, the earlier one first."""
    entry = entries().get(label, {})
    return [tuple(entry[key]) for key in ("early", "target") if key in entry]


def seeds_of(label: str) -> int:
    """How many seeds a problem has in the suite."""
    return entries().get(label, {}).get("seeds", SEEDS)


def grouped(runs: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Runs by label, in the order of the list."""
    found: dict[str, list[dict[str, Any]]] = {label: [] for label in entries()}
    for run in runs:
        found.setdefault(run["problem"], []).append(run)
    return {label: rows for label, rows in found.items() if rows}


def in_suite(run: dict[str, Any]) -> bool:
    """Whether a run had the budget of the list."""
    return run["budget"] == entries()[run["problem"]].get("seconds", SECONDS)
