"""The two lines before the arrays of a checkpoint: a checksum of all that follows, and a header."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .files import from_json, shown

FORMAT = "pinn_ngd checkpoint 4"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and value >= 0


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _are_counts(value: Any) -> bool:
    return _is_table(value) and all(_is_count(number) for number in value.values())


def _are_leaves(value: Any) -> bool:
    """[path, dtype and shape] of leaves."""
    return isinstance(value, list) and all(
        isinstance(leaf, list) and len(leaf) == 2 and all(isinstance(part, str) for part in leaf)
        for leaf in value
    )


def _is_watch(value: Any) -> bool:
    if not _is_table(value) or not value:
        return value == {}
    if value.keys() == {"windows"}:  # of time, each of which had points of its own
        return isinstance(value["windows"], int) and value["windows"] > 0
    numbers = all(_is_number(value.get(name)) for name in ("start", "before", "grown_at"))
    meshes = _is_mesh(value.get("mesh")) and _is_mesh(value.get("mesh_before_growth", []))
    return numbers and isinstance(value.get("pending"), bool) and meshes


def _is_mesh(value: Any) -> bool:
    """Whole numbers in lists, as deep as `pinn_ngd.validation.mesh` nests them."""
    try:
        numbers = [
            number
            for term in value
            for piece, steps in term
            for number in (piece, *(part for axis, side in steps for part in (axis, side)))
        ]
    except (TypeError, ValueError):
        return False
    return all(isinstance(number, int) for number in numbers)


FIELDS: dict[str, Callable[[Any], bool]] = {
    "step": _is_count,
    "lines": _is_count,
    "seconds": _is_time,
    "compile_seconds": _is_time,
    "loss": _is_number,
    "solves": _are_counts,
    "watch": _is_watch,
    "identity": _is_table,
    "key_data": lambda value: isinstance(value, list),
    "key_impl": lambda value: isinstance(value, str),
    "model": _are_leaves,
    "state": _are_leaves,
}


def with_checksum(body: bytes) -> bytes:
    """The first line of a file with this body, and the body."""
    return f"{FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def verified_body(data: bytes, path: str | os.PathLike) -> bytes:
    """What follows the first line; ValueError for a foreign file and for a damaged one."""
    first, _, body = data.partition(b"\n")
    if not first.startswith(FORMAT.encode() + b" "):
        raise ValueError(
            f"`{shown(path)}` is not a checkpoint of this version of pinn_ngd: pass a file that "
            "`save_checkpoint` or `train(checkpoint=...)` wrote, or start without `resume`."
        )
    if first != with_checksum(body).partition(b"\n")[0]:
        raise ValueError(
            f"the checkpoint `{shown(path)}` is damaged (its checksum is another one): delete it "
            "and start without `resume`."
        )
    return body


def read_header(body: bytes, path: str | os.PathLike) -> tuple[dict[str, Any], bytes]:
    """The header of a verified body, every field tested, and the arrays behind it."""
    line, _, arrays = body.partition(b"\n")
    header = from_json(line)
    if not isinstance(header, dict):
        raise _bad(path, "no JSON object")
    for name, is_right in FIELDS.items():
        if name not in header:
            raise _bad(path, f"no `{name}`")
        if not is_right(header[name]):
            raise _bad(path, f"`{name}` = {str(header[name])[:40]}")
    header["key"] = _key(header, path)
    return header, arrays


def header_line(fields: Mapping[str, Any], key: PRNGKeyArray) -> bytes:
    """A header as one line of JSON; the key is written as its data and the name of its kind."""
    data = np.asarray(jax.random.key_data(key)).tolist()
    header = {**fields, "key_data": data, "key_impl": str(jax.random.key_impl(key))}
    return json.dumps(header).encode() + b"\n"


def _key(header: Mapping[str, Any], path: str | os.PathLike) -> PRNGKeyArray:
    try:
        data = jnp.asarray(np.asarray(header["key_data"], dtype=np.uint32))
        return jax.random.wrap_key_data(data, impl=header["key_impl"])
    except (ValueError, TypeError, OverflowError) as error:
        raise _bad(path, f"a random key of no kind ({error})") from error


def _bad(path: str | os.PathLike, what: str) -> ValueError:
    return ValueError(
        f"the header of the checkpoint `{shown(path)}` has {what}, which no run writes: delete the "
        "file and start without `resume`."
    )
