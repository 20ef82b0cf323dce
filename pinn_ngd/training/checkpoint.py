"""Exact checkpoints: one file with a JSON header, written all or nothing."""

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

FORMAT = "pinn_ngd checkpoint 3"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where `train` writes its checkpoint, and how often (seconds by the clock on the wall).

    It is written at the end of a run too. A run that starts from scratch first removes an older
    file, so that nobody resumes one run with the checkpoint of another.
    """

    path: str | os.PathLike
    every_seconds: float = 30.0


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Everything that a run needs to go on bit by bit.

    `key` is the typed key of the whole run (keys of steps are folded from it), `lines` how many
    history lines were written before the snapshot, `solves` the totals of solves. `answer` is what
    `load_model` returns, the model itself unless the optimizer made something better of its steps.
    `watch` is the state of `pinn_ngd.validation.Watch`: where points were added, and why.
    """

    model: PyTree
    state: PyTree
    step: int
    seconds: float
    key: PRNGKeyArray
    compile_seconds: float = 0.0
    lines: int = 0
    solves: Mapping[str, int] = dataclasses.field(default_factory=dict)
    answer: PyTree = None
    watch: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def save_checkpoint(path: str | os.PathLike, snapshot: Snapshot) -> None:
    """Write a snapshot: first a temporary file in the same folder, then one atomic rename.

    A crash at any moment leaves either the old checkpoint or the new one, never half of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _write(file, snapshot)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_checkpoint(path: str | os.PathLike, *, like: tuple[PyTree, PyTree]) -> Snapshot:
    """Read a snapshot into the structure of `like` = (model, state).

    Raises FileNotFoundError where there is no file, and ValueError where it is no checkpoint, is
    damaged, or belongs to another model, optimizer or dtype.
    """
    with _open(path) as file:
        header = _read_header(file, path)
        answer = _read_tree(file, path, like[0], header["model"], "model")
        model = _read_tree(file, path, like[0], header["model"], "model")
        state = _read_tree(file, path, like[1], header["state"], "state")
    data = jnp.asarray(np.asarray(header["key_data"], dtype=np.uint32))
    return Snapshot(
        model,
        state,
        step=header["step"],
        seconds=header["seconds"],
        key=jax.random.wrap_key_data(data, impl=header["key_impl"]),
        compile_seconds=header["compile_seconds"],
        lines=header["lines"],
        solves=header.get("solves", {}),
        answer=answer,
        watch=header["watch"],
    )


def load_model(path: str | os.PathLike, *, like: PyTree) -> PyTree:
    """Read only the answer of a checkpoint, into the structure of `like`; raises as above."""
    with _open(path) as file:
        header = _read_header(file, path)
        return _read_tree(file, path, like, header["model"], "model")


def _write(file: BinaryIO, snapshot: Snapshot) -> None:
    header = {
        "format": FORMAT,
        "step": snapshot.step,
        "seconds": snapshot.seconds,
        "compile_seconds": snapshot.compile_seconds,
        "lines": snapshot.lines,
        "solves": dict(snapshot.solves),
        "watch": dict(snapshot.watch),
        "key_data": np.asarray(jax.random.key_data(snapshot.key)).tolist(),
        "key_impl": str(jax.random.key_impl(snapshot.key)),
        "model": _describe(snapshot.model),
        "state": _describe(snapshot.state),
    }
    file.write(json.dumps(header).encode() + b"\n")
    answer = snapshot.model if snapshot.answer is None else snapshot.answer
    for model in (answer, snapshot.model):
        eqx.tree_serialise_leaves(file, _without_keys(model))
    eqx.tree_serialise_leaves(file, _without_keys(snapshot.state))
    file.flush()
    os.fsync(file.fileno())


def _open(path: str | os.PathLike) -> BinaryIO:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no checkpoint at `{path}`: start without `resume`, or check the path."
        )
    return open(path, "rb")


def _read_header(file: BinaryIO, path: str | os.PathLike) -> dict[str, Any]:
    try:
        header = json.loads(file.readline())
        if header["format"] == FORMAT:
            return header
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(
        f"`{path}` is not a checkpoint of this version of pinn_ngd: pass a file that "
        "`save_checkpoint` or `train(checkpoint=...)` wrote, or start without `resume`."
    )


def _read_tree(
    file: BinaryIO, path: str | os.PathLike, like: PyTree, written: list, what: str
) -> PyTree:
    _check_fit(_describe(like), written, what, path)
    try:
        plain = eqx.tree_deserialise_leaves(file, _without_keys(like))
    except (RuntimeError, ValueError, EOFError, OSError) as error:
        raise ValueError(
            f"the checkpoint `{path}` is damaged ({error}): delete it and start without `resume`."
        ) from error
    return jax.tree.map(_with_key, plain, like)


def _check_fit(here: list, there: list, what: str, path: str | os.PathLike) -> None:
    if here == there:
        return
    makers = {"model": "another model", "state": "another optimizer or problem"}
    raise ValueError(
        f"the checkpoint `{path}` was written by {makers[what]}: {_first_difference(here, there)}. "
        "Cure: build it with the settings in the run's config.json (sizes, optimizer, float64 "
        "switched on or off), or start without `resume` in another folder."
    )


def _first_difference(here: list, there: list) -> str:
    for mine, other in zip(here, there, strict=False):
        if mine != other:
            return f"{other[0]} is {other[1]} in the file, and {mine[0]} is {mine[1]} here"
    return f"the file has {len(there)} leaves, and there are {len(here)} here"


def _describe(tree: PyTree) -> list[list[str]]:
    """[path, dtype and shape] of every leaf that is saved."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [
        [jax.tree_util.keystr(path), _describe_leaf(leaf)]
        for path, leaf in leaves
        if eqx.is_array_like(leaf)
    ]


def _describe_leaf(leaf: Any) -> str:
    if not eqx.is_array(leaf):
        return type(leaf).__name__
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _without_keys(tree: PyTree) -> PyTree:
    """Typed keys as their data, which is what can be written."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)


def _with_key(plain: Any, like: Any) -> Any:
    if not _is_key(like):
        return plain
    return jax.random.wrap_key_data(plain, impl=jax.random.key_impl(like))
