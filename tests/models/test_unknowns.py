"""Unknown coefficients: their bounds, their derivatives, and the model that holds them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Data, ResidualObjective, _tree
from pinn_ngd.models import MLP, Bounded, Positive, WithUnknowns, freeze
from pinn_ngd.validation import posterior

X = jnp.asarray([0.3])


def moved(unknown, by):
    return eqx.tree_at(lambda m: m.raw, unknown, unknown.raw + by)


def test_numbers_start_where_they_are_told_and_stay_inside():
    for unknown, start in ((Positive(2.0), 2.0), (Bounded(0.3, -1.0, 1.0), 0.3)):
        assert float(unknown.value) == pytest.approx(start, rel=1e-15)
        assert float(unknown(X)) == float(unknown.value)
    ends = [float(moved(Bounded(0.3, -1.0, 1.0), by).value) for by in (-30.0, 30.0)]
    assert -1.0 <= ends[0] < -0.99
    assert 0.99 < ends[1] <= 1.0
    assert 0 < float(moved(Positive(2.0), -100.0).value) < 1e-40
    np.testing.assert_allclose(Positive([1.0, 2.0]).value, [1.0, 2.0])


def test_fields_are_called_at_a_point():
    net = MLP((1, 3, 1), key=jax.random.key(0))
    assert float(Positive(net)(X)) == pytest.approx(np.exp(net(X)))
    assert 2.0 < float(Bounded(net, 2.0, 3.0)(X)) < 3.0
    with pytest.raises(TypeError, match="this unknown is a field"):
        _ = Positive(net).value


def test_error_bars_come_through_the_transformation():
    """c measured directly with deviation 0.1: that is its error bar, whatever c is made of."""
    for unknown in (Positive(2.0), Bounded(2.0, 0.0, 5.0)):
        objective = ResidualObjective([Data(None, 2.0, 0.1, lambda u, x: u.value + 0.0 * x[0])])
        bars = posterior(objective, unknown)
        assert float(bars.deviation(lambda m: m.value)) == pytest.approx(0.1, rel=1e-12)
    relative = posterior(objective, Positive(2.0)).deviation(lambda m: m.raw)
    assert float(relative) == pytest.approx(0.05, rel=1e-12)


def test_a_model_holds_its_unknowns_by_name():
    net = MLP((1, 3, 1), key=jax.random.key(0))
    model = WithUnknowns(net, k=Positive(1.0), rate=[2.0], field=net)
    assert float(model(X)) == float(net(X))
    assert (float(model.rate[0]), float(model.k.value)) == (2.0, 1.0)
    assert _tree.size(model) == 2 * _tree.size(net) + 2
    assert _tree.size(freeze(model, lambda m: m.field)) == _tree.size(net) + 2
    with pytest.raises(AttributeError, match="no unknown 'c': it has k, rate, field"):
        _ = model.c


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Positive(0.0), "not positive and finite"),
        (lambda: Positive([1.0, np.inf]), "not positive and finite"),
        (lambda: Bounded(2.0, 0.0, 1.0), "not between 0.0 and 1.0"),
        (lambda: Bounded(0.5, 1.0, 0.0), "bound nothing"),
        (lambda: Bounded(0.5, 0.0, np.inf), "take `Positive`"),
        (lambda: WithUnknowns(abs, k=None), "holds no number"),
    ],
)
def test_bad_unknowns_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
