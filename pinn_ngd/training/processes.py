"""What several processes of one run agree on, and who of them writes.

All of them go the same way, or they would wait for each other for ever: what one of them decides by
its own clock, its signals or its callbacks, the others hear of. A single process is asked nothing.
"""

import contextlib
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from ..storage.fingerprint import identity_of
from .result import Ending

LARGEST = 4096  # bytes of what is told
BYTES = 600  # of a message in it
TRANSPORTS = ("Gloo", "NCCL", "coordination service")  # what their errors are of


def check_processes(mesh: Mesh) -> None:
    """Raises ValueError for a mesh without devices of some process, which would wait for ever."""
    missing = set(range(jax.process_count())) - {d.process_index for d in mesh.devices.flat}
    if missing:
        raise ValueError(
            f"the mesh has no device of process {min(missing)}: give devices of all "
            f"{jax.process_count()} processes, such as `mesh=jax.device_count()`."
        )


class Processes:
    """The processes whose devices are in a mesh; without a mesh this one alone.

    The first of them `writes` files and calls callbacks.
    """

    def __init__(self, mesh: Mesh | None):
        self.mesh = mesh
        self.alone = mesh is None or jax.process_count() == 1
        self.writes = self.alone or jax.process_index() == 0

    def agree(self, *endings: Ending | None) -> tuple[Ending | None, ...]:
        """Each ending, or the first that another process gives in its place."""
        if self.alone:
            return endings
        short = [None if one is None else [one.status, _cut(one.message)] for one in endings]
        every = [json.loads(text) for text in _told(json.dumps(short, ensure_ascii=False))]
        together = zip(*every, strict=True)
        first = [next((one for one in ones if one is not None), None) for ones in together]
        return tuple(
            mine if told is None or told == cut else Ending(*told)
            for mine, cut, told in zip(endings, short, first, strict=True)
        )

    def agree_whether(self, true: bool) -> bool:
        """Whether the first process says so."""
        return true if self.alone else json.loads(_told(json.dumps(bool(true)))[0])

    def check_same(self, **values: Any) -> None:
        """Raises ValueError where a value of this run is another one in another process."""
        if self.alone:
            return
        every = [json.loads(text) for text in _told(json.dumps(values))]
        for rank, other in enumerate(every):
            for name, first in every[0].items():
                if other[name] != first:
                    raise ValueError(
                        f"the processes are not alike: {name.replace('_', ' ')} is {first} in the "
                        f"first and {other[name]} in number {rank}: start all of them with the "
                        "same program, settings and files."
                    )

    def check_alike(
        self, objective: Any, model: Any, optimizer: Any, settings: Mapping[str, Any]
    ) -> None:
        """Raises ValueError where they run different things, or in different precision."""
        if self.alone:
            return
        parts = identity_of(objective, model, optimizer)
        self.check_same(
            version_of_JAX=jax.__version__,
            precision=str(jnp.result_type(float)),
            **settings,
            **{name: digest(part) for name, part in parts.items()},
            start=digest_of(eqx.filter(model, eqx.is_array)),
        )


def _cut(message: str) -> str:
    """As much of it as fits into what is told."""
    return message.encode()[:BYTES].decode(errors="ignore")


def digest(value: Any) -> str:
    """A few letters that tell a value from others: plain numbers, texts, lists and dicts."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def digest_of(arrays: Any) -> str:
    """A few letters that tell arrays from others, bit for bit."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(arrays):
        is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
        found.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:12]


class ProcessLost(ConnectionError):
    """Another process of a run has ended, or does not answer.

    `seen` says whether that has happened: JAX then waits for the lost process at the end of this
    one, and aborts it.
    """

    seen: ClassVar[bool] = False


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Turns the error of a collective operation, whose other side is gone, into one sentence."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if jax.process_count() == 1 or not any(word in str(error) for word in TRANSPORTS):
            raise
        ProcessLost.seen = True
        raise ProcessLost(
            "another process of this run has ended or does not answer, and what it printed tells "
            "why; start all of them again and resume from the last checkpoint, which is whole"
        ) from error


def _told(text: str) -> list[str]:
    """What every process tells, in their order."""
    given = text.encode()
    assert len(given) <= LARGEST
    line = np.zeros((1, LARGEST), np.uint8)
    line[0, : len(given)] = np.frombuffer(given, np.uint8)
    lying, exchange = _exchange()
    with answering():
        lines = exchange(jax.make_array_from_process_local_data(lying, line))
        every = np.asarray(lines.addressable_data(0))
    return [bytes(one).rstrip(b"\0").decode() for one in every]


@functools.cache
def _exchange() -> tuple[NamedSharding, Callable[[Array], Array]]:
    """Where a line of every process lies, and the program that gives all lines to everybody.

    That of JAX, `multihost_utils.process_allgather`, is made anew in every call, which takes
    milliseconds.
    """
    firsts = {device.process_index: device for device in reversed(jax.devices())}
    devices = np.asarray([firsts[rank] for rank in sorted(firsts)])
    mesh = Mesh(devices, ("processes",), axis_types=(AxisType.Auto,))
    lying, whole = (NamedSharding(mesh, PartitionSpec(*axis)) for axis in (("processes",), ()))
    return lying, jax.jit(lambda lines: lines, out_shardings=whole)
