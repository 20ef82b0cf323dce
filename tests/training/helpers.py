"""The smallest optimizers and objectives that the loop can run."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from pinn_ngd.training import AbstractCallback, train

REASONS = {3: "the third step is enough"}


class Info(eqx.Module):
    loss: Any
    gradient_norm: Any
    step_length: Any
    damping: Any
    predicted: Any
    actual: Any
    accepted: Any
    stop: Any


def info(loss, gradient, stop: Any = 0):
    zero = jnp.zeros_like(loss)
    length = jnp.linalg.norm(ravel_pytree(gradient)[0])
    stop = jnp.asarray(stop, jnp.int32)
    return Info(loss, length, length, zero, zero, zero, jnp.asarray(True), stop)


class Linear(eqx.Module):
    """u(x) = w . x."""

    weight: jax.Array

    def __call__(self, x):
        return jnp.dot(self.weight, x)


class Regression(eqx.Module):
    """1/2 mean |u(x) - solution . x|^2 over points, fresh ones if `resampled`."""

    solution: jax.Array
    resampled: bool = eqx.field(static=True, default=False)

    def batch(self, key=None):
        key = key if self.resampled and key is not None else jax.random.key(7)
        return jax.random.normal(key, (8, self.solution.size), self.solution.dtype)

    def loss(self, model, batch):
        return 0.5 * jnp.mean(jnp.square(jax.vmap(model)(batch) - batch @ self.solution))


class Counter(list):
    """A list that can be a static field: equal only to itself."""

    __hash__ = object.__hash__  # pyright: ignore
    __eq__ = object.__eq__


class Descent(eqx.Module):
    """Gradient descent with noise from the step's key; counts its steps, and traces if asked."""

    # without a counter of traces, equal optimizers share their compilation
    rate: float = eqx.field(static=True, default=0.1)
    noise: float = eqx.field(static=True, default=0.0)
    stop_at: int = eqx.field(static=True, default=-1)
    traces: Any = eqx.field(static=True, default=None)
    jittable: ClassVar[bool] = True
    stride: ClassVar[int] = 1
    wants_float64: ClassVar[bool] = False
    stop_reasons: ClassVar[dict] = REASONS

    def init(self, model, objective, batch):
        del model, objective, batch
        return jnp.asarray(0, jnp.int32), jax.random.key(3)

    def step(self, model, state, objective, batch, *, key):
        if self.traces is not None:
            self.traces.append(1)
        loss, gradient = eqx.filter_value_and_grad(objective.loss)(model, batch)
        noise = self.noise * jax.random.normal(key, model.weight.shape, model.weight.dtype)
        moved = jax.tree.map(lambda w, g: w - self.rate * g + noise, model, gradient)
        count = state[0] + jnp.int32(1)
        stop = jnp.where(count == self.stop_at, 3, 0)
        return moved, (count, state[1]), info(loss, gradient, stop=stop)


class PlainDescent(Descent):
    """The same outside compilation; its state is a Python number."""

    jittable: ClassVar[bool] = False
    stride: ClassVar[int] = 10

    def init(self, model, objective, batch):
        del model, objective, batch
        return 0

    def step(self, model, state, objective, batch, *, key):
        del key
        loss, gradient = eqx.filter_value_and_grad(objective.loss)(model, batch)
        moved = jax.tree.map(lambda w, g: w - self.rate * g, model, gradient)
        float(loss)  # raises inside compilation
        return moved, state + 1, info(loss, gradient)


class Fussy(Descent):
    """An optimizer whose numbers are lost in float32."""

    wants_float64: ClassVar[bool] = True


class InterruptAt(AbstractCallback):
    """A user who presses Ctrl-C after so many steps."""

    def __init__(self, step, error: type[BaseException] = KeyboardInterrupt):
        self.step, self.error = step, error

    def on_step(self, record, model):
        del model
        if record["step"] >= self.step:
            raise self.error("from a callback")


class Listener(AbstractCallback):
    """Remembers what it was told."""

    def __init__(self):
        self.records, self.runs, self.results = [], [], []

    def on_start(self, run):
        self.runs.append(run)

    def on_step(self, record, model):
        del model
        self.records.append(dict(record))

    def on_end(self, result):
        self.results.append(result)


SOLUTION = (1.0, -2.0, 3.0)


def regression(*, resampled=False):
    return Regression(jnp.asarray(SOLUTION), resampled=resampled)


def model():
    return Linear(jnp.zeros(3))


def solve(optimizer=None, *, resampled=False, key=None, start=None, **settings: Any):
    """`train` on the small regression."""
    return train(
        regression(resampled=resampled),
        model() if start is None else start,
        Descent() if optimizer is None else optimizer,
        key=jax.random.key(0) if key is None else key,
        **settings,
    )
