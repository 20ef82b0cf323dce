"""The most charged word of a sentence, found by a fine-tuned MiniLM with low-rank adapters.

An extractive task: first and last token of the word whose human rating is the furthest from
neutral. The sentences are composed: plain frames filled with words of a rated lexicon; `--set
path=FILE` takes real ones, as in vaderSentiment's source package (a file, or a folder of them), or
a file of questions in the format of SQuAD (`.json`), whose answers are the spans; give them more
`max_tokens`. `--set weights=FOLDER` takes another encoder, DistilBERT for instance. Needs what
finetune-sentiment needs. One row of curvature an example (`mc-fisher`): the exact matrix ("ggn")
has two for every token.
"""

import numpy as np

from pinn_ngd import Problem
from pinn_ngd.applications.encoders import load_encoder
from pinn_ngd.applications.finetuning import Recipe, span_problem
from pinn_ngd.applications.text import (
    composed,
    lexicon,
    sentences,
    squad,
    strongest,
    token_spans,
    tokenize,
    tokenize_pairs,
)


def problem(
    *, path: str = "", weights: str = "", count: int = 3000, max_tokens: int = 24,
    batch_size: int = 16, curvature: str = "mc-fisher", rank: int = 2, steps: int = 300,
    test: int = 300, seed: int = 0,
) -> Problem:  # fmt: skip
    """`seed` draws the split and composes `count` sentences; longer ones are left out.

    Of a file of questions the first `count` are taken.
    """
    if path.endswith(".json"):
        found = squad(path, count)
        tokens, places = tokenize_pairs(found.questions, found.contexts, weights, most=max_tokens)
        texts, characters = found.contexts, found.characters
    else:
        texts, characters = _words(path, count, seed)
        tokens, places = tokenize(texts, weights).within(max_tokens)
    return span_problem(
        "finetune-span",
        "the most charged word of a sentence, MiniLM with low-rank adapters",
        load_encoder(weights),
        [texts[i] for i in places],
        tokens,
        token_spans(tokens, characters[places]),
        Recipe(
            rank=rank, batch_size=batch_size, curvature=curvature, steps=steps, test=test,
            seed=seed, optimizer_settings={"schedule": "cosine", "decay_steps": steps},
        ),
    )  # fmt: skip


def _words(path: str, count: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Sentences and the characters of their strongest word."""
    rated = lexicon()
    return strongest(sentences(path).texts, rated) if path else composed(rated, count, seed=seed)
