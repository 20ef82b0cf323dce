"""Exact checkpoints: one file with a JSON header, written all or nothing."""

import dataclasses
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree

from .files import FolderError, shown, to_json, write_bytes
from .fingerprint import first_difference
from .header import header_line, read_header, verified_body, with_checksum


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where `train` writes its checkpoint, and how often (seconds by the clock on the wall).

    It is written every two seconds, more rarely where that costs more than a fiftieth of the time,
    and every `every_seconds` at the latest; at the end of a run too. A run that starts from
    scratch first removes an older file, so that nobody resumes one run with the checkpoint of
    another. `identity` is what tells this run from others, plain JSON: a checkpoint with another
    one is refused. `train` adds a fingerprint of objective, model and optimizer to it.

    Nothing is locked here, because a folder may hold the checkpoints of several runs, each under a
    name of its own: give two runs two paths. `run_problem` locks the folder of its run.
    """

    path: str | os.PathLike
    every_seconds: float = 30.0
    identity: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Everything that a run needs to go on bit by bit.

    `key` is the typed key of the whole run (keys of steps are folded from it), `lines` how many
    history lines were written before the snapshot, `solves` the totals of solves. `answer` is what
    `load_model` returns, the model itself unless the optimizer made something better of its steps.
    `watch` is the state of `pinn_ngd.validation.Watch`: where points were added, and why. `loss` is
    that of the last step, `identity` what the run is (see `Checkpoint`).
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
    loss: float = float("nan")
    identity: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def save_checkpoint(path: str | os.PathLike, snapshot: Snapshot) -> None:
    """Write a snapshot behind its checksum: a temporary file first, then one atomic rename.

    A crash at any moment leaves either the old checkpoint or the new one, never half of one.
    Raises FolderError, a ValueError, where the file system refuses.
    """
    body = io.BytesIO()
    _write(body, snapshot)
    data = with_checksum(body.getvalue())
    write_bytes(path, lambda file: file.write(data))


def load_checkpoint(
    path: str | os.PathLike,
    *,
    like: tuple[PyTree, PyTree],
    identity: Mapping[str, Any] | None = None,
) -> Snapshot:
    """Read a snapshot into the structure of `like` = (model, state).

    Raises FileNotFoundError where there is no file, and ValueError where it is no checkpoint, is
    damaged, or belongs to another model, optimizer or dtype, or to a run with another `identity`.
    """
    header, arrays = _read(path)
    if identity is not None:
        check_identity(header["identity"], identity, path)
    file = io.BytesIO(arrays)
    answer = _read_tree(file, path, like[0], header["model"], "model")
    model = _read_tree(file, path, like[0], header["model"], "model")
    state = _read_tree(file, path, like[1], header["state"], "state")
    names = ("step", "seconds", "key", "compile_seconds", "lines", "solves", "watch", "loss")
    known = {name: header[name] for name in (*names, "identity")}
    return Snapshot(model, state, answer=answer, **known)


def load_model(path: str | os.PathLike, *, like: PyTree) -> PyTree:
    """Read only the answer of a checkpoint, into the structure of `like`; raises as above."""
    header, arrays = _read(path)
    return _read_tree(io.BytesIO(arrays), path, like, header["model"], "model")


def read_identity(path: str | os.PathLike) -> dict[str, Any]:
    """What the run was that wrote a checkpoint; raises as `load_checkpoint`."""
    return _read(path)[0]["identity"]


def read_watch(path: str | os.PathLike) -> dict[str, Any]:
    """Where the run that wrote a checkpoint had added points; raises as `load_checkpoint`."""
    return _read(path)[0]["watch"]


def amend_watch(path: str | os.PathLike, changes: Mapping[str, Any]) -> None:
    """Change entries of the `watch` of a checkpoint, whole or not at all; raises as above."""
    header, arrays = _read(path)
    key = header.pop("key")
    header["watch"] = {**header["watch"], **json.loads(to_json(dict(changes)))}
    data = with_checksum(header_line(header, key) + arrays)
    write_bytes(path, lambda file: file.write(data))


def check_identity(
    there: Mapping[str, Any], here: Mapping[str, Any], path: str | os.PathLike
) -> None:
    """Raises FolderError where the run that wrote `path` is not the one that goes on here."""
    difference = first_difference(dict(there), json.loads(to_json(dict(here))))
    if difference is None:
        return
    raise FolderError(
        f"`{shown(path)}` belongs to another run ({difference}), and only budgets (steps, seconds, "
        "tolerance) may change where a run goes on: take its settings, or another folder."
    )


def _write(file: io.BytesIO, snapshot: Snapshot) -> None:
    fields = {
        "step": snapshot.step,
        "seconds": snapshot.seconds,
        "compile_seconds": snapshot.compile_seconds,
        "lines": snapshot.lines,
        "loss": float(snapshot.loss),
        "solves": dict(snapshot.solves),
        "watch": dict(snapshot.watch),
        "identity": json.loads(to_json(dict(snapshot.identity))),
        "model": _describe(snapshot.model),
        "state": _describe(snapshot.state),
    }
    file.write(header_line(fields, snapshot.key))
    answer = snapshot.model if snapshot.answer is None else snapshot.answer
    for model in (answer, snapshot.model):
        eqx.tree_serialise_leaves(file, _without_keys(model))
    eqx.tree_serialise_leaves(file, _without_keys(snapshot.state))


def _read(path: str | os.PathLike) -> tuple[dict[str, Any], bytes]:
    """The header of a checkpoint and the bytes of its arrays."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        if not isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            raise FolderError(f"cannot read the checkpoint `{shown(path)}`: {error}.") from error
        raise FileNotFoundError(
            f"there is no checkpoint at `{shown(path)}`: start without `resume`, or check the path."
        ) from error
    return read_header(verified_body(data, path), path)


def _read_tree(
    file: io.BytesIO, path: str | os.PathLike, like: PyTree, written: list, what: str
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
