"""Histories sent to the trackers of experiments that people already use."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import PyTree

from .callbacks import AbstractCallback
from .result import Record, Run, TrainResult

Write = Callable[[Mapping[str, float], int], Any]


class Log(AbstractCallback):
    """Sends the numbers of every history line to `write(numbers, step)`.

    That is how most trackers want them, so that no adapter is needed:

        train(..., callbacks=Log(wandb.init(project="pde").log))
        train(..., callbacks=Log(mlflow.log_metrics))

    What is known only at the end (measures of the last model, estimates made after the last step)
    is sent behind the last line, at the same step. Truth values count as 0 and 1; what is not a
    number stays in `history.jsonl`. Whatever `write` raises passes through and ends the run, with
    its checkpoint kept.
    """

    def __init__(self, write: Any):
        if not callable(write):
            msg = (
                f"`Log` takes a function of (numbers, step), not a {type(write).__name__}: give "
                "the method that logs, such as `run.log`."
            )
            raise TypeError(msg)
        self.write: Write = write
        self.sent: dict[str, float] = {}

    def on_step(self, record: Record, model: PyTree) -> None:
        del model
        self._send(record)

    def on_end(self, result: TrainResult) -> None:
        """Send what the last line has got since it was sent."""
        if not result.history:
            return
        last = {**result.history[-1], **result.measures}
        late = {name: value for name, value in last.items() if name not in self.sent}
        if late:
            self._send({**late, "step": result.history[-1]["step"]})

    def _send(self, record: Mapping[str, Any]) -> None:
        numbers = {
            name: float(value)
            for name, value in record.items()
            if name != "step" and isinstance(value, int | float)
        }
        self.sent = numbers
        if numbers:
            self.write(numbers, int(record["step"]))


class TensorBoard(Log):
    """Writes the numbers of every history line for TensorBoard, into a folder.

    Needs tensorboardX (`pip install 'pinn-ngd[tensorboard]'`); then `tensorboard --logdir FOLDER`
    shows them. Raises ImportError without it.
    """

    def __init__(self, folder: str | os.PathLike):
        import tensorboardX  # pyright: ignore[reportMissingImports]

        self.folder, self._module = os.fspath(folder), tensorboardX
        self._writer: Any = None
        super().__init__(self._add)

    def on_start(self, run: Run) -> None:
        # Lines after a checkpoint that a resumed run makes again replace those of the cut one.
        purge = run.start + 1 if run.resumed else None
        self._writer = self._module.SummaryWriter(self.folder, purge_step=purge)

    def on_end(self, result: TrainResult) -> None:
        super().on_end(result)
        if self._writer is not None:
            self._writer.close()

    def _add(self, numbers: Mapping[str, float], step: int) -> None:
        if self._writer is None:
            raise ValueError("`on_step` came before `on_start`: pass the logger to `train`.")
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
