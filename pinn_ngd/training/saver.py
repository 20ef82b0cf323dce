"""When a run writes its checkpoint, and to which run a checkpoint belongs."""

import dataclasses
import time
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from ..storage.checkpoint import Checkpoint, Snapshot, load_checkpoint, save_checkpoint
from ..storage.files import remove
from ..storage.fingerprint import identity_of

FIRST_SECONDS = 2.0
COST_RATIO = 50.0  # seconds between two checkpoints per second of writing one


class Saver:
    """Writes and reads the checkpoint of one run, and knows when the next one is due.

    Of several processes all read, and those with `writes`, which is the first, write.

    The first checkpoint is written after two seconds. The time until the next one is fifty times
    the time that the last one took, but at least two seconds and at most the checkpoint's own
    `every_seconds`. A power cut thus costs a small network two seconds, and a large network spends
    a fiftieth of its time on writing.
    """

    def __init__(self, checkpoint: Checkpoint, *, writes: bool = True):
        self.checkpoint, self.writes = checkpoint, writes
        self.wait = min(FIRST_SECONDS, checkpoint.every_seconds)
        self.saved_at = time.monotonic()

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint | None,
        objective: Any,
        model: PyTree,
        optimizer: Any,
        *,
        writes: bool = True,
        **settings: Any,
    ) -> "Saver | None":
        """A saver whose identity has these settings and the fingerprint of these parts."""
        if checkpoint is None:
            return None
        identity = {
            **checkpoint.identity,
            **settings,
            **identity_of(objective, model, optimizer),
        }
        return cls(dataclasses.replace(checkpoint, identity=identity), writes=writes)

    def due(self) -> bool:
        """Whether it is time to write."""
        return self.writes and time.monotonic() - self.saved_at >= self.wait

    def save(self, snapshot: Snapshot) -> None:
        """Write the checkpoint."""
        if not self.writes:
            return
        begun = time.monotonic()
        signed = dataclasses.replace(snapshot, identity=self.checkpoint.identity)
        save_checkpoint(self.checkpoint.path, signed)
        self.saved_at = time.monotonic()
        wait = max(FIRST_SECONDS, COST_RATIO * (self.saved_at - begun))
        self.wait = min(wait, self.checkpoint.every_seconds)

    def load(self, like: tuple[PyTree, PyTree]) -> Snapshot:
        """Read the checkpoint; raises as `load_checkpoint` does, also for that of another run."""
        target = self.checkpoint
        return load_checkpoint(target.path, like=like, identity=target.identity)

    def forget(self) -> None:
        """Remove the checkpoint of an older run."""
        if self.writes:
            remove(Path(self.checkpoint.path))
