"""Resuming is exact, writing is atomic, and the wrong file is named."""

import dataclasses
import os

import jax
import jax.numpy as jnp
import pytest

from pinn_ngd.storage import Checkpoint, Snapshot, load_checkpoint, load_model, save_checkpoint
from tests.training.helpers import Descent, InterruptAt, Linear, Listener, PlainDescent, solve


def snapshot(**changes):
    first = Snapshot(
        model=Linear(jnp.asarray([0.1, 0.2, 1.0 / 3.0])),
        state=(jnp.asarray(4, jnp.int32), jax.random.key(9), 2.5),
        step=12,
        seconds=3.25,
        key=jax.random.key(5),
        compile_seconds=0.5,
        lines=7,
    )
    return dataclasses.replace(first, **changes)


def like():
    return Linear(jnp.zeros(3)), (jnp.asarray(0, jnp.int32), jax.random.key(0), 0.0)


def test_a_snapshot_comes_back_bit_for_bit(tmp_path):
    path, saved = tmp_path / "deep" / "latest.eqx", snapshot()
    save_checkpoint(path, saved)
    loaded = load_checkpoint(path, like=like())
    assert jnp.array_equal(loaded.model.weight, saved.model.weight)
    assert int(loaded.state[0]) == 4
    assert loaded.state[2] == 2.5
    for ours, theirs in ((loaded.key, saved.key), (loaded.state[1], saved.state[1])):
        assert jnp.array_equal(jax.random.key_data(ours), jax.random.key_data(theirs))
    for name in ("step", "seconds", "compile_seconds", "lines"):
        assert getattr(loaded, name) == getattr(saved, name)
    assert jnp.array_equal(load_model(path, like=like()[0]).weight, saved.model.weight)


def test_a_crash_between_write_and_rename_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "latest.eqx"
    save_checkpoint(path, snapshot(step=1))

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, snapshot(step=2))
    assert load_checkpoint(path, like=like()).step == 1
    assert [file.name for file in tmp_path.iterdir()] == ["latest.eqx"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ((Linear(jnp.zeros(4)), like()[1]), r"another model: .weight is float64\[3\] in the file"),
        ((Linear(jnp.zeros(3, jnp.float32)), like()[1]), r"and .weight is float32\[3\] here"),
        ((like()[0], jnp.zeros(3)), "another optimizer or problem"),
        ((like()[0], (*like()[1], jnp.zeros(1))), "the file has 3 leaves, and there are 4 here"),
    ],
)
def test_a_checkpoint_of_another_model_or_optimizer_is_refused(tmp_path, other, words):
    path = tmp_path / "latest.eqx"
    save_checkpoint(path, snapshot())
    with pytest.raises(ValueError, match=words) as caught:
        load_checkpoint(path, like=other)
    assert "Cure: build it with the settings" in str(caught.value)


def test_missing_foreign_and_damaged_files_are_named(tmp_path):
    path = tmp_path / "latest.eqx"
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_checkpoint(path, like=like())
    path.write_bytes(b"PNG\n")
    with pytest.raises(ValueError, match="is not a checkpoint"):
        load_checkpoint(path, like=like())
    save_checkpoint(path, snapshot())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is damaged"):
        load_checkpoint(path, like=like())


@pytest.mark.parametrize(("stride", "cut"), [(1, 5), (4, 4)])
def test_ten_steps_are_five_steps_and_a_resumed_rest(tmp_path, stride, cut):
    settings = {"resampled": True, "stride": stride}
    optimizer, checkpoint = Descent(noise=0.1), Checkpoint(tmp_path / "latest.eqx")
    whole = solve(optimizer, steps=10, **settings)
    first = solve(optimizer, steps=cut, checkpoint=checkpoint, **settings)
    other_key = jax.random.key(99)  # the checkpoint's key wins
    rest = solve(optimizer, steps=10, checkpoint=checkpoint, resume=True, key=other_key, **settings)
    assert rest.steps == 10
    assert jnp.array_equal(rest.model.weight, whole.model.weight)
    assert int(rest.state[0]) == 10
    numbers = [{**line, "seconds": 0} for line in first.history + rest.history]
    assert numbers == [{**line, "seconds": 0} for line in whole.history]
    assert rest.seconds > first.seconds
    assert rest.compile_seconds > first.compile_seconds


