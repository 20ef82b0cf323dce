"""Ctrl-C, SIGTERM and SIGHUP: they end a run at the next moment at which nothing is lost."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from .result import Ending

WORDS = {
    signal.SIGINT: "interrupted from the keyboard",
    signal.SIGTERM: "ended by the system (SIGTERM)",
}
OURS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
if hasattr(signal, "SIGHUP"):  # not on Windows; under `nohup` its handler is another, and stays
    WORDS[signal.SIGHUP] = "ended by the system (SIGHUP: the terminal was closed)"
    OURS[signal.SIGHUP] = signal.SIG_DFL


class Signals:
    """The signals that arrived. The first one waits while `patient`, the second never does."""

    def __init__(self):
        self.number: int | None = None
        self.patient = False
        self.told = False

    def ending(self) -> Ending | None:
        """The end that a signal sets, if one came."""
        if self.number is None:
            return None
        self.told = True
        words = WORDS[signal.Signals(self.number)]
        return Ending("interrupted", f"{words}; the results so far are kept")

    def over(self, ending: Ending) -> Ending:
        """The given end, or that of a signal that arrived meanwhile; a failure stays a failure."""
        return ending if ending.status == "failed" else self.ending() or ending

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        del frame
        is_first, self.number = self.number is None, number
        if not (is_first and self.patient):
            raise KeyboardInterrupt


_listening: list[Signals] = []


@contextlib.contextmanager
def heard() -> Iterator[Signals]:
    """Listen to Ctrl-C, SIGTERM and SIGHUP while the block runs, and then put handlers back.

    Python delivers signals to the main thread only; in other threads this does nothing. A handler
    that somebody else has set stays. A block inside another such block shares its signals. A signal
    that arrived too late to end the run is sent again when the old handlers are back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Signals()
        return
    if _listening:
        yield _listening[-1]
        return
    signals = Signals()
    taken = [number for number, handler in OURS.items() if signal.getsignal(number) == handler]
    _listening.append(signals)
    try:
        for number in taken:
            signal.signal(number, signals.hear)
        yield signals
    finally:
        for number in taken:
            signal.signal(number, OURS[number])
        _listening.remove(signals)
    if signals.number is not None and not signals.told:
        signal.raise_signal(signals.number)


@contextlib.contextmanager
def patiently(signals: Signals) -> Iterator[None]:
    """Let the first signal wait while the block runs."""
    before, signals.patient = signals.patient, True
    try:
        yield
    finally:
        signals.patient = before
