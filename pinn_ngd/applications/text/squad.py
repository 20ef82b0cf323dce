"""Questions whose answers are spans of a text, in the format of SQuAD."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Questions(NamedTuple):
    """n questions, the texts that answer them, and the characters (n, 2) of the answers there."""

    questions: list[str]
    contexts: list[str]
    characters: np.ndarray


def squad(path: str | Path, count: int | None = None) -> Questions:
    """The first `count` questions, or all, of a file such as train-v1.1.json, in its order.

    Rajpurkar, Zhang, Lopyrev and Liang, EMNLP 2016; questions without an answer (version 2) are
    left out, and of several answers the first counts. Raises ValueError where there is no such
    file, it has another format, or an answer does not stand where the file says, and for a `count`
    below 1.
    """
    path = Path(path)
    if count is not None and count < 1:
        msg = f"`count` is {count}; take at least one question, or None for all."
        raise ValueError(msg)
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        found = [
            (qa["question"], paragraph["context"], qa["answers"][0])
            for article in articles
            for paragraph in article["paragraphs"]
            for qa in paragraph["qas"]
            if qa["answers"]
        ]
        spans = [(a["answer_start"], a["answer_start"] + len(a["text"])) for *_, a in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"`path` {path} is no file of questions in the format of SQuAD ({error!r})."
        raise ValueError(msg) from error
    if not found:
        msg = f"`path` {path} has no question with an answer."
        raise ValueError(msg)
    for (question, context, answer), (begin, end) in zip(found, spans, strict=True):
        if context[begin:end] != answer["text"]:
            msg = f"`path` {path}: the answer to {question!r} does not stand at {begin}."
            raise ValueError(msg)
    chosen = slice(count)
    questions, contexts, _ = zip(*found[chosen], strict=True)
    return Questions(list(questions), list(contexts), np.array(spans[chosen], np.int32))
