"""Systems of named equations: the same numbers as an array, with weights and lines by name."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import GaussLegendre, Interval, Residual, ResidualObjective, train
from pinn_ngd.models import MLP
from pinn_ngd.objectives import term_sizes
from pinn_ngd.objectives.balance import balanced
from pinn_ngd.objectives.weights import scaled
from pinn_ngd.validation.held_out import losses_of

RULE = GaussLegendre(Interval(0.0, 1.0), 3)


class Pair(eqx.Module):
    a: jax.Array

    def __call__(self, x):
        return self.a * (1 + x[0])


MODEL = Pair(jnp.asarray([1.0, 2.0, 0.5]))


def system(u, x):
    value = u(x)
    return {"pressure": value[2] - x[0], "momentum": value[:2] * value[2]}


def row(u, x):
    return tuple(system(u, x).values())


def loss(fn, weight):
    objective = ResidualObjective([Residual(fn, RULE, weight)])
    return objective.loss(MODEL, objective.batch())


def test_a_dict_is_the_row_of_its_values():
    dicts, rows = (ResidualObjective([Residual(fn, RULE, 3.0)]) for fn in (system, row))
    batch = dicts.batch()
    np.testing.assert_array_equal(*(o.residuals(MODEL, batch)[0] for o in (dicts, rows)))


def test_weights_by_name():
    by_name = {"momentum": jnp.asarray([2.0, 5.0])}
    np.testing.assert_allclose(loss(system, by_name), loss(row, [1.0, 2.0, 5.0]))
    by_place = {"pressure": lambda x: 1 + x[0], "momentum": 4}
    expected = loss(row, lambda x: jnp.stack([1 + x[0], jnp.asarray(4.0), jnp.asarray(4.0)]))
    np.testing.assert_allclose(loss(system, by_place), expected)


def test_losses_of_equations_add_up_to_the_loss():
    objective = ResidualObjective([Residual(system, RULE, {"pressure": 7.0}, "flow")])
    batch = objective.batch()
    found = objective.equation_losses(MODEL, batch)
    assert list(found) == ["flow.pressure", "flow.momentum"]
    np.testing.assert_allclose(sum(found.values()), objective.loss(MODEL, batch))
    only = ResidualObjective([Residual(lambda u, x: system(u, x)["pressure"], RULE, 7.0)])
    np.testing.assert_allclose(found["flow.pressure"], only.loss(MODEL, batch))


def test_balance_keeps_the_weights_by_name():
    flow = Residual(system, RULE, {"momentum": 2.0}, "flow")
    other = Residual(lambda u, x: 1e-3 * u(x), RULE, name="other")
    sizes = term_sizes(balanced(ResidualObjective([flow, other]), MODEL), MODEL)
    np.testing.assert_allclose(sizes["flow"], sizes["other"], rtol=1e-10)


def test_the_history_has_a_line_for_every_equation():
    objective = ResidualObjective([Residual(system, RULE, name="flow")])
    line = train(objective, MODEL, "engd-tr", steps=1, key=0, grow=False).history[-1]
    for label in ("loss", "held_out"):
        parts = line[f"{label}_flow.pressure"] + line[f"{label}_flow.momentum"]
        np.testing.assert_allclose(parts, line[f"{label}_flow"])


@pytest.mark.parametrize(
    ("fn", "weight", "words"),
    [
        (system, {"energy": 2.0}, "weight` for 'energy', but its equations are pressure, momentum"),
        (system, {"pressure": -1.0}, "'residual.pressure' is -1.0; it must be positive"),
        (row, {"pressure": 1.0}, "named weights, but returns no dict"),
        (lambda u, x: {1: u(x)}, 1.0, "key 1: the keys are names"),
        (lambda u, x: {} if u is not x else None, 1.0, "returns nothing"),
        (lambda u, x: {"a": None if u is not x else x}, 1.0, "returns None"),
    ],
)
def test_what_is_no_system_is_refused(fn, weight, words):
    with pytest.raises(ValueError, match=words):
        loss(fn, weight)


def test_a_factor_reaches_the_equations_that_weights_do_not_name():
    whole = float(loss(system, {"pressure": 2.0, "momentum": 1.0}))
    found = float(loss(system, scaled({"pressure": 2.0}, 10.0)))
    assert found == pytest.approx(10 * whole, rel=1e-14)


def test_points_and_equations_come_of_one_evaluation():
    """The compiler counts the operations: the sums for the equations are few beside residuals."""
    objective = ResidualObjective([Residual(system, RULE, {"pressure": 7.0}, "flow")])
    batch = objective.batch()
    model = MLP((1, 30, 3), key=jax.random.key(0))

    def operations(fn):
        compiled = eqx.filter_jit(fn).lower(objective, model, batch).compile()
        return compiled.compiled.cost_analysis()["flops"]

    alone = operations(lambda o, m, b: o.point_losses(m, b))
    both = operations(lambda o, m, b: (o.point_losses(m, b), o.equation_losses(m, b)))
    assert alone < both < 1.3 * alone
    masses, equations = losses_of(objective, model, batch)
    np.testing.assert_allclose(sum(equations.values()), masses[0].sum(), rtol=1e-12)
