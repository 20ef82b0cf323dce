"""How often a checkpoint is written: early, and as often as it is cheap."""

import jax
import pytest

from pinn_ngd.storage import Checkpoint, Snapshot
from pinn_ngd.training.saver import Saver


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands, and a write that costs as many seconds as one asks."""
    now = {"time": 0.0, "cost": 0.0}

    def save(*_):
        now["time"] += now["cost"]

    monkeypatch.setattr("pinn_ngd.training.saver.time.monotonic", lambda: now["time"])
    monkeypatch.setattr("pinn_ngd.training.saver.save_checkpoint", save)
    return now


def wait(saver, clock):
    """Seconds until the saver is due."""
    begun = clock["time"]
    while not saver.due():
        clock["time"] += 0.25
    return clock["time"] - begun


@pytest.mark.parametrize(
    ("cost", "every", "waits"),
    [(0.0, 30.0, [2.0, 2.0]), (0.1, 30.0, [2.0, 5.0]), (5.0, 30.0, [2.0, 30.0]),
     (0.0, 0.5, [0.5, 0.5]), (5.0, 0.0, [0.0, 0.0])],
)  # fmt: skip
def test_the_first_comes_early_and_the_next_as_often_as_they_are_cheap(clock, cost, every, waits):
    saver, found = Saver(Checkpoint("latest.eqx", every)), []
    clock["cost"] = cost
    for _ in range(2):
        found.append(wait(saver, clock))
        saver.save(Snapshot(None, None, step=1, seconds=1.0, key=jax.random.key(0)))
    assert found == pytest.approx(waits, abs=0.25)
