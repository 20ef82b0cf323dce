"""What every peer is given, and how it says what it found. NumPy alone, nothing of pinn_ngd.

A peer is run as `python NAME.py METHOD TASK OUT` in an environment of its own. TASK is a .json
beside an .npz of the same name:

    problem, seed, seconds      what is solved, from which seed, for how long
    terms                       the names of the terms; the first one is the equation
    weight_0, bias_0, ...       the layers of a tanh network at its start, (out, in) and (out,)
    points_k, weights_k, data_k points (n, d), weights (n,) and right-hand sides (n, e) of term k
    held_out, held_out_weights, exact    where errors are measured, and the solution there (m, o)

The loss is half the sum over the terms and their points of weight |A(u)(x) - data|^2, A the
equation or, on boundaries, u itself. OUT is a file of lines: {"versions": ...} first, then
{"seconds", "steps", "relative_l2"} and last {"end": why}, all in processor seconds.
"""

import importlib.metadata
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Weights = Sequence[tuple[Any, Any]]
LOOKS = 0.05  # an error is measured when the seconds have grown by so much of themselves


class Task:
    """A task as it was written by `benchmarks/peers.py`."""

    def __init__(self, path: Path):
        settings = json.loads(path.read_text(encoding="utf-8"))
        self.problem, self.seed = settings["problem"], settings["seed"]
        self.seconds, self.names = settings["seconds"], settings["terms"]
        with np.load(path.with_suffix(".npz")) as arrays:
            self.arrays = {key: arrays[key] for key in arrays.files}
        layers = sum(key.startswith("bias_") for key in self.arrays)
        self.weights = [
            (self.arrays[f"weight_{i}"], self.arrays[f"bias_{i}"]) for i in range(layers)
        ]
        self.terms = [self.term(k) for k in range(len(self.names))]
        self.held_out, self.exact = self.arrays["held_out"], self.arrays["exact"]

    def term(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (n, d), weights (n,) and right-hand sides (n, e)."""
        return tuple(self.arrays[f"{name}_{k}"] for name in ("points", "weights", "data"))  # pyright: ignore

    @property
    def sizes(self) -> tuple[int, ...]:
        """The widths of the network."""
        return (self.weights[0][0].shape[1], *(bias.size for _, bias in self.weights))

    def relative_l2(self, weights: Weights) -> float:
        """The relative error in L2 on the points that are held out."""
        mass = self.arrays["held_out_weights"][:, None]
        error = network(weights, self.held_out) - self.exact
        return float(np.sqrt(np.sum(mass * error**2) / np.sum(mass * self.exact**2)))


def network(weights: Weights, x: np.ndarray) -> np.ndarray:
    """The tanh network at points (n, d): (n, outputs)."""
    for weight, bias in weights[:-1]:
        x = np.tanh(x @ np.asarray(weight).T + np.asarray(bias))
    weight, bias = weights[-1]
    return x @ np.asarray(weight).T + np.asarray(bias)


def flat(weights: Weights) -> np.ndarray:
    """All parameters in one array."""
    return np.concatenate([np.asarray(part).ravel() for layer in weights for part in layer])


def unflat(vector: np.ndarray, like: Weights) -> list[tuple[np.ndarray, np.ndarray]]:
    """The layers of which `flat` made one array."""
    layers, begin = [], 0
    for weight, bias in like:
        middle = begin + weight.size
        end = middle + bias.size
        layers.append((vector[begin:middle].reshape(weight.shape), vector[middle:end]))
        begin = end
    return layers


class Recorder:
    """The clock of a run, which stands still while errors are measured, and its file of lines."""

    def __init__(self, task: Task, out: Path, packages: Sequence[str]):
        self.task, self.file = task, out.open("w", encoding="utf-8")
        self.used, self.steps, self.looked, self.written = 0.0, 0, 0.0, -1
        self.broken = False
        self.begun = time.process_time()
        versions = {name: importlib.metadata.version(name) for name in packages}
        self.write({"versions": {"python": sys.version.split()[0], **versions}})

    def write(self, line: dict[str, Any]) -> None:
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def compiled(self, loss: float, weights: Weights) -> None:
        """What came before was compilation; the clock of the training starts.

        `loss` is the loss at the start as the peer computes it, by which it is seen that all peers
        solve the same problem.
        """
        self.write({"compile_seconds": time.process_time() - self.begun, "loss": float(loss)})
        self.measure(weights)
        self.begun = time.process_time()

    def step(self, weights: Callable[[], Weights], steps: int = 1) -> bool:
        """So many steps have ended; whether to end. `weights()` are the layers now.

        A run ends when its time is up, and where an error is no longer a number.
        """
        self.used += time.process_time() - self.begun
        self.steps += steps
        if self.used >= (1 + LOOKS) * self.looked or self.used >= self.task.seconds:
            self.measure(weights())
        self.begun = time.process_time()
        return self.used >= self.task.seconds or self.broken

    def measure(self, weights: Weights) -> None:
        """The error of these layers, as a line."""
        self.looked, self.written = self.used, self.steps
        error = self.task.relative_l2(weights)
        self.broken = not np.isfinite(error)
        self.write({"seconds": self.used, "steps": self.steps, "relative_l2": error})

    def end(self, weights: Weights, why: str = "time") -> None:
        """The last error and the largest memory of the process, in GiB."""
        if self.written != self.steps:
            self.measure(weights)
        why = "the parameters are not finite" if self.broken else why
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        self.write({"end": why, "gibibytes": peak})
        self.file.close()


def start(packages: Sequence[str]) -> tuple[str, Task, Recorder]:
    """What the command line says: the method, the task, and the recorder of the run."""
    method, task, out = sys.argv[1:4]
    found = Task(Path(task))
    return method, found, Recorder(found, Path(out), packages)
