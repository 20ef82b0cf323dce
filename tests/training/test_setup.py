"""What `train` refuses or warns of before its first step."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinn_ngd import (
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    Trapezoid,
    gradient,
    laplacian,
    list_problems,
    load_problem,
    optimizers,
)
from pinn_ngd.evaluation.errors import evaluator
from pinn_ngd.optimizers import cost
from pinn_ngd.training import train
from pinn_ngd.training.setup import check_start, fits, warn_about_cost
from tests.training.helpers import Descent, Linear, info

LINE = Interval(0.0, 1.0)
RULE = GaussLegendre(LINE, 4)


class Inverse(eqx.Module):
    """u = a x (1 - x) with an unknown coefficient of any kind."""

    a: jax.Array
    k: object
    note: str = eqx.field(static=True, default="")

    def __call__(self, x):
        return self.a * x[0] * (1 - x[0])


def inverse(k):
    return Inverse(jnp.asarray(0.3), k)


OBJECTIVE = ResidualObjective(
    [Residual(lambda u, x: u.k * laplacian(u)(x) + 1.0, RULE, name="pde")]
)


@pytest.mark.parametrize(
    ("k", "words"),
    [
        (2.0, r"`model\.k` is a Python float and stays fixed: write `jnp\.asarray\(2\.0, float\)`"),
        (2, r"`model\.k` is a Python int and stays fixed"),
        (np.array(2), r"`model\.k` is an array of int64 and stays fixed"),
        (jnp.array(2), r"`model\.k` is an array of int64 and stays fixed"),
    ],
)
def test_a_coefficient_that_no_optimizer_trains_is_told(k, words):
    with (
        pytest.warns(UserWarning, match=words),
        jax.numpy_dtype_promotion("standard"),
    ):
        check_start(OBJECTIVE, inverse(k), OBJECTIVE.batch())


class Settled(eqx.Module):
    """A model with numbers that are no coefficients: sizes, indices, switches, what is not used."""

    weight: jax.Array
    order: int
    chosen: jax.Array
    width: int
    unused: float
    is_even: bool
    dropout: eqx.nn.Dropout

    def __call__(self, x):
        powers = jnp.stack([x[0] ** i for i in range(self.order)])
        return jnp.dot(self.weight[self.chosen], powers)


def test_sizes_indices_and_switches_are_no_coefficients():
    layers = (jnp.ones(4), 2, jnp.array([0, 3]), 4, 0.1, True, eqx.nn.Dropout(0.5))
    objective = ResidualObjective([Residual(lambda u, x: u(x) - x[0], RULE)])
    check_start(objective, Settled(*layers), objective.batch())


@pytest.mark.parametrize("name", ["poisson-2d", "ritz-1d", "heat-1d-icml23", "gaussian-mixture"])
def test_shipped_problems_start_without_a_word(name):
    assert name in list_problems()
    problem = load_problem(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = problem.model(jax.random.key(0))
        check_start(problem.objective, model, problem.objective.batch(jax.random.key(1)))


def divided():
    """Four terms, the third of which divides by x at x = 0."""
    slope = lambda u, x: gradient(u)(x)[0]  # noqa: E731
    return ResidualObjective(
        [
            Residual(slope, RULE, name="ode"),
            Residual(lambda u, x: u(x) - 1, GaussLegendre(LINE.boundary(), 1), name="ends"),
            Residual(lambda u, x: slope(u, x) / x[0], Trapezoid(LINE, 5), name="polar"),
            Residual(lambda u, x: u(x), GaussLegendre(LINE, 3), name="mean"),
        ]
    )


def test_a_term_that_is_not_finite_from_the_start_is_named_with_its_point():
    words = r"the term 'polar' is not finite from the start, at 1 of its 5 points, first at \[0\.\]"
    with pytest.raises(ValueError, match=words):
        train(divided(), inverse(jnp.asarray(1.0)), Descent(), steps=2, key=jax.random.key(0))


class Jump(Descent):
    """One step to w = -0.75, which tells the loss after it, as natural gradients do."""

    def step(self, model, state, objective, batch, *, key):
        del key
        new = Linear(jnp.full_like(model.weight, -0.75))
        return new, state, info(objective.loss(new, batch), model.weight)


@pytest.mark.parametrize("optimizer", [optax.sgd(1.0), Jump()], ids=["before", "after"])
def test_a_term_that_is_not_finite_in_mid_run_is_named_with_its_point(optimizer):
    """Both optimizers go to w = -0.75, where 1 + w x is negative at x = 2 and not at x = 1."""
    points = np.asarray([[1.0], [2.0]])
    root = Residual(lambda u, x: jnp.sqrt(1 + u(x)), points, name="root")
    objective = ResidualObjective([Residual(lambda u, x: u(x), points[:1], name="fine"), root])
    model = Linear(jnp.asarray([0.1]))
    result = train(objective, model, optimizer, steps=3, key=0, grow=False)
    assert result.status == "failed"
    assert "not finite: the term 'root' is not finite, at 1 of its 2 points" in result.message
    assert "first at [2.];" in result.message
    assert float(result.model.weight[0]) == 0.1


@pytest.mark.parametrize(
    ("model", "exact", "words"),
    [
        (
            inverse(jnp.asarray(1.0)),
            lambda x: x,
            r"`model` gives shape \(\) and `exact` gives \(1,\)",
        ),
        (jnp.ones(2), lambda x: x[0], "no function of a point"),
    ],
)
def test_an_evaluation_that_does_not_fit_is_refused_at_the_start(model, exact, words):
    class Squares(eqx.Module):
        """An objective of one's own."""

        def loss(self, model, batch):
            return jnp.sum(batch) + sum(jnp.sum(x) for x in jax.tree.leaves(model))

    with pytest.raises(ValueError, match=words):
        check_start(Squares(), model, jnp.ones(1), evaluator(exact, RULE.quadrature()))


