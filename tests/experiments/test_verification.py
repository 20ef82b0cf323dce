"""The verification tools find what they are for, and nothing else."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd import ClassificationObjective, Grid, Interval, PointwiseState, Shuffled
from pinn_ngd.experiments.verification import taylor_slope, verify, verify_operator
from pinn_ngd.linalg import JacobianRows
from pinn_ngd.metrics import Sobolev
from tests.optimizers.helpers import network, poisson_1d, ritz_1d


@pytest.mark.slow
@pytest.mark.parametrize("objective", [poisson_1d(), ritz_1d()], ids=["residual", "energy"])
def test_sound_objectives_pass(objective):
    checks = verify(objective, network(), key=jax.random.key(0))
    assert all(check.passed for check in checks), checks
    assert 1.95 < checks[0].value < 2.1


@pytest.mark.slow
def test_a_state_metric_passes():
    metric = Sobolev(1.0, state=PointwiseState(Grid(Interval(0.0, 1.0), (16,))))
    checks = verify(poisson_1d(), network(), metric, key=jax.random.key(0))
    assert all(check.passed for check in checks), checks


@jax.custom_jvp
def wrong_square(x):
    return x**2


wrong_square.defjvp(lambda x, t: (x[0] ** 2, 1.9 * x[0] * t[0]))


def test_a_wrong_derivative_is_found():
    class Wrong(type(poisson_1d())):
        def loss(self, model, batch):
            return wrong_square(super().loss(model, batch))

    checks = verify(Wrong(poisson_1d().terms), network(), key=jax.random.key(0))
    failed = {check.name for check in checks if not check.passed}
    assert any("Taylor" in name for name in failed)
    assert any("gradient" in name for name in failed)


def test_a_wrong_adjoint_is_found():
    class Wrong(lx.MatrixLinearOperator):
        def transpose(self):
            return lx.MatrixLinearOperator(1.001 * self.matrix.T)

    matrix = jax.random.normal(jax.random.key(0), (5, 3))
    for operator, sound in ((lx.MatrixLinearOperator(matrix), True), (Wrong(matrix), False)):
        checks = verify_operator(operator, jax.random.key(1))
        assert checks[0].passed == sound
        assert checks[1].passed == sound


def test_a_metric_that_sees_nothing_is_found():
    structure = jax.ShapeDtypeStruct((3,), jnp.float64)
    operator = JacobianRows(jnp.zeros((2, 3)), structure, jax.ShapeDtypeStruct((2,), jnp.float64))
    assert not verify_operator(operator, jax.random.key(0))[2].passed


def test_taylor_slopes():
    assert taylor_slope(lambda e: jnp.sin(e) + e**2, jnp.asarray(1.0)) == pytest.approx(2, abs=0.05)
    assert taylor_slope(lambda e: jnp.sin(e), jnp.asarray(1.0)) == pytest.approx(3, abs=0.05)
    assert taylor_slope(lambda e: jnp.sin(e), jnp.asarray(1.1)) == pytest.approx(1, abs=0.05)
    assert taylor_slope(lambda e: 1 + 3 * e, jnp.asarray(3.0)) == np.inf
    assert np.isnan(taylor_slope(lambda e: e * jnp.nan, jnp.asarray(1.0)))
    assert np.isnan(taylor_slope(lambda e: e, jnp.asarray(jnp.nan)))


def test_relu_in_an_equation_of_second_order_is_told():
    model = eqx.nn.MLP(1, "scalar", 4, 1, jax.nn.relu, key=jax.random.key(0))
    objective = poisson_1d()
    with pytest.warns(
        UserWarning, match="takes second derivatives of the model, which it does not"
    ):
        verify(objective, model, key=jax.random.key(0))


@pytest.mark.slow
def test_float32_is_told_and_has_coarser_bounds():
    inputs = jax.random.normal(jax.random.key(0), (6, 2), jnp.float32)
    model = eqx.nn.Linear(2, 3, key=jax.random.key(1), dtype=jnp.float32)
    objective = ClassificationObjective(Shuffled(inputs, jnp.arange(6) % 3))
    with pytest.warns(UserWarning, match="has float32 parameters"):
        checks = verify(objective, model, key=jax.random.key(0))
    assert all(check.passed for check in checks), checks


def test_what_cannot_be_trained_cannot_be_checked():
    with pytest.raises(ValueError, match="without a floating-point array"):
        verify(poisson_1d(), lambda x: x[0], key=jax.random.key(0))
