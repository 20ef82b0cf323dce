"""Rated words, rated sentences, and the user's tables."""

import importlib.util

import numpy as np
import pytest

from pinn_ngd.applications.text import RatedTexts, csv_texts, graded, lexicon, sentences

RATED = RatedTexts(["bad", "dull", "door", "fine", "good"], np.array([-2.5, -1.0, 0.0, 0.9, 2.0]))


def test_the_lexicon_has_every_word_once():
    pytest.importorskip("vaderSentiment")
    found = lexicon()
    assert len(found.texts) == len(set(found.texts)) == len(found.ratings) == 7506
    ratings = dict(zip(found.texts, found.ratings, strict=True))
    assert ratings["excellent"] == 2.7
    assert -4 <= found.ratings.min() < -3
    assert min(np.bincount(graded(found)[1])) > 2500


def test_a_missing_lexicon_is_named_with_its_cure(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"vaderSentiment, .* pip install 'pinn-ngd\[finetune\]'"):
        lexicon()


def test_ratings_become_two_or_three_classes():
    texts, labels = graded(RATED)
    assert (texts, labels.tolist()) == (["bad", "dull", "good"], [0, 0, 1])
    texts, labels = graded(RATED, classes=3, threshold=0.5)
    assert labels.tolist() == [0, 0, 1, 2, 2]
    for bad in ({"classes": 4}, {"threshold": 0.0}):
        with pytest.raises(ValueError, match="give 2 or 3 classes and a positive threshold"):
            graded(RATED, **bad)


def test_sentences_come_from_a_file_or_a_folder(tmp_path):
    (tmp_path / "a_GroundTruth.txt").write_text("1\t2.5\tA good one.\n2\t-1\tAnd\tbad.\r\n")
    (tmp_path / "b_GroundTruth.txt").write_text("1_1\t0.25\tNo opinion.\n\n")
    found = sentences(tmp_path)
    assert found.texts == ["A good one.", "And\tbad.", "No opinion."]
    assert found.ratings.tolist() == [2.5, -1.0, 0.25]
    assert len(sentences(tmp_path / "b_GroundTruth.txt").texts) == 1


def test_bad_sentences_are_named(tmp_path):
    with pytest.raises(ValueError, match="neither a file of sentences nor a folder"):
        sentences(tmp_path)
    file = tmp_path / "a_GroundTruth.txt"
    for line in ("just words", "1\tmuch\twords"):
        file.write_text(line)
        with pytest.raises(ValueError, match="is not number, rating and text"):
            sentences(file)


def test_tables_of_text_and_label(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text('label,text\nup,"good, really"\ndown,bad\nup,fine\n')
    texts, labels, names = csv_texts(file)
    assert texts == ["good, really", "bad", "fine"]
    assert labels.tolist() == [1, 0, 1]
    assert names == ["down", "up"]
    with pytest.raises(ValueError, match="has no column review; it has label, text"):
        csv_texts(file, text="review")
    file.write_text("text,label\n")
    with pytest.raises(ValueError, match="has a header, but no rows"):
        csv_texts(file)
    file.write_text("")
    with pytest.raises(ValueError, match="has no column text, label"):
        csv_texts(file)
    with pytest.raises(ValueError, match="there is no file"):
        csv_texts(tmp_path / "none.csv")
