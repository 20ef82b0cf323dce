"""Every test runs in float64, with strict promotion, without a display."""

import atexit
import json
import os
import shutil
import tempfile
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["PINN_NGD_CACHE"] = "off"  # the user's folder is not for tests
# Most of the time is compilation, and most of that machine code which runs once. Without the
# emitters of fused loops it takes a third less.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)
# Both workers and the processes that tests start find in one folder what any of them has compiled.
# The first process makes the folder and removes it; a folder that the environment names is kept.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="pinn-ngd-compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax
import numpy as np
import pytest

from tests import extras

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")


def pytest_addoption(parser):
    extras.add_option(parser)


def pytest_collection_modifyitems(config, items):
    extras.keep_those_that_need_extras(config, items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    extras.fail_where_one_is_missing(item, report)
    return report


counted = time.monotonic()  # the memory maps of this process


@pytest.fixture(autouse=True)
def few_executables():
    """Executables hold memory maps, and XLA ends the process when the system grants no more."""
    yield
    global counted
    if time.monotonic() > counted + 5:  # to count them takes some twenty milliseconds
        from pinn_ngd.training.executables import forget_executables

        forget_executables()
        counted = time.monotonic()


@pytest.fixture
def registries():
    """Names that a test gives are forgotten after it."""
    from pinn_ngd import metrics
    from pinn_ngd.linalg import solvers
    from pinn_ngd.optimizers import registry

    every = (registry.PRESETS, metrics.METRICS, solvers.SOLVERS)
    kept = [(known, dict(known), known.is_complete) for known in every]
    yield
    for known, before, is_complete in kept:
        known.clear()
        known.update(before)
        known.is_complete = is_complete


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def double_precision():
    """The command line chooses a number format; the next test has float64 again."""
    yield
    jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    """The tiny problem as a file of a user."""
    from .tiny import FILE

    path = tmp_path_factory.mktemp("user") / "tiny.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="session")
def solved(file, tmp_path_factory):
    """What the command line said of a run of the tiny problem, and the run's folder."""
    from .tiny import run_cli

    out = tmp_path_factory.mktemp("solved") / "run"
    return run_cli("solve", file, "--steps", 50, "--set", "width=4", "--out", out), out


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "##ly", "the", "and", "was", "wonder"]


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A folder with random weights of a two-layer BERT, its config.json and its tokenizer.json."""
    arrays = pytest.importorskip("safetensors.numpy")
    pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("tiny-bert")
    config = {
        "vocab_size": len(WORDS), "max_position_embeddings": 24, "type_vocab_size": 2,
        "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12,
        "num_hidden_layers": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    arrays.save_file(_tiny_weights(config), folder / "model.safetensors")
    _tiny_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def _tiny_weights(config):
    """Standard names and shapes; every array random, norms and biases too."""
    d, h = config["hidden_size"], config["intermediate_size"]
    rows = {"word": config["vocab_size"], "position": 24, "token_type": 2}
    shapes = {f"embeddings.{name}_embeddings.weight": (n, d) for name, n in rows.items()}
    dense, norms = {}, ["embeddings.LayerNorm"]
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            dense[f"{layer}attention.{part}"] = (d, d)
        dense |= {f"{layer}intermediate.dense": (h, d), f"{layer}output.dense": (d, h)}
        norms += [f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"]
    for name, shape in dense.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (d,), f"{name}.bias": (d,)}
    rng = np.random.default_rng(0)
    return {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}


def _tiny_tokenizer():
    import tokenizers as t

    vocabulary = {word: i for i, word in enumerate(WORDS)}
    tokenizer = t.Tokenizer(t.models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = t.normalizers.Lowercase()
    tokenizer.pre_tokenizer = t.pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    single, pair = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
    tokenizer.post_processor = t.processors.TemplateProcessing(single, pair, ends)
    tokenizer.enable_truncation(max_length=5)  # as published ones have it; it must not matter
    return tokenizer


def _conditioned(rows, columns, singular_values, seed=0):
    """A random (rows, columns) matrix with the given singular values, to rounding."""
    rng, m = np.random.default_rng(seed), min(rows, columns)
    left = np.linalg.qr(rng.normal(size=(rows, m)))[0]
    right = np.linalg.qr(rng.normal(size=(columns, m)))[0]
    return (left * np.asarray(singular_values)) @ right.T


def _rows(matrix):
    from pinn_ngd.linalg import JacobianRows

    struct = jax.ShapeDtypeStruct
    n, p = matrix.shape
    return JacobianRows(matrix, struct((p,), matrix.dtype), struct((n,), matrix.dtype))


@pytest.fixture(scope="session")
def conditioned():
    return _conditioned


@pytest.fixture(scope="session")
def dense():
    return _rows


@pytest.fixture(scope="session")
def relative_error():
    return lambda x, ref: float(np.linalg.norm(np.asarray(x) - ref) / np.linalg.norm(ref))
