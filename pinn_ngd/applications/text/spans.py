"""Spans: which word of a sentence carries the most sentiment."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .sentiment import RatedTexts
from .tokens import Tokens

WORD = re.compile(r"[a-z][a-z'-]*[a-z]", re.IGNORECASE)
MARGIN = 0.5  # by how much the largest rating stands out, so that people would agree
PATTERNS = (
    "the {0} group met at noon and the {1} letter was read",
    "in the {0} town a {1} road leads to a {2} house",
    "on monday the {0} table stood near the {1} window",
    "they wrote about {0} and {1} in the {2} chapter",
    "a {0} person from the north spoke of {1} and then of {2}",
    "between {0} and {1} the paper printed {2} numbers",
    "the {0} bus passed the {1} bridge at seven",
    "some called it {0}, others {1}, and the rest {2}",
)


class Spans(NamedTuple):
    """n sentences, and the characters (n, 2), from and up to, of one word in each."""

    texts: list[str]
    characters: np.ndarray


def composed(rated: RatedTexts, count: int = 3000, *, seed: int = 0) -> Spans:
    """Sentences put together here: plain frames filled with two or three words of the lexicon.

    They are grammatical only by luck and nobody wrote them; the ratings of the words are real. The
    answer is the word with the largest absolute rating, by 0.5 ahead of the next. Words of one
    piece and of letters only.
    """
    rng = np.random.default_rng(seed)
    usable = [i for i, text in enumerate(rated.texts) if WORD.fullmatch(text)]
    texts, places = [], []
    while len(texts) < count:
        pattern = PATTERNS[rng.integers(len(PATTERNS))]
        chosen = rng.choice(usable, pattern.count("{"), replace=False)
        strength = np.sort(np.abs(rated.ratings[chosen]))
        if strength[-1] - strength[-2] >= MARGIN:
            words = [rated.texts[i] for i in chosen]
            texts.append(pattern.format(*words))
            places.append(_filled(pattern, words, int(np.argmax(np.abs(rated.ratings[chosen])))))
    return Spans(texts, np.array(places, np.int32))


def strongest(texts: Sequence[str], rated: RatedTexts) -> Spans:
    """The sentences in which one rated word is 0.5 stronger than all others, and that word.

    Raises ValueError where there is no such sentence.
    """
    ratings = dict(zip(rated.texts, np.abs(rated.ratings), strict=True))
    found = [(text, _strongest(text, ratings)) for text in texts]
    kept = [(text, place) for text, place in found if place is not None]
    if not kept:
        msg = "`texts`: none has a word that is rated, and rated clearly higher than its others."
        raise ValueError(msg)
    return Spans([text for text, _ in kept], np.array([place for _, place in kept], np.int32))


def token_spans(tokens: Tokens, characters: np.ndarray) -> np.ndarray:
    """The first and last tokens (n, 2) that share characters with each span (n, 2).

    Raises ValueError where a span has no token: it was cut off, or is not of this text.
    """
    begin, end = tokens.offsets[..., 0], tokens.offsets[..., 1]
    inside = (begin < characters[:, 1:]) & (end > characters[:, :1])
    if not np.all(np.any(inside, axis=1)):
        place = int(np.argmin(np.any(inside, axis=1)))
        msg = f"`characters`: the span of text {place} holds none of its tokens."
        raise ValueError(msg)
    last = inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)
    return np.stack([np.argmax(inside, axis=1), last], axis=1).astype(np.int32)


def _filled(pattern: str, words: list[str], which: int) -> tuple[int, int]:
    """Where the word that fills {which} begins and ends in the filled pattern."""
    begin = len(pattern[: pattern.index(f"{{{which}}}")].format(*words))
    return begin, begin + len(words[which])


def _strongest(text: str, ratings: dict[str, float]) -> tuple[int, int] | None:
    found = [(ratings.get(m.group().lower(), 0.0), m.span()) for m in WORD.finditer(text)]
    found.sort(reverse=True)
    strengths = [strength for strength, _ in found] + [0.0, 0.0]
    return found[0][1] if strengths[0] - strengths[1] >= MARGIN else None
