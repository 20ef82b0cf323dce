"""Complex residuals: the same loss, gradient and step as the real problem written by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Box,
    ClassificationObjective,
    ExplicitState,
    GaussLegendre,
    Grid,
    Interval,
    PointwiseState,
    Residual,
    ResidualObjective,
    SampleObjective,
    Shuffled,
    Smoothness,
    StateMisfit,
    TotalVariation,
    divergence,
    estimate_error,
    gradient,
    laplacian,
    optimizers,
    relative_h1,
    relative_l2,
    train,
)
from pinn_ngd.experiments.verification import verify
from pinn_ngd.metrics import Sobolev
from pinn_ngd.models import MLP
from pinn_ngd.objectives import Energy, EnergyObjective

K = 4.0
LINE = Interval(0.0, 1.0)
GRID = Grid(LINE, (4,))


class Pair(eqx.Module):
    """A complex function from a network of two outputs."""

    net: MLP

    def __call__(self, x):
        y = self.net(x)
        return jax.lax.complex(y[0], y[1])


def network(width=6, seed=0):
    return MLP((1, width, 2), key=jax.random.key(seed), domain=LINE)


def turn(angle):
    """exp(i angle); strict promotion has no product of 1j and a real array."""
    return jax.lax.complex(jnp.cos(angle), jnp.sin(angle))


def plain(y):
    return jax.lax.complex(y, jnp.zeros_like(y))


def imaginary(y):
    return jax.lax.complex(jnp.zeros_like(y), y)


def wave(x):
    """exp(i k x), which satisfies u'' + k^2 u = 0, u(0) = 1 and u'(1) = i k u(1)."""
    return turn(K * x[0])


def left_and_right():
    left, right = LINE.boundary().faces
    return GaussLegendre(left, 1), GaussLegendre(right, 1)


def helmholtz(points=8):
    """Helmholtz with an impedance condition, in complex numbers."""
    left, right = left_and_right()
    return ResidualObjective(
        [
            Residual(lambda u, x: laplacian(u)(x) + K**2 * u(x), GaussLegendre(LINE, points)),
            Residual(lambda u, x: u(x) - 1.0, left, 30.0, "incoming"),
            Residual(lambda u, x: gradient(u)(x)[0] - 1j * K * u(x), right, 10.0, "impedance"),
        ]
    )


def by_hand(points=8):
    """The same as two real equations for the network of two outputs."""
    left, right = left_and_right()
    one = np.array([1.0, 0.0])

    def impedance(v, x):
        y = v(x)
        return gradient(v)(x)[:, 0] - K * jnp.stack([-y[1], y[0]])

    return ResidualObjective(
        [
            Residual(lambda v, x: laplacian(v)(x) + K**2 * v(x), GaussLegendre(LINE, points)),
            Residual(lambda v, x: v(x) - one, left, 30.0, "incoming"),
            Residual(impedance, right, 10.0, "impedance"),
        ]
    )


def rows_and_target(objective, model, *, matrix_free=False):
    system = objective.system(model, objective.batch(), matrix_free=matrix_free)
    target = jnp.concatenate([jnp.ravel(block) for block in system.target])
    return system.operator.as_matrix(), target


@pytest.mark.slow
def test_loss_and_rows_are_those_of_two_real_problems():
    net = network()
    whole, parts = helmholtz(), by_hand()
    loss = whole.loss(Pair(net), whole.batch())
    assert float(loss) == pytest.approx(float(parts.loss(net, parts.batch())), rel=1e-14)
    (rows, b), (wanted, wanted_b) = (
        rows_and_target(whole, Pair(net)),
        rows_and_target(parts, net),
    )
    np.testing.assert_allclose(b, wanted_b, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(rows, wanted, rtol=1e-12, atol=1e-13)
    free, _ = rows_and_target(whole, Pair(net), matrix_free=True)
    np.testing.assert_allclose(free, wanted, rtol=1e-12, atol=1e-12)
    masses = [float(jnp.sum(m)) for m in whole.point_losses(Pair(net), whole.batch())]
    assert sum(masses) == pytest.approx(float(loss), rel=1e-14)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("engd-tr", {}), pytest.param("engd-w", {"damping": 1e-3}, marks=pytest.mark.slow)],
)
def test_a_step_is_that_of_two_real_problems(name, settings):
    optimizer, net = optimizers.get(name, **settings), network()

    def after(objective, model):
        batch = objective.batch()
        state = optimizer.init(model, objective, batch)
        step = eqx.filter_jit(optimizer.step)
        return step(model, state, objective, batch, key=jax.random.key(1))[0]

    one, other = after(helmholtz(), Pair(net)), after(by_hand(), net)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_a_complex_problem_trains_to_a_small_error_that_is_estimated():
    model = Pair(network(width=12))
    result = train(helmholtz(14), model, optimizers.get("engd-tr"), steps=60, key=jax.random.key(1))
    points = GaussLegendre(LINE, 40).quadrature()
    assert relative_l2(result.model, wave, points) < 1e-5
    assert relative_h1(result.model, wave, points) < 1e-4
    estimate = estimate_error(helmholtz(14), result.model)
    assert estimate.relative_l2 < 1e-4


