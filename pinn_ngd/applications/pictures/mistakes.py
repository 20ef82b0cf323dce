"""What a model of texts gets wrong, in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...experiments.plotting.style import FULL_WIDTH, hide_spines, new_figure, style

if TYPE_CHECKING:
    import matplotlib.figure

LINES = 14
CHARACTERS = 150


def plot_wrong_texts(
    logits: np.ndarray, labels: np.ndarray, texts: Sequence[str]
) -> "matplotlib.figure.Figure":
    """The most confident mistakes of a classifier: what it said, what is right, and the text.

    `logits` (n, k), `labels` (n,), n `texts`.
    """
    guesses = logits.argmax(axis=1)
    margin = logits.max(axis=1) - logits[np.arange(len(labels)), labels]
    wrong = [i for i in np.argsort(-margin).tolist() if guesses[i] != labels[i]]
    lines = [f"{guesses[i]} for {labels[i]}:  {texts[i]}" for i in wrong]
    return _listed(lines, f"{len(wrong)} of {len(labels)} wrong")


def plot_found_words(
    texts: Sequence[str], offsets: np.ndarray, found: np.ndarray, right: np.ndarray
) -> "matplotlib.figure.Figure":
    """Spans found wrongly: the words found, the right ones, and the sentence.

    `offsets` (n, s, 2) are the characters of the tokens, `found` and `right` (n, 2) first and last
    tokens.
    """
    wrong = np.flatnonzero(np.any(found != right, axis=1)).tolist()
    lines = []
    for i in wrong:
        said, meant = (_words(texts[i], offsets[i], span[i]) for span in (found, right))
        lines.append(f"{said} for {meant}:  {texts[i]}")
    return _listed(lines, f"{len(wrong)} of {len(texts)} spans wrong")


def _words(text: str, offsets: np.ndarray, span: np.ndarray) -> str:
    return text[offsets[span[0], 0] : offsets[span[1], 1]] or "nothing"


def _listed(lines: Sequence[str], title: str) -> "matplotlib.figure.Figure":
    with style():
        figure = new_figure(FULL_WIDTH, 0.5 + 0.19 * LINES)
        ax = figure.subplots()
        ax.set_title(title, loc="left")
        ax.set(xticks=[], yticks=[], ylim=(LINES, 0))
        hide_spines(ax)
        for row, line in enumerate(lines[:LINES]):
            short = line if len(line) <= CHARACTERS else line[: CHARACTERS - 3] + "..."
            ax.text(0.0, row + 0.8, short, fontsize=7.0, parse_math=False)
        return figure
