"""Models for problems in units of their own."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, GaussLegendre, Interval, SpaceTime
from pinn_ngd.models import MLP, Normalized
from pinn_ngd.models.normalized import UnitBox

HOUR = SpaceTime(Interval(0.0, 3600.0), Interval(0.0, 0.05))


def test_the_formula():
    net = lambda z: z[0] - z[1]  # noqa: E731
    model = Normalized(net, domain=HOUR, values=(280.0, 320.0))
    assert model(jnp.asarray([0.0, 0.05])) == pytest.approx(300 + 20 * (0 - 1))
    assert model(jnp.asarray([900.0, 0.0])) == pytest.approx(300 + 20 * 0.25)


def test_components_have_ranges_of_their_own():
    model = Normalized(lambda z: jnp.stack([z[0], -z[0]]), values=((0.0, 1.0), (-5.0, 5.0)))
    np.testing.assert_allclose(model(jnp.asarray([1.0])), [1.0, -5.0])
    np.testing.assert_allclose(model(jnp.asarray([0.0])), [0.5, 0.0])


def test_nothing_is_trained_but_the_network():
    net = MLP((2, 3, 1), key=jax.random.key(0))
    model = Normalized(net, domain=HOUR, values=(280.0, 320.0))
    mine, its = (eqx.filter(m, eqx.is_inexact_array) for m in (model, net))
    assert jax.tree.leaves(mine)[0] is jax.tree.leaves(its)[0]
    assert len(jax.tree.leaves(mine)) == len(jax.tree.leaves(its))
    hash(jax.tree.structure(model))


def test_an_mlp_with_a_domain_is_one_of_the_unit_box():
    key = jax.random.key(1)
    inside, outside = MLP((2, 4, 1), key=key, domain=HOUR), MLP((2, 4, 1), key=key)
    points = GaussLegendre(HOUR, 3).quadrature().points
    both = [jax.vmap(m)(points) for m in (inside, Normalized(outside, domain=HOUR))]
    np.testing.assert_allclose(*both, rtol=1e-13)
    assert MLP((2, 4, 1), key=key, domain=Box((0.0, 0.0), (1.0, 1.0))).inputs is None
    assert MLP((2, 4, 1), key=key, domain=HOUR, init="glorot").inputs is None


def test_single_precision_stays_single():
    net = MLP((2, 3, 1), key=jax.random.key(0), domain=HOUR, dtype=jnp.float32)
    x = jnp.asarray([1.0, 0.01], jnp.float32)
    assert Normalized(net, values=(0.0, 9.0))(x).dtype == jnp.float32


def test_the_unit_box_is_where_the_domain_goes():
    inputs = UnitBox(Box((-1.0, 10.0), (1.0, 30.0)))
    np.testing.assert_allclose(inputs(jnp.asarray([0.0, 15.0])), [0.5, 0.25])
    assert not inputs.is_of_order_one  # 10 to 30 is twenty long


@pytest.mark.parametrize(
    "values", [(1.0, 1.0), (2.0, 1.0), 3.0, (1.0, 2.0, 3.0), ((0.0, 1.0), (2.0, 2.0))]
)
def test_a_range_without_width_is_refused(values):
    with pytest.raises(ValueError, match="is no range: give the least and the largest value"):
        Normalized(lambda x: x[0], values=values)
