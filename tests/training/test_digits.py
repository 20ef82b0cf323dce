"""No product of a step loses digits in an accelerator."""

import equinox as eqx
import jax
import jax.extend
import pytest

from pinn_ngd import optimizers
from pinn_ngd.training.digits import all_digits
from tests.tiny import tiny

PRODUCTS = ("dot_general", "conv_general_dilated")
HIGHEST = jax.lax.Precision.HIGHEST


def _equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from _equations(inner)


def _precisions(optimizer):
    """Those of the products in one step."""
    problem = tiny()
    model = problem.model(jax.random.key(0))
    objective, (arrays, static) = problem.objective, eqx.partition(model, eqx.is_array)
    batch = objective.batch()
    state = optimizer.init(model, objective, batch)

    def step(arrays):
        model = eqx.combine(arrays, static)
        new = optimizer.step(model, state, objective, batch, key=jax.random.key(0))
        return eqx.filter(new, eqx.is_array)

    with all_digits(optimizer):
        jaxpr = jax.make_jaxpr(step)(arrays).jaxpr
    found = [e.params["precision"] for e in _equations(jaxpr) if e.primitive.name in PRODUCTS]
    return {pair if pair is None else frozenset(pair) for pair in found}


@pytest.mark.parametrize("name", ["engd-tr", "engd-w"])
def test_every_product_of_a_step_asks_for_all_digits(name, monkeypatch):
    optimizer = optimizers.get(name)
    assert None in _precisions(optimizer)  # on a CPU it makes no difference
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert _precisions(optimizer) == {frozenset([HIGHEST])}


def test_optimizers_that_need_no_digits_keep_the_users_word(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert None in _precisions(optimizers.get("adam"))
    with jax.default_matmul_precision("tensorfloat32"), all_digits(optimizers.get("adam")):
        assert jax.config.jax_default_matmul_precision == "tensorfloat32"
