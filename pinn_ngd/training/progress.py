"""The progress bar of a run."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jaxtyping import PyTree

from .callbacks import AbstractCallback
from .records import losses_of_terms, scores_in
from .result import OVERTIME, Record, Run, TrainResult

if TYPE_CHECKING:
    from rich.progress import Progress

REFRESH_SECONDS = 0.1
LINE_SECONDS = 10.0
TERMS_SHOWN = 3  # those with the largest losses
MEASURED = {
    "held_out_loss": "held-out {:.1e}",
    "points": "points {:.0f}",
    "relative_l2": "relative_l2 {:.2e}",
    "estimated_relative_l2": "estimated {:.2e}",
    "test_accuracy": "test_accuracy {:.4f}",
}


class ProgressBar(AbstractCallback):
    """Shows step, seconds, loss and the terms that have most of it, held-out loss, relative error
    (true and estimated), and damping.

    The bar follows whichever budget is closer to its end; beyond it a run that takes more says
    "overtime". Where the output is not a terminal it prints a plain line every ten seconds instead;
    `enabled=False` silences it. `console` is a `rich.console.Console`, by default that of the
    standard error.
    """

    def __init__(self, *, enabled: bool = True, console: Any = None):
        from rich.console import Console

        self.enabled = enabled
        self.console = Console(stderr=True) if console is None else console
        self.bar: Progress | None = None

    def on_start(self, run: Run) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self.run, self.shown_at = run, time.monotonic()
        self.measured: Record = {}
        self.terms: dict[str, float] = {}
        if self.enabled and self.console.is_terminal:
            columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
            bar = Progress(*columns, console=self.console)
            self.task = bar.add_task("compiling", total=1.0)
            bar.start()
            self.bar = bar

    def on_step(self, record: Record, model: PyTree) -> None:
        del model
        known = {name: record[name] for name in MEASURED if name in record}
        self.measured |= known | scores_in(record)
        self.terms = losses_of_terms(record) or self.terms
        pause = LINE_SECONDS if self.bar is None else REFRESH_SECONDS
        if not self.enabled or time.monotonic() - self.shown_at < pause:
            return
        self.shown_at = time.monotonic()
        self._show(record, overtime=in_overtime(self.run, record))

    def on_end(self, result: TrainResult) -> None:
        if self.bar is None:
            return
        if result.history:
            self.measured |= result.measures
            # The last step of any run may end a little after its time.
            self._show(result.history[-1], overtime=OVERTIME in result.message)
        self.bar.stop()
        self.bar = None

    def _show(self, record: Record, *, overtime: bool) -> None:
        text = describe(record, self.measured, self.terms) + ("  overtime" if overtime else "")
        if self.bar is None:
            self.console.print(text, highlight=False, soft_wrap=True, markup=False)
        else:
            self.bar.update(self.task, description=text, completed=fraction(self.run, record))


def describe(record: Record, measured: Record, terms: Mapping[str, float] | None = None) -> str:
    """One line about a step, with the last measured errors and the last known losses of `terms`:
    what is not known is left out."""
    text = f"step {record['step']}  {record['seconds']:.1f} s  loss {record['loss']:.3e}"
    text += _largest(terms or {})
    own = {name: f"{name} {{:.4g}}" for name in scores_in(measured) if name not in MEASURED}
    text += "".join(
        "  " + form.format(measured[name])
        for name, form in {**MEASURED, **own}.items()
        if name in measured
    )
    damping = record.get("damping", 0.0)
    return text + f"  damping {damping:.1e}" if damping > 0 else text


def _largest(terms: Mapping[str, float]) -> str:
    """The terms that have most of the loss, where there are several: one of them may be stuck."""
    if len(terms) < 2:
        return ""
    order = sorted(terms, key=lambda name: -terms[name])[:TERMS_SHOWN]
    more = ", ..." if len(terms) > TERMS_SHOWN else ""
    return f" ({', '.join(f'{name} {terms[name]:.1e}' for name in order)}{more})"


def fraction(run: Run, record: Record) -> float:
    """The part of the budget that is used up, in [0, 1]."""
    return min(1.0, _used(run, record))


def in_overtime(run: Run, record: Record) -> bool:
    """Whether a run that may take more than its budget does."""
    return run.overtime > 1 and _used(run, record) > 1


def _used(run: Run, record: Record) -> float:
    """What was used of the budget that is closer to its end, as a part of it."""
    pairs = ((record["step"], run.steps), (record["seconds"], run.seconds))
    return max((used / total for used, total in pairs if total), default=0.0)
