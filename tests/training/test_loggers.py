"""What trackers of experiments are sent."""

import struct

import pytest

from pinn_ngd.training import AbstractCallback, Log, TensorBoard

from .helpers import solve


class Tracker:
    """A tracker as people have it: a method that takes numbers and a step."""

    def __init__(self):
        self.lines = []

    def log(self, numbers, step):
        self.lines.append((step, dict(numbers)))


def test_every_line_is_sent_with_its_numbers():
    tracker = Tracker()
    result = solve(steps=3, callbacks=Log(tracker.log))
    steps = [line["step"] for line in result.history]
    assert [step for step, _ in tracker.lines][: len(steps)] == steps
    for line, (_, numbers) in zip(result.history, tracker.lines, strict=False):
        assert numbers["loss"] == line["loss"]
        assert numbers["accepted"] == float(line["accepted"])
        assert "step" not in numbers


def test_what_is_known_at_the_end_is_sent_too():
    tracker = Tracker()
    measures = {"evaluate": lambda m: {"w": m.weight[0]}, "evaluate_every": 100}
    result = solve(steps=9, callbacks=Log(tracker.log), **measures)
    everything = {}
    for step, numbers in tracker.lines:
        everything[step] = everything.get(step, {}) | numbers
    assert everything[9]["w"] == float(result.measures["w"])
    assert everything[9]["loss"] == result.history[-1]["loss"]


def test_an_error_of_the_tracker_ends_the_run():
    def refuse(*_):
        raise ConnectionError("no network")

    with pytest.raises(ConnectionError):
        solve(steps=3, callbacks=Log(refuse))
    with pytest.raises(TypeError, match=r"give the method that logs, such as `run\.log`"):
        Log("wandb")


def test_it_is_a_callback():
    assert issubclass(Log, AbstractCallback)


def events(folder):
    """(step, name, value) of all scalars in a folder of TensorBoard's files of records."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = []
    for file in sorted(folder.glob("events.*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length
            found += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
    return found


def test_tensorboard_gets_the_losses(tmp_path):
    pytest.importorskip("tensorboardX")
    result = solve(steps=3, callbacks=TensorBoard(tmp_path))
    losses = {step: value for step, name, value in events(tmp_path) if name == "loss"}
    assert losses == pytest.approx({line["step"]: line["loss"] for line in result.history})