@pytest.mark.slow
def test_the_checks_of_a_complex_problem_pass():
    checks = verify(helmholtz(), Pair(network()), key=jax.random.key(2))
    assert all(check.passed for check in checks), checks


def test_errors_of_complex_functions():
    points = GaussLegendre(LINE, 12).quadrature()
    x, w = np.asarray(points.points[:, 0]), np.asarray(points.weights)

    def off(x):
        return wave(x) + imaginary(1e-3 * jnp.cos(K * x[0]))

    part = np.sum(w * np.cos(K * x) ** 2)
    assert relative_l2(off, wave, points) == pytest.approx(1e-3 * part**0.5, rel=1e-9)
    slope = K**2 * np.sum(w * np.sin(K * x) ** 2)
    expected = 1e-3 * ((part + slope) / (1 + K**2)) ** 0.5
    assert relative_h1(off, wave, points) == pytest.approx(expected, rel=1e-9)
    assert relative_l2(lambda x: jnp.cos(K * x[0]), wave, points) > 0.1


SQUARE = (jnp.array([0.3, 0.7]), lambda x: turn(2 * x[0]) * plain(jnp.exp(x[0]) * x[1] ** 2))


@pytest.mark.slow
def test_derivatives_of_a_complex_function():
    x, u = SQUARE
    grown, c = u(x), 1 + 2j
    slopes = [c * grown, 2 * grown / plain(x[1])]
    np.testing.assert_allclose(gradient(u)(x), slopes, rtol=1e-13)
    second = c**2 * grown + 2 * grown / plain(x[1] ** 2)
    for method in ("forward", "hessian", "jet"):
        np.testing.assert_allclose(laplacian(u, method)(x), second, rtol=1e-12)
    both = gradient(lambda y: jnp.stack([u(y), 1j * u(y)]))(x)
    np.testing.assert_allclose(both[1], 1j * both[0], rtol=1e-13)
    found = divergence(lambda y: jnp.stack([u(y), 1j * u(y)]))(x)
    np.testing.assert_allclose(found, slopes[0] + 1j * slopes[1], rtol=1e-13)


def test_complex_and_real_equations_in_one_list():
    rule = GaussLegendre(LINE, 4)
    objective = ResidualObjective([Residual(lambda u, x: [u(x), u(x).real, 2], rule)])
    assert objective.residuals(Pair(network()), objective.batch())[0].shape == (4, 6)


def test_weights_of_complex_components_weigh_both_parts():
    rule = GaussLegendre(LINE, 4)
    terms = [Residual(lambda u, x: [u(x), 1j * u(x)], rule, w) for w in ([2.0, 3.0], 1.0)]
    heavy, plain = (ResidualObjective([term]) for term in terms)
    u = Pair(network())
    ratio = heavy.loss(u, heavy.batch()) / plain.loss(u, plain.batch())
    assert float(ratio) == pytest.approx(2.5, rel=1e-13)


def misfit(state):
    data = turn(jnp.arange(4.0))
    return StateMisfit(state, lambda rho: (rho - data) * GRID.cell_volume**0.5)


