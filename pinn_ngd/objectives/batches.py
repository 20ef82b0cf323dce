"""Where minibatches come from: arrays in shuffled epochs, or the user's own function of a key."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree


class Batch(eqx.Module):
    """Examples (leading axis n), their targets, and the key of what is sampled with them."""

    inputs: PyTree[Array]
    targets: Array
    key: PRNGKeyArray | None = None

    @property
    def size(self) -> int:
        """The number of examples."""
        return self.targets.shape[0]


class AbstractBatches(eqx.Module):
    """A source of minibatches: a pure function of a key and a number, so that runs can resume."""

    @abc.abstractmethod
    def draw(self, key: PRNGKeyArray, number: int) -> Batch:
        """The minibatch of that number."""

    def known_targets(self, batch: Batch) -> Array:
        """All targets that can be looked at beforehand, given one batch."""
        return batch.targets


class Shuffled(AbstractBatches):
    """Minibatches of arrays, without replacement within an epoch.

    Every epoch shuffles anew (the permutation is folded from the key and the epoch's number) and
    leaves out the last n mod `size` examples of its order, so all batches have the same size. With
    `size` None the batch is everything, unshuffled. `transform(key, inputs)`, where given, changes
    the inputs of a batch: augmentation.

    Raises ValueError without examples, for targets of another length, and for a size outside 1..n.
    """

    inputs: PyTree[Array]
    targets: Array
    size: int = eqx.field(static=True)
    whole: bool = eqx.field(static=True)
    transform: Callable[[PRNGKeyArray, PyTree], PyTree] | None

    def __init__(
        self,
        inputs: PyTree[Any],
        targets: Any,
        size: int | None = None,
        *,
        transform: Callable[[PRNGKeyArray, PyTree], PyTree] | None = None,
    ):
        self.inputs, self.targets = jax.tree.map(jnp.asarray, inputs), jnp.asarray(targets)
        n = self.targets.shape[0] if self.targets.ndim else 0
        _check_lengths(self.inputs, n)
        self.whole, self.size = size is None, n if size is None else size
        if not 1 <= self.size <= n:
            msg = f"`size` of a batch is {size}, but there are {n} examples: give 1 to {n}."
            raise ValueError(msg)
        self.transform = transform

    def draw(self, key: PRNGKeyArray, number: int) -> Batch:
        return self._everything(key) if self.whole else _shuffled(self, key, jnp.int32(number))

    def known_targets(self, batch: Batch) -> Array:
        del batch
        return self.targets

    def _everything(self, key: PRNGKeyArray) -> Batch:
        return Batch(_transformed(self, key, self.inputs), self.targets, key)


class Generated(AbstractBatches):
    """Minibatches from `fn(key) -> (inputs, targets)`, run outside compilation; NumPy is fine."""

    fn: Callable[[PRNGKeyArray], tuple[PyTree, Any]]

    def draw(self, key: PRNGKeyArray, number: int) -> Batch:
        now, own = jax.random.split(jax.random.fold_in(key, number))
        inputs, targets = self.fn(now)
        inputs, targets = jax.tree.map(jnp.asarray, inputs), jnp.asarray(targets)
        _check_lengths(inputs, targets.shape[0] if targets.ndim else 0)
        return Batch(inputs, targets, own)


@eqx.filter_jit
def _shuffled(batches: Shuffled, key: PRNGKeyArray, number: Array) -> Batch:
    n = batches.targets.shape[0]
    epoch, place = jnp.divmod(number, jnp.int32(n // batches.size))
    order = jax.random.permutation(jax.random.fold_in(key, epoch), n)
    chosen = jax.lax.dynamic_slice_in_dim(order, place * batches.size, batches.size)
    own = jax.random.fold_in(jax.random.fold_in(key, number), 1)
    inputs = jax.tree.map(lambda x: x[chosen], batches.inputs)
    return Batch(_transformed(batches, own, inputs), batches.targets[chosen], own)


def _transformed(batches: Shuffled, key: PRNGKeyArray, inputs: PyTree) -> PyTree:
    return inputs if batches.transform is None else batches.transform(key, inputs)


def _check_lengths(inputs: PyTree, n: int) -> None:
    if n == 0:
        msg = "`targets` are empty: a batch needs at least one example."
        raise ValueError(msg)
    lengths = {leaf.shape[0] for leaf in jax.tree.leaves(inputs)}
    if lengths != {n}:
        msg = f"`inputs` have {sorted(lengths)} examples and `targets` {n}: they must agree."
        raise ValueError(msg)
