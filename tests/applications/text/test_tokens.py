"""Texts as tokens."""

import importlib
import shutil

import pytest

from pinn_ngd.applications.text import tokenize


def test_texts_are_padded_and_know_their_characters(tiny_bert):
    found = tokenize(["Good", "the goodly was bad", "strange"], tiny_bert)
    assert found.ids.tolist() == [
        [2, 4, 3, 0, 0, 0, 0],
        [2, 7, 4, 6, 9, 5, 3],
        [2, 1, 3, 0, 0, 0, 0],
    ]
    assert found.lengths.tolist() == [3, 7, 3]
    assert found.offsets[1, 2:4].tolist() == [[4, 8], [8, 10]]


def test_long_texts_and_repeated_ones_are_left_out(tiny_bert):
    found, places = tokenize(["good", "the good was bad", "GOOD", "bad"], tiny_bert).within(4)
    assert places.tolist() == [0, 3]
    assert found.ids.tolist() == [[2, 4, 3, 0], [2, 5, 3, 0]]
    with pytest.raises(ValueError, match="`max_tokens` is 2, but the shortest text has 3"):
        tokenize(["good"], tiny_bert).within(2)


def test_texts_longer_than_the_positions_are_refused(tiny_bert):
    with pytest.raises(ValueError, match=r"number 1 has 25 tokens, but the model has 24 positions"):
        tokenize(["good", "bad " * 23], tiny_bert)
    with pytest.raises(ValueError, match="`texts` are empty"):
        tokenize([], tiny_bert)


def test_a_missing_tokenizer_is_named(tiny_bert, tmp_path, monkeypatch):
    shutil.copy(tiny_bert / "config.json", tmp_path)
    with pytest.raises(ValueError, match=r"has no file tokenizer.json"):
        tokenize(["good"], tmp_path)

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ValueError, match=r"tokenizers, .* pip install 'pinn-ngd\[finetune\]'"):
        tokenize(["good"], tiny_bert)