STATES = {
    "wide": (ExplicitState(GRID, lambda m: turn(m[:4]) * plain(m[4])), jnp.arange(1.0, 6.0)),
    "tall": (ExplicitState(GRID, lambda m: plain(m[0]) * turn(m[1] * GRID.points[:, 0])), None),
    "pointwise": (PointwiseState(GRID, lambda m, x: turn(m[0] * x[0]) + plain(m[1])), None),
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("matrix_free", [False, True])
def test_the_misfit_of_a_complex_state_is_gauss_newton(name, matrix_free):
    state, model = STATES[name]
    model = jnp.array([1.5, 0.5]) if model is None else model
    objective = misfit(state)
    system = objective.system(model, (), matrix_free=matrix_free)
    values = objective.residual(state(model))
    expected = jax.jacfwd(lambda m: objective.residual(state(m)))(model)
    assert values.shape == (8,)
    assert values.dtype == jnp.float64
    np.testing.assert_allclose(system.operator.as_matrix(), expected, rtol=1e-12, atol=1e-13)
    squares = jnp.sum(jnp.abs(objective.functional(state(model))) ** 2)
    assert float(objective.loss(model, ())) == pytest.approx(0.5 * float(squares), rel=1e-13)


def test_a_state_metric_refuses_a_complex_state():
    state, model = STATES["wide"]
    with pytest.raises(ValueError, match="measures real states"):
        Sobolev(1.0).system(misfit(state), model, ())


@pytest.mark.parametrize("kind", [Smoothness, TotalVariation])
def test_a_penalty_of_a_complex_field_is_that_of_its_parts(kind):
    grid = Grid(Box((0.0, 0.0), (1.0, 2.0)), (5, 4))
    m = jax.random.normal(jax.random.key(0), (2, *grid.shape))
    penalty = kind(lambda q: jax.lax.complex(q[0], q[1]), grid, 0.7)
    value, slope = jax.value_and_grad(penalty.value)(m)
    residual, pull = jax.vjp(penalty.residual, m)
    np.testing.assert_allclose(pull(residual)[0], slope, rtol=1e-12, atol=1e-14)
    if kind is Smoothness:
        parts = [kind(lambda q, i=i: q[i], grid, 0.7).value(m) for i in (0, 1)]
        assert float(value) == pytest.approx(float(parts[0] + parts[1]), rel=1e-13)


class Turned(eqx.Module):
    """A layer between complex factors."""

    layer: eqx.nn.Linear

    def __call__(self, x):
        return plain(self.layer.weight) @ turn(x) + imaginary(self.layer.bias)


@pytest.mark.parametrize("matrix_free", [False, True])
@pytest.mark.slow
def test_regression_of_complex_targets(matrix_free):
    model = Turned(eqx.nn.Linear(2, 3, key=jax.random.key(0)))
    x = jax.random.normal(jax.random.key(1), (5, 2))
    y = turn(jax.random.normal(jax.random.key(2), (5, 3)))
    objective = ClassificationObjective(Shuffled(x, y), loss="squared")
    batch = objective.batch()
    objective.check(model, batch)
    errors = jax.vmap(model)(x) - y
    expected = 0.5 * float(jnp.mean(jnp.sum(jnp.abs(errors) ** 2, axis=1)))
    assert float(objective.loss(model, batch)) == pytest.approx(expected, rel=1e-13)
    system = objective.system(model, batch, matrix_free=matrix_free)
    back, wanted = system.operator.T.mv(system.target), objective.gradient(model, batch)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def refuse_softmax():
    model = Turned(eqx.nn.Linear(2, 3, key=jax.random.key(0)))
    objective = ClassificationObjective(Shuffled(jnp.ones((2, 2)), jnp.array([0, 1])))
    objective.check(model, objective.batch())


def refuse_density():
    term = Energy(lambda _, f: imaginary(f[0]), GaussLegendre(LINE, 2))
    objective = EnergyObjective([term])
    objective.loss(lambda x: x[0], objective.batch())


def refuse_features():
    objective = EnergyObjective([Energy(lambda _, f: jnp.abs(f[0]), GaussLegendre(LINE, 2))])
    objective.loss(wave, objective.batch())


def refuse_functional():
    sampled = SampleObjective(
        lambda m, z: m * z, jnp.ones((2, 1)), lambda xs: imaginary(jnp.sum(xs))
    )
    sampled.loss(jnp.ones(1), sampled.batch())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (refuse_softmax, "SoftmaxCrossEntropy does not take"),
        (refuse_density, "`density` of the term 'energy' returns complex128"),
        (refuse_features, "are complex: let them return real and imaginary parts"),
        (refuse_functional, "must be one real number"),
    ],
)
def test_what_has_no_complex_meaning_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
