"""Texts as arrays of tokens, by the tokenizer that belongs to an encoder's weights."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..encoders.pretrained import EXTRA, pretrained_folder, read_config


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
    lengths, positions = [len(e) for e in found], read_config(folder).positions
    if max(lengths) > positions:
        msg = (
            f"`texts`: number {int(np.argmax(lengths))} has {max(lengths)} tokens, but the model"
            f" has {positions} positions: cut the text, or split it."
        )
        raise ValueError(msg)
    return _padded([e.ids for e in found], [e.offsets for e in found])


def tokenize_pairs(
    questions: Sequence[str], contexts: Sequence[str], path: str | Path = "", *, most: int
) -> tuple[Tokens, np.ndarray]:
    """Each question with its context behind it, where both have at most `most` tokens; and places.

    Of equal pairs only the first stays. Offsets are those in the context, and (0, 0) for all other
    tokens. Encoders here have one segment, number 0, for both. Raises ValueError where no pair is
    so short, and as `tokenize`.
    """
    folder = pretrained_folder(path)
    positions = read_config(folder).positions
    if most > positions:
        msg = f"`most` is {most} tokens, but the model has {positions} positions: ask for fewer."
        raise ValueError(msg)
    found = _tokenizer(folder).encode_batch(list(zip(questions, contexts, strict=True)))
    first = {tuple(e.ids): i for i, e in reversed(list(enumerate(found)))}
    places = [i for i, e in enumerate(found) if len(e) <= most and first[tuple(e.ids)] == i]
    if not places:
        msg = f"`most` is {most}, but the shortest pair has {min(map(len, found))} tokens."
        raise ValueError(msg)
    kept = [found[i] for i in places]
    return _padded([e.ids for e in kept], [_in_context(e) for e in kept]), np.array(places)


def _in_context(encoding: Any) -> list[tuple[int, int]]:
    sequences = zip(encoding.offsets, encoding.sequence_ids, strict=True)
    return [offsets if which == 1 else (0, 0) for offsets, which in sequences]


def _padded(ids: Sequence[Any], offsets: Sequence[Any]) -> Tokens:
    longest = max(map(len, ids))
    tokens = Tokens(
        np.zeros((len(ids), longest), np.int32), np.zeros((len(ids), longest, 2), np.int32)
    )
    for i, (own, places) in enumerate(zip(ids, offsets, strict=True)):
        tokens.ids[i, : len(own)], tokens.offsets[i, : len(own)] = own, places
    return tokens


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
