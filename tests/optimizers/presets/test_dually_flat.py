"""Natural gradients of exponential families against dense Fisher matrices and plain NumPy loops."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import ClassificationObjective, Shuffled, optimizers, train
from pinn_ngd.families import (
    Categorical,
    Distribution,
    Gaussian,
    GenerativeClassifier,
    NaiveBayes,
    Poisson,
)
from pinn_ngd.objectives import LikelihoodObjective
from pinn_ngd.objectives.batches import Batch
from tests.families.members import flat, joint
from tests.optimizers.helpers import network

FACES = np.asarray([2, 0, 1, 2, 2, 1, 0, 2, 2, 2, 1, 2])


@eqx.filter_jit
def one_step(optimizer, model, state, objective, batch):
    return optimizer.step(model, state, objective, batch, key=jax.random.key(0))


def regression(classes=4, outcomes=(3, 2), n=9):
    """A classifier, other natural coordinates of its family, and a batch of examples."""
    family, natural = joint(classes, outcomes)
    _, other = joint(classes, outcomes, seed=1)
    rng = np.random.default_rng(3)
    x = tuple(jnp.asarray(rng.integers(0, m, n)) for m in outcomes)
    y = jnp.asarray(rng.integers(0, classes, n), jnp.int32)
    return GenerativeClassifier(family, natural), other, Batch(x, y)


def dense_direction(model, zeta, batch):
    """F_joint(zeta)^-1 times the gradient of -mean log p(y|x), by sums over all values, in NumPy.

    Coordinates in the order of the model: a_1.., then the tables (s, m - 1) of every feature.
    """
    family = model.family
    s, outcomes = family.classes, [f.outcomes for f in family.features]

    def statistic(x, y):
        rows = [np.eye(s)[y][1:]]
        for value, m in zip(x, outcomes, strict=True):
            rows.append(np.outer(np.eye(s)[y], np.eye(m)[value][1:]).ravel())
        return np.concatenate(rows)

    cells = [(x, y) for x in np.ndindex(*outcomes) for y in range(s)]
    t = np.stack([statistic(x, y) for x, y in cells])
    weights = np.exp(t @ flat(zeta))
    p = weights / weights.sum()
    fisher = (t - p @ t).T @ (p[:, None] * (t - p @ t))
    theta, gradient = flat(model.natural), np.zeros(t.shape[1])
    labels = np.asarray(batch.targets)
    for *x, y in zip(*map(np.asarray, batch.inputs), labels, strict=True):
        rows = np.stack([statistic(x, c) for c in range(s)])
        scores = np.exp(rows @ theta)
        gradient += (scores / scores.sum()) @ rows - rows[y]
    return np.linalg.solve(fisher, gradient / len(labels))


def test_dsngd_is_the_inverse_joint_fisher_times_the_conditional_gradient():
    model, zeta, batch = regression()
    objective = ClassificationObjective(Shuffled(batch.inputs, batch.targets))
    optimizer = optimizers.get("dsngd", rate=0.3, schedule="constant")
    state = optimizer.init(model, objective, batch)
    exact = GenerativeClassifier(model.family, zeta).expectation
    state = eqx.tree_at(lambda s: s.base.mean, state, exact)
    new, _, _ = one_step(optimizer, model, state, objective, batch)
    found = (flat(model.natural) - flat(new.natural)) / 0.3
    expected = dense_direction(model, zeta, batch)
    assert np.linalg.norm(found - expected) < 1e-12 * np.linalg.norm(expected)


def test_the_duals_are_counts_that_start_with_one_of_each():
    model, _, batch = regression()
    objective = ClassificationObjective(Shuffled(batch.inputs, batch.targets))
    optimizer = optimizers.get("dsngd")
    start = GenerativeClassifier.standard(model.family)
    state = optimizer.init(start, objective, batch)
    _, state, _ = one_step(optimizer, start, state, objective, batch)
    s, y = model.family.classes, np.asarray(batch.targets)
    psi = (3 + 2 - 2 + 1) * s  # (sum of m_i - r + 1) s
    total = psi + len(y)
    counts = np.bincount(y, minlength=s)
    np.testing.assert_allclose(state.base.mean.classes, (psi / s + counts)[1:] / total, rtol=1e-12)
    for table, x, m in zip(state.base.mean.features, batch.inputs, (3, 2), strict=True):
        pairs = np.zeros((s, m))
        np.add.at(pairs, (y, np.asarray(x)), 1)
        expected = (psi / (m * s) + pairs)[:, 1:] / total
        np.testing.assert_allclose(table, expected, rtol=1e-12)


def die_in_numpy(rule, rates, horizon=5.0, every=3):
    """The iterates of a die of three faces by the closed inverse diag(1/p) + 1/p_0."""
    theta, zeta, counts = np.zeros(2), np.zeros(2), np.ones(3)

    def softmax(q):
        weights = np.exp(np.concatenate([[0.0], q]))
        return weights / weights.sum()

    for k, (face, rate) in enumerate(zip(FACES, rates, strict=True)):
        seen = np.eye(3)[face]
        if rule == "sngd" or (rule == "mod" and k % every == 0):
            zeta = theta
        p = counts / counts.sum() if rule == "dsngd" else softmax(zeta)
        gradient = softmax(theta)[1:] - seen[1:]
        theta = theta - rate * (gradient / p[1:] + gradient.sum() / p[0])
        if rule == "csngd":
            zeta = zeta - horizon / (horizon + k) * (softmax(zeta)[1:] - seen[1:])
        counts = counts + seen
    return theta


@pytest.mark.parametrize(
    ("rule", "name", "settings"),
    [
        ("sngd", "sngd", {}),
        ("mod", "sngd", {"every": 3}),
        ("megd", "megd", {}),
        ("csngd", "csngd", {"horizon": 5.0}),
        ("dsngd", "dsngd", {}),
    ],
)
def test_base_points_of_a_die(rule, name, settings):
    """Throw by throw, the same as a loop without this package."""
    optimizer = optimizers.get(name, rate=0.2, decay_steps=4, **settings)
    model = Distribution.standard(Categorical(3))
    objective = LikelihoodObjective(FACES, 1)
    batches = [
        Batch(jnp.asarray([face]), jnp.zeros(1, jnp.int32), jax.random.key(0)) for face in FACES
    ]
    state = optimizer.init(model, objective, batches[0])
    for batch in batches:
        model, state, _ = one_step(optimizer, model, state, objective, batch)
    rates = 0.2 / (1 + np.arange(len(FACES)) / 4)
    np.testing.assert_allclose(model.natural, die_in_numpy(rule, rates), rtol=1e-11)


def test_the_mean_of_the_iterates_is_a_base_point():
    rule = optimizers.minibatch.MeanIterate(0.75)
    models = [Distribution(Poisson(), jnp.asarray([value])) for value in (1.0, 4.0, 2.0, 3.0, 8.0)]
    objective, state, means = LikelihoodObjective([1, 2]), rule.init(models[0]), []
    for model in models:
        state = rule.moved(state, model, objective, objective.batch())
        means.append(float(rule.point(state, model).natural[0]))
    last = 0.75 * 2.5 + 0.25 * 8.0  # the decay bounds the weight of the past
    np.testing.assert_allclose(means, [1.0, 2.5, 7 / 3, 2.5, last], rtol=1e-12)


@pytest.mark.parametrize("kind", ["poisson", "gaussian"])
def test_full_steps_of_all_data_are_newtons_method(kind):
    """theta converges quadratically to the member that expects the mean of the statistics."""
    rng = np.random.default_rng(0)
    family, data = {
        "poisson": (Poisson(), rng.poisson(1.6, 40)),
        "gaussian": (Gaussian(), rng.normal(0.2, 1.2, 40)),
    }[kind]
    best = Distribution.fit(family, data)
    result = train(
        LikelihoodObjective(data),
        Distribution.standard(family),
        optimizers.get("sngd", rate=1.0, schedule="constant"),
        steps=8,
        key=0,
    )
    np.testing.assert_allclose(result.model.natural, best.natural, rtol=1e-12)


def test_a_step_out_of_the_cone_ends_the_run_with_a_sentence():
    data = np.linspace(-0.1, 0.1, 20)  # far too narrow for full steps from N(0, 1)
    result = train(
        LikelihoodObjective(data),
        Distribution.standard(Gaussian()),
        optimizers.get("sngd", rate=30.0, schedule="constant"),
        steps=5,
        key=0,
    )
    assert result.status == "failed"
    assert "not finite" in result.message or "left the cone" in result.message


def test_the_plain_descent_of_a_base_point_stays_inside_of_the_cone():
    """A step of rate one from N(0, 1) to values near 30 would have a negative variance."""
    objective = LikelihoodObjective(np.asarray([30.0, 31.0]))
    model, batch = Distribution.standard(Gaussian()), objective.batch()
    rule = optimizers.minibatch.AuxiliaryDescent()

    @eqx.filter_jit
    def moved(model, batch):
        found = rule.point(rule.moved(rule.init(model), model, objective, batch), model)
        divergence = found.family.divergence(model.natural, found.natural)
        losses = [objective.loss(one, batch) for one in (found, model)]
        return found.contained(), divergence, losses

    inside, divergence, losses = moved(model, batch)
    assert bool(inside)
    assert 0 < float(divergence) <= 1
    assert float(losses[0]) < float(losses[1])


def test_csngd_separates_features_that_are_not_of_the_size_of_one():
    y = np.arange(20) % 2
    x = 20.0 * y + np.linspace(-1.0, 1.0, 20)
    result = train(
        ClassificationObjective(Shuffled(x, y)),
        GenerativeClassifier.standard(NaiveBayes(2, Gaussian())),
        optimizers.get("csngd", rate=0.02, schedule="constant"),
        steps=20,
        key=0,
    )
    assert result.status == "budget"
    assert result.loss < 0.5 * np.log(2)


REFUSED = [
    (
        lambda: train(LikelihoodObjective(FACES), network(width=3), "csngd", steps=1, key=0),
        "trains a `families.Distribution`, and the model is a MLP",
    ),
    (
        lambda: LikelihoodObjective([0, 3, 1]).check(
            Distribution.standard(Categorical(3)), LikelihoodObjective([0, 3, 1]).batch()
        ),
        "value 1 of the data cannot occur in Categorical",
    ),
    (
        lambda: train(
            ClassificationObjective(Shuffled((np.asarray([1, 2, 4]),), np.asarray([0, 1, 0]), 1)),
            GenerativeClassifier.standard(NaiveBayes(2, (Categorical(4),))),
            "dsngd",
            steps=1,
            key=0,
        ),
        "value 2 of the data cannot occur in NaiveBayes",
    ),
    (lambda: LikelihoodObjective([]), "`targets` are empty"),
    (lambda: LikelihoodObjective(FACES, 20), "`size` of a batch is 20"),
    (lambda: optimizers.get("dsngd", weight=0.0), "`weight` is 0.0"),
    (lambda: optimizers.get("csngd", horizon=-1.0), "`horizon` is -1.0"),
    (lambda: optimizers.get("sngd", every=0), "`every` is 0"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as found:
        call()
    assert "\n" not in str(found.value)


def test_a_damped_rule_is_refused_before_the_first_step():
    damped = optimizers.MinibatchNaturalGradient(
        optimizers.get("sngd").direction, optimizers.get("sngd").transformation
    )
    objective = LikelihoodObjective(FACES)
    with pytest.raises(ValueError, match=r"`damping` is 0\.01, and InverseJacobian"):
        damped.init(Distribution.standard(Categorical(3)), objective, objective.batch())


def test_citations_name_the_authors():
    for name in ("sngd", "megd", "csngd", "dsngd"):
        assert "Cerquides" in optimizers.citation(name)