def test_a_run_cut_within_a_stride_draws_the_same_batches(tmp_path):
    settings = {"resampled": True, "stride": 4}
    checkpoint = Checkpoint(tmp_path / "latest.eqx")
    solve(steps=5, checkpoint=checkpoint, **settings)
    rest = solve(steps=10, checkpoint=checkpoint, resume=True, **settings)
    assert jnp.array_equal(rest.model.weight, solve(steps=10, **settings).model.weight)
    assert [line["step"] for line in rest.history] == [8, 10]


def test_an_interrupted_run_can_be_resumed(tmp_path):
    checkpoint, listener = Checkpoint(tmp_path / "latest.eqx"), Listener()
    solve(PlainDescent(), steps=9, callbacks=[InterruptAt(3)], checkpoint=checkpoint)
    rest = solve(PlainDescent(), steps=9, callbacks=[listener], checkpoint=checkpoint, resume=True)
    assert jnp.array_equal(rest.model.weight, solve(PlainDescent(), steps=9).model.weight)
    assert (listener.runs[0].start, listener.runs[0].resumed) == (3, True)


def test_a_resumed_run_whose_budget_is_used_up_changes_nothing(tmp_path):
    checkpoint = Checkpoint(tmp_path / "latest.eqx")
    first = solve(steps=3, checkpoint=checkpoint)
    again = solve(
        steps=3, checkpoint=checkpoint, resume=True, evaluate=lambda m: {"w": m.weight[0]}
    )
    assert (again.status, again.steps, again.history) == ("budget", 3, [])
    assert again.measures["w"] == float(first.model.weight[0])


@pytest.mark.parametrize(("every", "writes"), [(0.0, 4), (1e6, 1)])
def test_checkpoints_are_written_on_a_clock_and_at_the_end(tmp_path, monkeypatch, every, writes):
    steps = []
    monkeypatch.setattr(
        "pinn_ngd.training.saver.save_checkpoint", lambda _, saved: steps.append(saved.step)
    )
    monkeypatch.setattr("pinn_ngd.training.saver.time.monotonic", lambda: 0.0)
    solve(steps=4, checkpoint=Checkpoint(tmp_path / "latest.eqx", every))
    assert len(steps) == writes
    assert steps[-1] == 4


class Stateless(PlainDescent):
    def init(self, model, objective, batch):
        del model, objective, batch

    def step(self, model, state, objective, batch, *, key):
        moved, _, info = super().step(model, 0, objective, batch, key=key)
        return moved, state, info


def test_an_optimizer_without_state_is_checkpointed_too(tmp_path):
    checkpoint = Checkpoint(tmp_path / "latest.eqx")
    solve(Stateless(), steps=2, checkpoint=checkpoint)
    rest = solve(Stateless(), steps=4, checkpoint=checkpoint, resume=True)
    assert jnp.array_equal(rest.model.weight, solve(Stateless(), steps=4).model.weight)
    assert len(rest.history) == 2


def test_a_fresh_run_never_leaves_the_checkpoint_of_an_older_one(tmp_path):
    checkpoint = Checkpoint(tmp_path / "latest.eqx")
    solve(steps=5, checkpoint=checkpoint)
    with pytest.raises(RuntimeError, match="from a callback"):
        solve(steps=5, checkpoint=checkpoint, callbacks=[InterruptAt(1, RuntimeError)])
    assert list(tmp_path.iterdir()) == []


def test_resuming_without_a_file_is_an_error_and_not_a_fresh_start(tmp_path):
    with pytest.raises(FileNotFoundError, match="start without `resume`"):
        solve(steps=1, checkpoint=Checkpoint(tmp_path / "none.eqx"), resume=True)
