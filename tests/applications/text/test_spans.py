"""The strongest word of a sentence, as characters, as tokens, and found by a model."""

import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.applications.text import (
    RatedTexts,
    Tokens,
    best_spans,
    composed,
    lexicon,
    span_scores,
    spans,
    strongest,
    token_spans,
    tokenize,
)

RATED = RatedTexts(["bad", "goodly", "wonder", ":-)"], np.array([-2.5, 1.0, 3.0, 2.0]))


def words(found):
    return [t[a:b] for t, (a, b) in zip(found.texts, found.characters, strict=True)]


def test_composed_sentences_hold_their_answer():
    found = composed(RATED, 50, seed=3)
    assert set(words(found)) == {"bad", "wonder"}
    assert len(found.texts) == 50
    assert not any("{" in text for text in found.texts)
    assert composed(RATED, 5, seed=3).texts == found.texts[:5]
    for text, word in zip(found.texts, words(found), strict=True):
        assert word == "wonder" or "wonder" not in text


def test_frames_hold_no_rated_word():
    pytest.importorskip("vaderSentiment")
    rated = set(lexicon().texts)
    plain = {word for pattern in spans.PATTERNS for word in spans.WORD.findall(pattern)}
    assert not plain & rated


def test_the_strongest_word_of_a_text_must_stand_out():
    texts = ["The BAD wolf, goodly clad", "nothing here", "bad and wonder", "bad and bad"]
    found = strongest(texts, RATED)
    assert words(found) == ["BAD", "wonder"]
    with pytest.raises(ValueError, match="none has a word that is rated"):
        strongest(["nothing"], RATED)


def test_characters_become_tokens(tiny_bert):
    found = tokenize(["the goodly was bad", "bad"], tiny_bert)
    assert token_spans(found, np.array([[4, 10], [0, 3]])).tolist() == [[2, 3], [1, 1]]
    with pytest.raises(ValueError, match="the span of text 1 holds none of its tokens"):
        token_spans(found, np.array([[4, 10], [7, 9]]))


def test_the_best_span_is_ordered():
    logits = jnp.asarray([[[0.0, 1.0, 5.0], [4.0, 2.0, 0.0]], [[3.0, 0.0, 0.0], [0.0, 0.0, 9.0]]])
    assert best_spans(logits).tolist() == [[2, 2], [0, 2]]


def test_scores_are_exact_matches_and_overlaps():
    ids, right = np.ones((3, 4), np.int32), np.array([[1, 2], [1, 2], [0, 0]])
    said = jnp.asarray([[1, 2], [2, 3], [3, 3]])

    def model(row):  # certain of its answer, which depends on the first token
        return 40.0 * jnp.eye(4)[said[row[0]]]

    ids[:, 0] = np.arange(3)
    found = span_scores(ids, right)(model)
    assert found["test_accuracy"] == pytest.approx(1 / 3)
    assert found["test_error"] == pytest.approx(2 / 3)
    assert found["test_score"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert found["test_nll"] == pytest.approx((0 + 80 + 80) / 3, rel=1e-6)
    with pytest.raises(ValueError, match="`spans` are 2 and `ids` 3"):
        span_scores(ids, right[:2])
    assert Tokens(ids, np.zeros((3, 4, 2))).lengths.tolist() == [3, 4, 4]
