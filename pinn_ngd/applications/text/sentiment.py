"""Texts rated by people: a lexicon inside a package, and files of the user's.

The lexicon and the sentences: Hutto and Gilbert, "VADER", ICWSM 2014.
"""

import csv
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..encoders.pretrained import EXTRA

SENTENCES = "*_GroundTruth.txt"


class RatedTexts(NamedTuple):
    """n texts and their mean ratings (n,), from -4, most negative, to 4."""

    texts: list[str]
    ratings: np.ndarray


def lexicon() -> RatedTexts:
    """7,506 English words and emoticons, each rated by ten people, from the package vaderSentiment.

    Raises ValueError where it is not installed.
    """
    found = importlib.util.find_spec("vaderSentiment")
    if found is None or found.origin is None:
        msg = f"the lexicon comes with the package vaderSentiment, which is not installed: {EXTRA}."
        raise ValueError(msg)
    file = Path(found.origin).parent / "vader_lexicon.txt"
    rated: dict[str, float] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        text, rating, *_ = line.split("\t")
        rated.setdefault(text, float(rating))  # some emoticons are there twice
    return RatedTexts(list(rated), np.array(list(rated.values())))


def sentences(path: str | Path) -> RatedTexts:
    """Sentences with mean ratings, from a file or a folder of files "..._GroundTruth.txt".

    Each line is number, rating and text, separated by tabs. The source package of vaderSentiment
    holds 23,703 of them, in hutto_ICWSM_2014.tar.gz: reviews, editorials and short messages. Raises
    ValueError where there is no such file, or a line is not of that form.
    """
    path = Path(path)
    files = sorted(path.rglob(SENTENCES)) if path.is_dir() else [path]
    files = [file for file in files if not file.name.startswith(".")]
    if not files or not files[0].is_file():
        msg = f"`path` {path} is neither a file of sentences nor a folder with {SENTENCES}."
        raise ValueError(msg)
    rows = [_row(file, line) for file in files for line in _lines(file)]
    return RatedTexts([text for text, _ in rows], np.array([rating for _, rating in rows]))


def csv_texts(
    path: str | Path, *, text: str = "text", label: str = "label"
) -> tuple[list[str], np.ndarray, list[str]]:
    """Texts, class numbers (n,) and the classes' names in order, from a CSV file with a header.

    The labels are any words or numbers; classes are numbered in their alphabetical order. Raises
    ValueError where the file or a column is missing, or the file has no rows.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"`path`: there is no file {path}."
        raise ValueError(msg)
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        columns = list(rows.fieldnames or [])
        lacking = [name for name in (text, label) if name not in columns]
        if lacking:
            msg = (
                f"`path`: {path} has no column {', '.join(lacking)}; it has {', '.join(columns)}:"
                " rename one, or say which by `text` and `label`."
            )
            raise ValueError(msg)
        found = [(row[text] or "", row[label] or "") for row in rows]
    if not found:
        msg = f"`path`: {path} has a header, but no rows."
        raise ValueError(msg)
    names, numbers = np.unique([name for _, name in found], return_inverse=True)
    return [words for words, _ in found], numbers, names.tolist()


def graded(
    rated: RatedTexts, *, classes: int = 2, threshold: float = 1.0
) -> tuple[list[str], np.ndarray]:
    """Texts and class numbers by their mean rating.

    Two classes: negative (0, rating <= -threshold) and positive (1, rating >= threshold), the
    others left out. Three: negative, neutral (1, between) and positive (2). Raises ValueError for
    other numbers of classes, and for a threshold that is not positive.
    """
    if classes not in (2, 3) or threshold <= 0:
        msg = (
            f"`classes` is {classes} and `threshold` {threshold}; give 2 or 3 classes and a"
            " positive threshold."
        )
        raise ValueError(msg)
    sign: Any = np.sign(rated.ratings) * (np.abs(rated.ratings) >= threshold)
    if classes == 3:
        return rated.texts, sign.astype(int) + 1
    kept = np.flatnonzero(sign)
    return [rated.texts[i] for i in kept], (sign[kept] > 0).astype(int)


def _lines(file: Path) -> list[str]:
    content = file.read_text(encoding="utf-8", errors="replace")
    return [line for line in content.split("\n") if line.strip()]


def _row(file: Path, line: str) -> tuple[str, float]:
    parts = line.rstrip("\r").split("\t", 2)
    try:
        return parts[2].strip(), float(parts[1])
    except (IndexError, ValueError) as error:
        msg = f"`path`: a line of {file} is not number, rating and text: {line[:60]!r}."
        raise ValueError(msg) from error
