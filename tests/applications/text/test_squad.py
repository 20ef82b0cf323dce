"""Questions and answers as spans of tokens."""

import json

import numpy as np
import pytest

from pinn_ngd import load_problem
from pinn_ngd.applications.text import squad, token_spans, tokenize_pairs

CONTEXT = "the good was bad and wonder was goodly"


def _entry(question, answer, begin):
    return {"question": question, "answers": [{"text": answer, "answer_start": begin}]}


@pytest.fixture
def file(tmp_path):
    qas = [
        _entry("was good", "bad", 13),
        {"question": "the wonder", "answers": []},
        _entry("bad", "wonder was", 21),
        _entry("good and bad and good and bad and good", "good", 4),
    ]
    path = tmp_path / "train.json"
    data = [{"paragraphs": [{"context": CONTEXT, "qas": qas}]}]
    path.write_text(json.dumps({"data": data}))
    return path


def test_answers_are_where_the_file_says(file):
    found = squad(file)
    assert found.questions[:2] == ["was good", "bad"]
    answers = [CONTEXT[begin:end] for begin, end in found.characters]
    assert answers == ["bad", "wonder was", "good"]
    assert squad(file, 1).questions == ["was good"]


def test_spans_are_those_of_the_context(file, tiny_bert):
    found = squad(file)
    repeated = [*found.questions, "was good"], [*found.contexts, CONTEXT]
    tokens, places = tokenize_pairs(*repeated, tiny_bert, most=16)
    assert places.tolist() == [0, 1]
    spans = token_spans(tokens, found.characters[places])
    # [CLS] was good [SEP] the good was bad and wonder was good ##ly [SEP]
    assert tokens.ids[0, :8].tolist() == [2, 9, 4, 3, 7, 4, 9, 5]
    assert tokens.offsets[0, :4].tolist() == [[0, 0]] * 4
    assert spans.tolist() == [[7, 7], [8, 9]]
    # The words of the question are no answer, though the same characters.
    assert np.all(spans[:, 0] > 2)


def test_the_problem_takes_such_a_file(file, tiny_bert):
    settings = dict(path=str(file), weights=str(tiny_bert), max_tokens=24, batch_size=1, test=1)
    problem = load_problem("finetune-span", **settings)
    assert problem.objective.batches.targets.shape == (2, 2)


def test_bad_files_are_named(file, tmp_path, tiny_bert):
    with pytest.raises(ValueError, match="no file of questions in the format of SQuAD"):
        squad(tmp_path / "missing.json")
    with pytest.raises(ValueError, match="`count` is 0; take at least one"):
        squad(file, 0)
    (tmp_path / "other.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="no file of questions"):
        squad(tmp_path / "other.json")
    (tmp_path / "empty.json").write_text('{"data": []}')
    with pytest.raises(ValueError, match="no question with an answer"):
        squad(tmp_path / "empty.json")
    file.write_text(file.read_text().replace('"answer_start": 13', '"answer_start": 14'))
    with pytest.raises(ValueError, match="'was good' does not stand at 14"):
        squad(file)
    with pytest.raises(ValueError, match="`most` is 8, but the shortest pair has"):
        tokenize_pairs(["good"], [CONTEXT], tiny_bert, most=8)
    with pytest.raises(ValueError, match="`most` is 99 tokens, but the model has 24 positions"):
        tokenize_pairs(["good"], [CONTEXT], tiny_bert, most=99)
