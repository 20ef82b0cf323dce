"""Weights under which all terms feel the parameters alike."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import GaussLegendre, Interval, Residual, ResidualObjective
from pinn_ngd.objectives import balanced, term_sizes

LINE = Interval(0.0, 1.0)


class Many(eqx.Module):
    """A sum of cosines."""

    values: jax.Array

    def __call__(self, x):
        return jnp.dot(self.values, jnp.cos(jnp.arange(1.0 * self.values.size) * x[0]))


MODEL = Many(jnp.ones(40))


def objective(weight=1.0, scale=1.0):
    rule = GaussLegendre(LINE, 30)
    return ResidualObjective(
        [
            Residual(lambda u, x: scale * u(x), rule, weight, "small"),
            Residual(lambda u, x: u(x) - 1.0, rule, name="large"),
        ]
    )


def frobenius(problem):
    rows = problem.system(MODEL, problem.batch()).operator.matrix
    return [float(jnp.sum(rows[i : i + 30] ** 2)) for i in (0, 30)]


def test_sizes_are_those_of_the_rows_whatever_the_units():
    problem = objective(scale=1e-6)
    sizes = list(term_sizes(problem, MODEL).values())
    ratios = np.asarray(sizes) / np.asarray(frobenius(problem))
    assert np.all((ratios > 0.3) & (ratios < 3))  # the mean of eight squares, not of all
    assert sizes[0] / sizes[1] == pytest.approx(1e-12, rel=1e-6)
    assert list(term_sizes(problem, MODEL)) == ["small", "large"]


@pytest.mark.parametrize("weight", [1.0, 7.0, lambda x: 1.0 + x[0], "array"])
def test_balanced_terms_are_of_one_size_whatever_their_weights(weight):
    weight = jnp.asarray(2.0) if weight == "array" else weight
    found = balanced(objective(weight, scale=1e-5), MODEL)
    small, large = term_sizes(found, MODEL).values()
    assert small == pytest.approx(large, rel=1e-9)
    assert found.terms[1].weight == 1.0


def test_a_term_without_the_model_cannot_be_balanced():
    rule = GaussLegendre(LINE, 3)
    terms = [Residual(lambda u, x: u(x), rule), Residual(lambda _u, x: x[0], rule, name="data")]
    with pytest.raises(ValueError, match="term 'data' does not depend on the parameters"):
        balanced(ResidualObjective(terms), MODEL)


def test_terms_of_one_name_are_told_apart():
    rule = GaussLegendre(LINE, 3)
    terms = [Residual(lambda u, x: u(x), rule), Residual(lambda u, x: 1e-6 * u(x), rule)]
    found = balanced(ResidualObjective(terms), MODEL)
    assert list(term_sizes(found, MODEL)) == ["residual 1", "residual 2"]
    assert found.terms[1].weight == pytest.approx(1e12, rel=1e-6)
