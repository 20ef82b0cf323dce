"""Fine-tuning from end to end, with a tiny encoder, and bad input."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import _tree, load_problem, optimizers, train
from pinn_ngd.applications.encoders import EncoderConfig, random_encoder
from pinn_ngd.applications.finetuning import Recipe, sentiment_problem, span_problem
from pinn_ngd.applications.text import RatedTexts, Tokens, composed, token_spans, tokenize
from pinn_ngd.experiments import run_problem

PAIRS = [(w, v) for v in ("was", "and", "ly") for w in ("good", "bad")]
RECIPE = Recipe(
    batch_size=16,
    steps=40,
    test=10,
    alpha=4.0,
    optimizer="ngd-woodbury",
    optimizer_settings={"rate": 0.1},
)


def words(n=60):
    """Random tokens; the class is whether token 4 or 5 comes second and third."""
    ids = np.random.default_rng(0).integers(6, 20, (n, 5)).astype(np.int32)
    labels = np.arange(n) % 2
    ids[:, 0], ids[:, 1:3], ids[::3, 4] = 2, 4 + labels[:, None], 0
    return Tokens(ids, np.zeros((n, 5, 2), int)), labels


@pytest.fixture
def encoder(key):
    config = EncoderConfig(vocabulary=20, positions=24, width=16, heads=2, hidden=20, layers=1)
    return random_encoder(config, key=key, dtype=jnp.float32)


def sentiment(encoder, recipe=RECIPE, n=60):
    tokens, labels = words(n)
    texts = [f"text {i}" for i in range(n)]
    return sentiment_problem("words", "", encoder, texts, tokens, labels, recipe)


@pytest.mark.slow
def test_a_run_leaves_accuracy_and_pictures(encoder, tmp_path):
    result = run_problem(sentiment(encoder), out=tmp_path)
    assert result["test_accuracy"] == 1.0
    assert {"test_nll", "test_ece"} <= set(json.loads((tmp_path / "result.json").read_text()))
    assert {p.name for p in tmp_path.glob("*.png")} == {"history.png", "solution.png"}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["tngd-adam", "ngd-cg"])
def test_optimizers_lower_the_loss(encoder, optimizer, key, tmp_path):
    problem = sentiment(encoder, Recipe(batch_size=16, steps=15, test=10, optimizer=optimizer))
    start = problem.model(key)
    assert _tree.size(start) == 4 * 2 * 32 + 2 * 16 + 2
    result = run_problem(problem, out=tmp_path, pictures=False, seed=1)
    assert result["test_nll"] < problem.evaluator()(start)["test_nll"]


@pytest.mark.slow
def test_the_encoder_stays_bit_for_bit_as_it_was(encoder):
    problem = sentiment(encoder)
    result = train(
        problem.objective, problem.model(jax.random.key(0)), optimizers.get("tngd"), steps=3,
        key=jax.random.key(1),
    )  # fmt: skip
    block = result.model.encoder.blocks[0]
    assert np.array_equal(block.inner.thaw().weight, encoder.blocks[0].inner.weight)
    query = block.attention.query
    assert np.array_equal(query.base.thaw().weight, encoder.blocks[0].attention.query.weight)
    assert float(jnp.max(jnp.abs(query.up))) > 0


@pytest.mark.slow
def test_spans_are_found(encoder, tiny_bert, tmp_path):
    rated = RatedTexts(["good", "bad", "wonder"], np.array([3.0, -2.0, 0.5]))
    found = composed(rated, 300)
    tokens = tokenize(found.texts, tiny_bert)
    spans = token_spans(tokens, found.characters)
    recipe = Recipe(
        batch_size=16, steps=60, test=50, curvature="mc-fisher", optimizer="tngd-adam",
        alpha=4.0, optimizer_settings={"rate": 3e-2},
    )  # fmt: skip
    problem = span_problem("spans", "", encoder, found.texts, tokens, spans, recipe)
    result = run_problem(problem, out=tmp_path)
    assert result["test_accuracy"] > 0.6
    assert result["test_score"] >= result["test_accuracy"]
    assert (tmp_path / "solution.png").is_file()


def test_the_problem_files_take_other_weights_and_texts(tiny_bert, tmp_path):
    pytest.importorskip("vaderSentiment")
    lines = [f"{i}\t{3 * (-1) ** i}\t{w} the {v}" for i, (w, v) in enumerate(PAIRS)]
    (tmp_path / "a_GroundTruth.txt").write_text("\n".join(lines))
    (tmp_path / "mine.csv").write_text("text,label\n" + "good,up\nbad,down\nwonder,up\nthe,down\n")
    own = dict(weights=str(tiny_bert), batch_size=2)
    table = load_problem("finetune-sentiment", path=str(tmp_path / "mine.csv"), test=2, **own)
    assert table.model(jax.random.key(0)).head.out_features == 2
    rated = load_problem("finetune-sentiment", path=str(tmp_path), test=2, classes=2, **own)
    assert rated.objective.batches.inputs.shape[1] <= 32
    spans = load_problem("finetune-span", count=40, test=2, **own)
    assert spans.objective.curvature == "mc-fisher"
    assert spans.settings["rank"] == 2
    real = load_problem("finetune-span", path=str(tmp_path), test=1, **own)
    assert real.objective.batches.targets.shape[1] == 2


def test_texts_tokens_and_targets_must_agree(encoder):
    tokens, labels = words()
    texts = ["text"] * 60
    with pytest.raises(ValueError, match="`texts` are 59, `tokens` 60 and targets 60"):
        sentiment_problem("words", "", encoder, texts[1:], tokens, labels, RECIPE)
    with pytest.raises(ValueError, match="every class needs at least one"):
        sentiment(encoder, Recipe(test=1))
    with pytest.raises(ValueError, match="run from 0 to 5, but the model has 5 outputs"):
        span_problem("spans", "", encoder, texts, tokens, np.full((60, 2), [0, 5]), RECIPE)
