"""Whatever lies where a checkpoint should be: it is read as it was written, or refused by name."""

import hashlib
import json
import random

import jax
import jax.numpy as jnp
import pytest

from pinn_ngd.storage import FolderError, Snapshot, load_checkpoint, save_checkpoint
from pinn_ngd.storage.header import FIELDS, FORMAT
from tests.training.helpers import Linear

LIKE = (Linear(jnp.zeros(3)), jnp.asarray(0, jnp.int32))
IDENTITY = {"problem": "line", "settings": {"rate": 0.1}}


@pytest.fixture
def path(tmp_path):
    model = Linear(jnp.asarray([0.1, 0.2, 1.0 / 3.0]))
    snapshot = Snapshot(
        model, LIKE[1], step=12, seconds=3.25, key=jax.random.key(5), loss=0.25, identity=IDENTITY
    )
    save_checkpoint(tmp_path / "latest.eqx", snapshot)
    return tmp_path / "latest.eqx"


def load(path, **settings):
    return load_checkpoint(path, like=LIKE, **settings)


def test_every_flipped_bit_is_refused(path):
    data = path.read_bytes()
    places = random.Random(0).sample(range(8 * len(data)), 300)
    first, second = data.index(b"\n"), data.index(b"\n", data.index(b"\n") + 1)
    edges = [0, 8 * first, 8 * first + 8, 8 * second, 8 * second + 8, 8 * len(data) - 1]
    for place in places + edges:
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"is damaged|is not a checkpoint") as caught:
            load(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith("without `resume`.")


def test_every_cut_is_refused(path):
    data = path.read_bytes()
    for length in [0, 1, 20, 90, *range(100, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"is damaged|is not a checkpoint"):
            load(path)


def rewritten(path, change):
    """The file with another header, and a checksum that fits."""
    _, header, arrays = path.read_bytes().split(b"\n", 2)
    changed = change(json.loads(header))
    line = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    body = line + b"\n" + arrays
    path.write_bytes(f"{FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode() + body)


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_named(path, name):
    rewritten(path, lambda header: {key: header[key] for key in header if key != name})
    with pytest.raises(ValueError, match=f"no `{name}`, which no run writes"):
        load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", -5), ("step", 2.5), ("step", True), ("step", "12"), ("step", None),
        ("seconds", -1.0), ("seconds", float("nan")), ("seconds", [3]), ("lines", -1),
        ("compile_seconds", "long"), ("loss", None), ("solves", {"forward_solves": -1}),
        ("solves", []), ("watch", {"mesh": []}), ("watch", [1]),
        ("watch", {"mesh": 3, "pending": False, "start": 1.0, "before": 1.0, "grown_at": 1.0}),
        ("watch", {
            "mesh": [], "mesh_before_growth": 3, "pending": False, "start": 1.0, "before": 1.0,
            "grown_at": 1.0,
        }),
        ("identity", "line"), ("key_data", "secret"), ("key_impl", 3), ("model", {}),
        ("model", [["weight"]]), ("state", [1, 2]),
    ],
)  # fmt: skip
def test_an_ill_typed_field_is_named(path, name, value):
    rewritten(path, lambda header: {**header, name: value})
    with pytest.raises(ValueError, match=f"has `{name}` = .*, which no run writes: delete"):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"[" * 100_000,
        lambda _: b"\xff\xfe\x00",
        lambda _: b"9" * 10_000,
        lambda _: [],
        lambda _: None,
        lambda header: {**header, "key_data": [2**70, 1]},
        lambda header: {**header, "key_data": [1, 2, 3]},
        lambda header: {**header, "key_impl": "rot13"},
    ],
    ids=["deep", "no-text", "long-number", "list", "null", "large-key", "long-key", "unknown-key"],
)
def test_a_header_of_another_kind_is_one_sentence(path, change):
    rewritten(path, change)
    with pytest.raises(ValueError, match=r"the header of the checkpoint .* which no run writes"):
        load(path)


@pytest.mark.parametrize("data", [b"", b"\n", b"PNG\n", b"{}", FORMAT.encode(), b"\x00" * 100])
def test_foreign_files_are_one_sentence(path, data):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"is not a checkpoint of this version|is damaged"):
        load(path)


def test_a_folder_and_a_name_that_no_file_has_are_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load(tmp_path)
    for name in ("a\0b", "n" * 5000):
        with pytest.raises(FolderError, match="cannot read the checkpoint"):
            load(tmp_path / name)


def test_loss_and_identity_come_back(path):
    loaded = load(path, identity=IDENTITY)
    assert (loaded.loss, loaded.identity) == (0.25, IDENTITY)


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ({**IDENTITY, "settings": {"rate": 0.2}}, "`settings.rate` is 0.1 there and 0.2 here"),
        ({**IDENTITY, "seed": 1}, "`seed` is 'missing' there and 1 here"),
        ({"problem": "line"}, "`settings` is .* there and 'missing' here"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(path, identity, words):
    with pytest.raises(FolderError, match=words) as caught:
        load(path, identity=identity)
    assert "only budgets (steps, seconds, tolerance) may change" in str(caught.value)
