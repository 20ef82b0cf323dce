"""Whatever ends a process, and whenever: the run that is resumed is the run that was never cut."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pinn_ngd.storage.header import read_header, verified_body
from pinn_ngd.storage.reading import read_history, read_result
from tests.tiny import FILE

BATCHES = '''"""Two clouds of points."""
import equinox as eqx
import numpy as np
from pinn_ngd import classification_problem
from pinn_ngd.applications.data import Split

def problem():
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 2
    inputs = rng.standard_normal((96, 4)) + 2.0 * labels[:, None]
    split = Split(inputs[:64], labels[:64], inputs[64:], labels[64:])
    return classification_problem(
        "clouds", "two clouds", split, lambda key, dtype: eqx.nn.Linear(4, 2, key=key, dtype=dtype),
        batch_size=16, dtype=np.float64,
    )
'''
WORKER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
import jax
jax.config.update("jax_enable_x64", True)
from pinn_ngd import load_problem
from pinn_ngd.experiments import run_problem
from pinn_ngd.training import AbstractCallback, saver

saver.FIRST_SECONDS, saver.COST_RATIO = 0.1, 1.0

class Slow(AbstractCallback):
    def on_step(self, record, model):
        print(record["step"], flush=True)
        time.sleep(0.15 if optimizer == "engd-tr" else 0.05)

file, optimizer, steps, out = sys.argv[1:]
result = run_problem(load_problem(file), optimizer, steps=int(steps), out=out, resume=True,
                     pictures=False, callbacks=[Slow()])
sys.exit(130 if result["status"] == "interrupted" else 0)
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    (folder / "tiny.py").write_text(FILE)
    (folder / "clouds.py").write_text(BATCHES)
    (folder / "worker.py").write_text(WORKER)
    return folder


def start(work, *arguments):
    """A process that shares compiled code with the others."""
    cache = {"DIR": work / "cache", "MIN_ENTRY_SIZE_BYTES": -1}
    names = {f"JAX_COMPILATION_CACHE_{name}": str(value) for name, value in cache.items()}
    names["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    names["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH")) if part)
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, **names, "PYTHONPATH": path},
    )  # fmt: skip


def ended(process):
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def killed(process, number, wait):
    """Send a signal a while after the first step."""
    assert process.stdout.readline().strip()
    time.sleep(wait)
    process.send_signal(number)
    return ended(process)


def arrays(folder):
    path = folder / "checkpoint" / "latest.eqx"
    return read_header(verified_body(path.read_bytes(), path), path)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "file", "steps"),
    [
        ("engd-tr", "tiny", 24),  # it comes to rest at step 30
        ("adam", "tiny", 3000),
        ("spring", "tiny", 60),
        ("tngd", "clouds", 240),
    ],
)
def test_killed_and_resumed_is_never_cut(work, optimizer, file, steps):
    chance = random.Random(optimizer)
    command = (work / "worker.py", work / f"{file}.py", optimizer, steps)
    whole, cut = work / f"{optimizer}-whole", work / f"{optimizer}-cut"
    assert ended(start(work, *command, whole)) == (0, "")
    numbers = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
    chance.shuffle(numbers)
    for number in numbers:
        code, errors = killed(start(work, *command, cut), number, chance.uniform(0.3, 0.8))
        assert code == (-signal.SIGKILL if number == signal.SIGKILL else 130), errors
        assert number == signal.SIGKILL or read_result(cut)["status"] == "interrupted"
        assert 0 < read_history(cut)[-1]["step"] < steps
        assert arrays(cut)
    assert ended(start(work, *command, cut)) == (0, "")
    assert arrays(cut) == arrays(whole)
    assert losses(cut) == losses(whole)
    assert read_result(cut)["loss"] == read_result(whole)["loss"]
    assert not list(cut.rglob("*.tmp"))


def losses(folder):
    return [(line["step"], line["loss"]) for line in read_history(folder)]


@pytest.mark.slow
def test_the_command_line_ends_as_interrupted(work):
    out = work / "command"
    command = ("-m", "pinn_ngd", "solve", work / "tiny.py", "--seconds", 60, "--out", out)
    process = start(work, *command)
    while not (out / "history.jsonl").is_file() or not (out / "history.jsonl").read_bytes():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    other = start(work, *command)
    code, errors = ended(other)
    assert code == 2
    assert f"process {process.pid} on" in errors
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 130
    result = read_result(out)
    assert result["status"] == "interrupted"
    assert "SIGTERM" in result["message"]
    assert (out / "checkpoint" / "latest.eqx").is_file()
