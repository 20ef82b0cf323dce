"""Texts as arrays of tokens, by the tokenizer that belongs to an encoder's weights."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..models.pretrained import EXTRA, pretrained_folder, read_config


class Tokens(NamedTuple):
    """`ids` (n, s), padded with 0, and `offsets` (n, s, 2): each token's characters in its text."""

    ids: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each text, (n,)."""
        return np.count_nonzero(self.ids, axis=1)

    def within(self, most: int) -> tuple["Tokens", np.ndarray]:
        """The texts of at most so many tokens, padded no further than that; and their places.

        Of texts with the same tokens only the first stays, so that none is learned and tested on.
        Raises ValueError where no text is so short.
        """
        short = np.flatnonzero(self.lengths <= most)
        if len(short) == 0:
            msg = f"`max_tokens` is {most}, but the shortest text has {min(self.lengths)} tokens."
            raise ValueError(msg)
        _, first = np.unique(self.ids[short, :most], axis=0, return_index=True)
        places = short[np.sort(first)]
        return Tokens(self.ids[places, :most], self.offsets[places, :most]), places


def tokenize(texts: Sequence[str], path: str | Path = "") -> Tokens:
    """All texts as tokens, with the start and end tokens, padded to the longest.

    `path` is the folder of the encoder (see `models.load_encoder`), whose tokenizer.json is used.
    Raises ValueError without texts, for a text with more tokens than the encoder has positions,
    and where the file or the package tokenizers is missing.
    """
    folder = pretrained_folder(path)
    if not texts:
        msg = "`texts` are empty: give at least one."
        raise ValueError(msg)
    found = _tokenizer(folder).encode_batch(list(texts))
    lengths, positions = [len(e.ids) for e in found], read_config(folder).positions
    if max(lengths) > positions:
        msg = (
            f"`texts`: number {int(np.argmax(lengths))} has {max(lengths)} tokens, but the model"
            f" has {positions} positions: cut the text, or split it."
        )
        raise ValueError(msg)
    ids = np.zeros((len(texts), max(lengths)), np.int32)
    offsets = np.zeros((*ids.shape, 2), np.int32)
    for i, (encoding, n) in enumerate(zip(found, lengths, strict=True)):
        ids[i, :n], offsets[i, :n] = encoding.ids, encoding.offsets
    return Tokens(ids, offsets)


def _tokenizer(folder: Path) -> Any:
    try:
        package: Any = importlib.import_module("tokenizers")
    except ImportError as error:
        msg = f"reading texts needs tokenizers, which is not installed: {EXTRA}."
        raise ValueError(msg) from error
    file = folder / "tokenizer.json"
    if not file.is_file():
        msg = f"`path` {folder} has no file tokenizer.json: it belongs to the weights."
        raise ValueError(msg)
    tokenizer = package.Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