FIT = ResidualObjective([Residual(lambda u, x: u(x) - 1, RULE, name="fit")])


def test_of_a_step_that_takes_long_is_told_before_it_is_made(monkeypatch):
    monkeypatch.setattr(cost, "MOST_SECONDS", 0.0)
    words = r"4 rows x 1 parameters take .* with this optimizer: cheaper is `--optimizer engd-sub"
    with pytest.warns(UserWarning, match=words):
        warn_about_cost(optimizers.get("engd-tr"), FIT, Linear(jnp.asarray([0.1])), FIT.batch())


def test_points_do_not_grow_beyond_the_memory(monkeypatch):
    model, optimizer = Linear(jnp.asarray([0.1])), optimizers.get("engd-tr")
    assert fits(optimizer, FIT, model)
    assert fits(Descent(), FIT, model)  # of a duck-typed optimizer nothing is known
    monkeypatch.setattr(cost, "total_memory", lambda: 100.0)
    with pytest.warns(UserWarning, match=r"a step on 4 points takes about .* and 0 kB"):
        assert not fits(optimizer, FIT, model)


class Elsewhere(Descent):
    """Its answer is a model that no step moves."""

    def answer(self, model, state):
        del state
        return jax.tree.map(lambda w: 0 * w + 0.9, model)


def test_held_out_points_look_at_the_answer_and_not_at_a_noisy_iterate():
    """u = 0.9 x on (0, 1) against 1: the loss there is 1/2 of the integral of (0.9 x - 1)^2."""
    model = Linear(jnp.asarray([0.1]))
    result = train(FIT, model, Elsewhere(noise=5.0), steps=2, key=0, grow=False)
    assert result.held_out is not None
    assert result.held_out.loss == pytest.approx(0.5 * (0.9**2 / 3 - 0.9 + 1), rel=1e-9)
    assert float(result.model.weight[0]) == 0.9
