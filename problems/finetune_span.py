"""The most charged word of a sentence, found by a fine-tuned MiniLM with low-rank adapters.

An extractive task: first and last token of the word whose human rating is the furthest from
neutral. The sentences are composed: plain frames filled with words of a rated lexicon; `--set
path=FILE` takes real ones, as in vaderSentiment's source package (a file, or a folder of them).
Needs what finetune-sentiment needs. One row of curvature an example (`mc-fisher`): the exact matrix
("ggn") has two for every token.
"""

from pinn_ngd import Problem
from pinn_ngd.finetune import Recipe, span_problem
from pinn_ngd.models import load_encoder
from pinn_ngd.text import composed, lexicon, sentences, strongest, token_spans, tokenize


def problem(
    *, path: str = "", weights: str = "", count: int = 3000, max_tokens: int = 24,
    batch_size: int = 16, curvature: str = "mc-fisher", rank: int = 2, steps: int = 300,
    test: int = 300, seed: int = 0,
) -> Problem:  # fmt: skip
    """`seed` draws the split and composes `count` sentences; longer ones are left out."""
    rated = lexicon()
    spans = strongest(sentences(path).texts, rated) if path else composed(rated, count, seed=seed)
    tokens, places = tokenize(spans.texts, weights).within(max_tokens)
    return span_problem(
        "finetune-span",
        "the most charged word of a sentence, MiniLM with low-rank adapters",
        load_encoder(weights),
        [spans.texts[i] for i in places],
        tokens,
        token_spans(tokens, spans.characters[places]),
        Recipe(
            rank=rank, batch_size=batch_size, curvature=curvature, steps=steps, test=test,
            seed=seed, optimizer_settings={"schedule": "cosine", "decay_steps": steps},
        ),
    )  # fmt: skip
