"""What the commands print."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 1000  # columns of a pipe
KNOWN_SCORES = ("test_accuracy", "test_nll", "test_ece")  # with a wording of their own


def summary_of(result: Mapping[str, Any]) -> Table:
    """One screen: what came out, what it cost, why it stopped, where the files are."""
    from ..training.records import component_errors

    title = f"{result['problem']}, {result['optimizer']}, seed {result['seed']}"
    solver = f" ({result['solver']})" if result.get("solver") else ""
    reliable = result.get("estimate_reliable", False)
    estimated = "estimated relative L2 error" if reliable else "relative L2 error, at least"
    rows: dict[str, tuple[str, Callable[[Any], str]]] = {
        "relative_l2": ("relative L2 error", lambda value: f"{value:.3e}"),
        "by_component": ("relative L2 error, by component", _terms),
        "relative_h1": ("relative H1 error", lambda value: f"{value:.3e}"),
        "estimated_relative_l2": (estimated, lambda value: f"{value:.3e}"),
        "corrected_relative_l2": ("corrected: relative L2 error", lambda value: f"{value:.3e}"),
        "estimated_corrected_l2": ("corrected: estimated", lambda value: f"{value:.3e}"),
        "test_accuracy": ("test accuracy", lambda value: f"{100 * value:.2f} %"),
        "test_nll": ("test negative log-likelihood", lambda value: f"{value:.4f}"),
        "test_ece": ("test calibration error", lambda value: f"{value:.4f}"),
        **{name: (name, _number) for name in result.get("scores", ()) if name not in KNOWN_SCORES},
        "loss": ("loss", lambda value: f"{value:.6e}"),
        "held_out_loss": ("held-out loss", lambda value: f"{value:.6e}"),
        "held_out_terms": ("held-out, by term", _terms),
        "worst_residual": ("largest held-out residual", _where),
        "points": ("training points", str),
        "seconds": ("training", lambda value: f"{value:.1f} s"),
        "compile_seconds": ("compilation", lambda value: f"{value:.1f} s"),
        "steps": ("steps", str),
        "parameters": ("parameters", str),
        "message": (f"{result['status']}", str),
        "folder": ("files", lambda value: f"{value}/"),
    }
    result = {**result, "by_component": component_errors(result) or None}
    lines = {
        label: show(result[name])
        for name, (label, show) in rows.items()
        if result.get(name) is not None
    }
    return two_columns(lines, title + solver)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _terms(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.1e}" for name, value in values.items())


def _where(worst: Mapping[str, Any]) -> str:
    point = ", ".join(f"{x:.3g}" for x in worst["point"])
    return f"{worst['term']}, at ({point})"


def print_table(table: Table | Text) -> None:
    """Print to the terminal; where there is none, as in a pipe, no line is cut or padded."""
    screen = Console()
    if screen.is_terminal:
        screen.print(table, highlight=False)
        return
    screen = Console(width=max(screen.width, WIDE))
    with screen.capture() as captured:
        screen.print(table, highlight=False)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def two_columns(lines: Mapping[str, str], title: str) -> Table:
    """Names on the left, what they are on the right."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines.items():
        table.add_row(Text(name), Text(text))
    return table


def show_comparison(summary: Mapping[str, Any], out: Path) -> None:
    """Print the table of a comparison and where its files are."""
    from ..experiments import HEADINGS, settings_lines, table_cells

    title = f"{summary['problem']}: final {summary['measure']} over the seeds"
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for heading in HEADINGS:
        first = heading == "optimizer"  # may be folded on a small screen: numbers may not
        side = "left" if first else "right"
        table.add_column(heading, justify=side, no_wrap=not first, overflow="fold")
    for row in summary["rows"]:
        table.add_row(*map(Text, table_cells(row)))
    print_table(table)
    for line in settings_lines(summary):
        print_table(Text(f"  {line}"))
    typer.echo(f"files: {out}/")


def checks_table(checks: Sequence[Any]) -> Table:
    """Every test with what it measured, what was wanted, and the verdict."""
    table = Table(title="verification", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("test")
    for heading in ("measured", "wanted", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for check in checks:
        verdict = Text("ok", style="green") if check.passed else Text("FAILED", style="bold red")
        table.add_row(Text(check.name), f"{check.value:.3g}", check.wanted, verdict)
    return table
