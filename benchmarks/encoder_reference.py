"""The encoder against the transformers library: largest difference of all vectors that count.

transformers and this package need not live in one environment (its Flax models ask for versions
below 5 and an older JAX), so the reference is written first, and compared with in a second call:

    pip install 'transformers<4.50' flax 'jax==0.4.38' 'jaxlib==0.4.38'     # another environment
    python benchmarks/encoder_reference.py --write reference.npz --weights FOLDER
    python benchmarks/encoder_reference.py --compare reference.npz          # this environment
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

LENGTHS = (24, 17, 9, 3)


def texts() -> np.ndarray:
    """Random tokens between the start and end tokens, padded with 0."""
    rng = np.random.default_rng(0)
    ids = np.zeros((len(LENGTHS), max(LENGTHS)), np.int32)
    for row, n in zip(ids, LENGTHS, strict=True):
        row[:n] = [101, *rng.integers(1000, 30000, n - 2), 102]
    return ids


def reference(folder: Path, ids: np.ndarray) -> np.ndarray:
    """The last hidden states of transformers' FlaxBertModel with the weights of the folder."""
    import transformers.modeling_flax_pytorch_utils as names  # pyright: ignore
    from flax.traverse_util import flatten_dict, unflatten_dict  # pyright: ignore
    from safetensors.numpy import load_file
    from transformers import BertConfig, FlaxBertModel  # pyright: ignore

    config = BertConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
    model: Any = FlaxBertModel(config)
    start, found = flatten_dict(model.params), {}
    for name, array in load_file(folder / "model.safetensors").items():
        if "position_ids" not in name:
            parts = tuple(name.split("."))
            key, value = names.rename_key_and_reshape_tensor(parts, array, start, "bert")
            found[key] = value
    assert found.keys() == start.keys()
    mask = (ids != 0).astype(np.int32)
    return np.asarray(model(ids, attention_mask=mask, params=unflatten_dict(found))[0])


def difference(file: str, weights: str) -> float:
    import jax

    from pinn_ngd.applications.encoders import load_encoder

    with np.load(file) as stored:
        ids, right = stored["ids"], stored["vectors"]
    ours = np.asarray(jax.vmap(load_encoder(weights))(ids))
    return float(np.max(np.abs(ours - right)[ids != 0]))


def main(write: str, compare: str, weights: str) -> None:
    if write:
        np.savez(write, ids=texts(), vectors=reference(Path(weights), texts()))
    if compare:
        print(f"largest difference: {difference(compare, weights):.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", default="")
    parser.add_argument("--compare", default="")
    parser.add_argument("--weights", default="", help="folder with model.safetensors, config.json")
    main(**vars(parser.parse_args()))
