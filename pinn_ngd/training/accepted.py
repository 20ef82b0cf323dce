"""The arguments of `train`, converted to the types that the training loop works with."""

import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .. import optimizers
from .._settings import NonNegative, checked
from ..optimizers import AbstractOptimizer, OptaxOptimizer
from ..storage.checkpoint import Checkpoint
from .callbacks import AbstractCallback
from .result import Budget

LARGEST_SEED = 2**63 - 1
HOOKS = ("on_start", "on_step", "on_end")


class Called(AbstractCallback):
    """A callback made of a plain function, which is called with each history line.

    The model is passed too where the function takes two arguments. It may return "stop".
    """

    message = "stopped by a callback"

    def __init__(self, function: Callable[..., Any]):
        self.function, self.count = function, _positional(function)

    def on_step(self, record: Any, model: Any) -> Any:
        return self.function(record) if self.count == 1 else self.function(record, model)


def optimizer_of(optimizer: Any) -> Any:
    """The optimizer that a name, an Optax transformation or an optimizer stands for.

    Raises ValueError for an unknown name and for anything else.
    """
    if isinstance(optimizer, str):
        return optimizers.get(optimizer)
    if isinstance(optimizer, AbstractOptimizer) or _has(optimizer, "init", "step"):
        return optimizer
    if _has(optimizer, "init", "update"):
        return OptaxOptimizer(optimizer)
    raise ValueError(
        f"`optimizer` is {_kind(optimizer)}; it must be a name such as 'engd-tr', an optimizer of"
        " `pinn_ngd.optimizers` or an Optax transformation."
    )


def objective_of(objective: Any) -> Any:
    """The objective itself; ValueError for what is none, such as a term or a list of terms."""
    if _has(objective, "batch", "loss", "resampled"):
        return objective
    raise ValueError(
        f"`objective` is {_kind(objective)}; it must be an objective: make one of terms by "
        "`ResidualObjective([...])`, or see `pinn_ngd.objectives`."
    )


def evaluate_of(evaluate: Any) -> Any:
    """The function of the model that is evaluated, or None; ValueError for anything else."""
    if evaluate is None or (callable(evaluate) and not inspect.isclass(evaluate)):
        return evaluate
    raise ValueError(
        f"`evaluate` is {_kind(evaluate)}; it must be a function of the model that returns a dict "
        "of numbers, or None."
    )


def tolerance_of(tolerance: Any) -> float | None:
    """The tolerance; ValueError for what is no number, or below zero."""
    return checked("tolerance", tolerance, NonNegative | None)


def budget_of(steps: Any, seconds: Any, overtime: Any = 1.0) -> Budget:
    """The budgets of a run. `steps` is a whole number (also 1e4), `seconds` and `overtime` are any
    numbers.

    Raises ValueError for others.
    """
    return Budget(
        checked("steps", steps, int | None),
        checked("seconds", seconds, float | None),
        checked("overtime", overtime, float),
    )


def key_of(key: Any) -> PRNGKeyArray:
    """A typed key of JAX, from a seed, from a raw key of `jax.random.PRNGKey` or from a typed key.

    Raises ValueError for a seed outside 0 ... 2^63 - 1 and for anything else.
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return jax.random.key(seed_of(int(key)))
    given: Any = key
    dtype = getattr(given, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return given
    if dtype == jnp.uint32 and getattr(key, "shape", ()) == (2,):
        return jax.random.wrap_key_data(jnp.asarray(key))
    raise ValueError(
        f"`key` is {_kind(key)}; it must be a key such as `jax.random.key(0)`, or a whole number."
    )


def seed_of(seed: Any) -> int:
    """The seed; ValueError for one outside 0 ... 2^63 - 1, or 2^32 - 1 in single precision."""
    largest = LARGEST_SEED if jax.config.jax_enable_x64 else 2**32 - 1  # pyright: ignore
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed <= largest:
        bits = "2^63 - 1" if largest == LARGEST_SEED else "2^32 - 1, the largest without float64"
        raise ValueError(f"the seed is {seed!r}; it must be a whole number from 0 to {bits}.")
    return int(seed)


def seeds_of(seeds: Any) -> tuple[int, ...]:
    """Several seeds; ValueError for one number, which might be a seed or how many there are."""
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        raise ValueError(f"`seeds` is {_kind(seeds)}; it must be several, such as `range(3)`.")
    return tuple(seed_of(seed) for seed in seeds)


def callbacks_of(callbacks: Any) -> tuple[AbstractCallback, ...]:
    """Callbacks from one or several, which may be plain functions of (record) or (record, model).

    Raises ValueError for anything else.
    """
    alone = callable(callbacks) or _has(callbacks, *HOOKS)
    given = [callbacks] if alone or not isinstance(callbacks, Iterable) else list(callbacks)
    return tuple(_callback(callback) for callback in given)


def checkpoint_of(checkpoint: Any, resume: bool = False) -> Checkpoint | None:
    """A checkpoint, from itself or from its path.

    Raises ValueError for anything else, and where there is none to resume from.
    """
    if resume and checkpoint is None:
        raise ValueError("`resume` needs `checkpoint`: pass `checkpoint=Checkpoint(path)`.")
    if checkpoint is None or isinstance(checkpoint, Checkpoint):
        return checkpoint
    if isinstance(checkpoint, str | os.PathLike):
        return Checkpoint(checkpoint)
    raise ValueError(
        f"`checkpoint` is {_kind(checkpoint)}; it must be a path, a `Checkpoint` or None."
    )


def _callback(callback: Any) -> AbstractCallback:
    if _has(callback, *HOOKS) and not inspect.isclass(callback):
        return callback
    if callable(callback) and not inspect.isclass(callback):
        return Called(callback)
    raise ValueError(
        f"a callback is {_kind(callback)}; it must be an `AbstractCallback` or a function of the"
        " history line and the model."
    )


def _positional(function: Callable[..., Any]) -> int:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return 1
    except ValueError:  # a builtin that has no signature
        return 2
    return 2


def _has(thing: Any, *names: str) -> bool:
    return not inspect.isclass(thing) and all(hasattr(thing, name) for name in names)


def _kind(thing: Any) -> str:
    if inspect.isclass(thing):
        return f"the class {thing.__name__}, not an instance of it"
    text = repr(thing)
    return text if len(text) <= 40 else f"of type {type(thing).__name__}"
