"""Fine-tuning problems: an encoder with low-rank adapters, and texts as tokens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ..evaluation.scores import learning_scores, logits_of
from ..experiments.problem import Problem
from ..objectives import AbstractLoss, ClassificationObjective, Shuffled
from .data import split
from .encoders import Encoder, SpanFinder, TextClassifier, add_adapters
from .pictures import plot_found_words, plot_wrong_texts
from .text import SpanCrossEntropy, Tokens, best_spans, span_scores


@dataclass(frozen=True)
class Recipe:
    """How an encoder is fine-tuned; `test` texts are put aside, drawn with `seed`.

    `rank` and `alpha` are those of the adapters (see `models.add_adapters`).
    """

    rank: int = 2
    alpha: float = 32.0
    batch_size: int = 32
    curvature: str = "ggn"
    optimizer: str = "tngd-adam"
    optimizer_settings: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 300
    test: int = 500
    seed: int = 0


def sentiment_problem(
    name: str,
    description: str,
    encoder: Encoder,
    texts: Sequence[str],
    tokens: Tokens,
    labels: np.ndarray,
    recipe: Recipe,
) -> Problem:
    """Classes of texts, with `test_accuracy` and what else `classifier_scores` returns.

    `labels` (n,) number the classes from 0; the test part has the same share of each. Raises
    ValueError where texts, tokens and labels differ in number, or a class has too few.
    """
    labels = np.asarray(labels, np.int32)
    _check_lengths(texts, tokens, labels)
    train, test = _parts(labels, recipe)
    classes, unseen = int(labels.max()) + 1, tokens.ids[test]
    return _problem(
        name,
        description,
        lambda key: TextClassifier(_adapted(encoder, recipe, key), classes, key=key),
        _objective(tokens.ids[train], labels[train], "softmax", recipe),
        recipe,
        scores=learning_scores(tokens.ids[train], labels[train], unseen, labels[test]),
        picture=lambda model: plot_wrong_texts(
            np.asarray(logits_of(model, unseen)), labels[test], [texts[int(i)] for i in test]
        ),
    )


def span_problem(
    name: str,
    description: str,
    encoder: Encoder,
    texts: Sequence[str],
    tokens: Tokens,
    spans: np.ndarray,
    recipe: Recipe,
) -> Problem:
    """Spans of texts, with `test_accuracy` (found exactly) and `test_score` (F1).

    `spans` (n, 2) are first and last tokens. Raises ValueError where texts, tokens and spans differ
    in number, and for spans outside the tokens.
    """
    spans = np.asarray(spans, np.int32)
    _check_lengths(texts, tokens, spans)
    train, test = _parts(np.zeros(len(spans), int), recipe)
    unseen = tokens.ids[test]
    objective = _objective(tokens.ids[train], spans[train], SpanCrossEntropy(), recipe)
    objective.loss_function.check(jnp.asarray(spans), 2 * tokens.ids.shape[1])

    def picture(model: Any) -> Any:
        found = np.asarray(best_spans(logits_of(model, unseen)))
        return plot_found_words(
            [texts[int(i)] for i in test], tokens.offsets[test], found, spans[test]
        )

    return _problem(
        name,
        description,
        lambda key: SpanFinder(_adapted(encoder, recipe, key), key=key),
        objective,
        recipe,
        scores=span_scores(unseen, spans[test]),
        picture=picture,
    )


def _objective(
    ids: np.ndarray, targets: np.ndarray, loss: str | AbstractLoss, recipe: Recipe
) -> ClassificationObjective:
    batches = Shuffled(ids, targets, recipe.batch_size)
    return ClassificationObjective(batches, loss=loss, curvature=recipe.curvature)


def _adapted(encoder: Encoder, recipe: Recipe, key: PRNGKeyArray) -> Encoder:
    own = jax.random.fold_in(key, 1)
    return add_adapters(encoder, rank=recipe.rank, alpha=recipe.alpha, key=own)


def _parts(labels: np.ndarray, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Places of the texts to learn from and to test on."""
    found = split(np.arange(len(labels)), labels, test=recipe.test, seed=recipe.seed)
    return found.inputs, found.test_inputs


def _problem(
    name: str,
    description: str,
    model: Callable[[PRNGKeyArray], Any],
    objective: ClassificationObjective,
    recipe: Recipe,
    *,
    scores: Callable[[Any], dict[str, float]],
    picture: Callable[[Any], Any],
) -> Problem:
    return Problem(
        name=name,
        description=description,
        objective=objective,
        model=model,
        optimizer=recipe.optimizer,
        optimizer_settings=dict(recipe.optimizer_settings),
        seconds=900.0,
        steps=recipe.steps,
        picture=picture,
        scores=scores,
        compared="test_error",
    )


def _check_lengths(texts: Sequence[str], tokens: Tokens, targets: np.ndarray) -> None:
    if not len(texts) == len(tokens.ids) == len(targets):
        msg = (
            f"`texts` are {len(texts)}, `tokens` {len(tokens.ids)} and targets {len(targets)}: give"
            " one of each for every text."
        )
        raise ValueError(msg)
