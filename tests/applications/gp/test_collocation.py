"""Linear equations by conditioning: closed forms, solutions, calibrated error bars."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pinn_ngd import laplacian
from pinn_ngd.applications import gp
from pinn_ngd.applications.gp.collocation import _block

LENGTH = 0.3
KERNEL = gp.RBF(LENGTH)
ENDS = np.asarray([[0.0], [1.0]])


_compiled = eqx.filter_jit(_block)


def value(u, x):
    return u(x)


def equation(u, x):
    return -laplacian(u)(x)


def slope(u, x):
    return jax.grad(u)(x)[0]


def _rod(points, noise=0.0, ends=(0.0, 0.0)):
    """-u'' = pi^2 sin(pi x) on (0, 1) with values at the ends."""
    x = np.linspace(0.0, 1.0, points)[:, None]
    source = np.pi**2 * np.sin(np.pi * x[:, 0])
    return [gp.Observation(equation, x, source), gp.Observation(value, ENDS, ends, noise)]


def test_covariances_of_derivatives_are_those_of_hermite_polynomials():
    """d^4/dx^2 dy^2 exp(-r^2/2) = He_4(r) exp(-r^2/2) / length^4, and -He_2 for one of them."""
    x = jnp.asarray([[0.1], [0.5], [0.6]])
    second, zeroth = (gp.Observation(fn, x, jnp.zeros(3)) for fn in (equation, value))
    r = (x - x.T) / LENGTH
    bell = np.exp(-(r**2) / 2)
    twice = (r**4 - 6 * r**2 + 3) * bell / LENGTH**4
    np.testing.assert_allclose(_compiled(KERNEL, second, second), twice, rtol=1e-11, atol=1e-9)
    once = -(r**2 - 1) * bell / LENGTH**2
    np.testing.assert_allclose(_compiled(KERNEL, second, zeroth), once, rtol=1e-12, atol=1e-12)


def test_values_alone_are_regression():
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.uniform(size=(8, 1))), jnp.asarray(rng.normal(size=8))
    kernel = gp.Matern32(0.4)
    found = gp.condition(kernel, [gp.Observation(value, x, y, 0.3)], jitter=0.0)
    other = jnp.linspace(0, 1, 5)[:, None]
    ask = eqx.filter_jit(lambda model: (model.log_evidence(), model.marginals(other)))
    evidence, marginals = ask(gp.GPR(kernel, x, y, 0.09, 0.0))
    np.testing.assert_allclose(ask(found)[0], evidence, rtol=1e-12)
    for a, b in zip(ask(found)[1], marginals, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_a_solution_converges_and_its_error_bar_with_it():
    grid = jnp.linspace(0, 1, 33)[:, None]
    errors, bars = [], []
    for points in (6, 8, 10):
        mean, variance = gp.condition(KERNEL, _rod(points)).marginals(grid)
        errors.append(float(jnp.max(jnp.abs(mean - jnp.sin(jnp.pi * grid[:, 0])))))
        bars.append(float(jnp.sqrt(jnp.max(variance))))
    assert errors[-1] < 1e-4
    assert errors[2] < errors[1] / 5 < errors[0] / 25
    assert bars[2] < bars[1] / 5 < bars[0] / 25


@pytest.mark.slow
def test_noise_at_the_ends_makes_the_error_bars_of_straight_lines():
    """The equation leaves a + b x open: with known f the deviation is that of interpolated noise,
    sigma sqrt((1 - x)^2 + x^2), and the means of many repetitions are as wide as it says."""
    sigma = 0.02
    grid = jnp.asarray([[0.25], [0.5], [0.9]])
    rng = np.random.default_rng(0)
    drawn = sigma * rng.normal(size=(2000, 2))
    found = gp.condition(KERNEL, _rod(14, sigma, drawn[0]))
    x = np.asarray(grid[:, 0])
    expected = sigma * np.sqrt((1 - x) ** 2 + x**2)
    np.testing.assert_allclose(np.sqrt(found.marginals(grid)[1]), expected, rtol=0.02)
    base, left, right = (  # the mean is linear in the values at the ends
        np.asarray(gp.condition(KERNEL, _rod(14, sigma, ends)).marginals(grid)[0])
        for ends in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    )
    means = base + drawn @ np.stack([left - base, right - base])
    scores = (means - np.sin(np.pi * x)) / expected
    assert abs(np.mean(np.abs(scores) < 1.96) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 2000)
    assert stats.kstest(scores[:, 1], "norm").pvalue > 1e-3


@pytest.mark.slow
def test_the_mean_is_a_function_that_can_be_differentiated():
    u = gp.condition(KERNEL, _rod(14))
    x = jnp.asarray([0.37])
    np.testing.assert_allclose(jax.grad(u)(x)[0], np.pi * np.cos(np.pi * 0.37), rtol=1e-4)


def test_whole_numbers_are_taken_as_floating_point_ones():
    found = gp.Observation(value, [[0], [1], [2]], [1, 3, 2], 0.3)
    np.testing.assert_array_equal(found.deviation, [0.3, 0.3, 0.3])
    assert found.points.dtype == found.values.dtype == jnp.float64


@pytest.mark.parametrize("kind", [gp.Matern32, gp.Matern52])
def test_covariances_of_derivatives_of_matern_kernels(kind):
    """-D^2 k = 3 (1 - a) exp(-a) / l^2 of slopes, D^4 k = 25/3 (3 - 5 a + a^2) exp(-a) / l^4 of
    second derivatives, at distance zero too."""
    x = jnp.asarray([[0.1], [0.5], [0.6]])
    fn = slope if kind is gp.Matern32 else equation
    one = gp.Observation(fn, x, jnp.zeros(3))
    found = _compiled(kind(LENGTH), one, one)
    a = np.sqrt(3 if kind is gp.Matern32 else 5) * np.abs(np.asarray(x - x.T)) / LENGTH
    slopes = 3 * (1 - a) / LENGTH**2
    seconds = 25 / 3 * (3 - 5 * a + a**2) / LENGTH**4
    expected = (slopes if kind is gp.Matern32 else seconds) * np.exp(-a)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


FUNCTIONALS = {  # what is wrong with a kernel or a functional, and what is said of it
    "data in it": (KERNEL, lambda u, x: u(x) - 1.0, "observation 2 is not linear in u: leave the"),
    "square": (KERNEL, lambda u, x: u(x) ** 2, "observation 2 is not linear in u"),
    "modulus": (KERNEL, lambda u, x: jnp.abs(u(x)), "observation 2 is not linear in u"),
    "none": (gp.Matern32(LENGTH), equation, "observation 2 has no positive prior variance"),
    "rough": (gp.Matern12(LENGTH), lambda u, x: u(x) + slope(u, x),
              "kernel lacks the derivatives of observation 2: take `RBF`"),
    "third": (gp.Matern32(LENGTH), lambda u, x: u(x) + equation(u, x),
              "kernel lacks the derivatives of observation 2: take `RBF`"),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONALS)
def test_functionals_that_have_no_covariance_are_refused(name):
    kernel, fn, message = FUNCTIONALS[name]
    observations = [gp.Observation(f, ENDS, np.zeros(2), 0.1) for f in (value, fn)]
    with pytest.raises(ValueError, match=message):
        gp.condition(kernel, observations)


def test_a_kernel_of_white_noise_has_values():
    """Its own jump at distance zero is no missing derivative: the variance is that of both."""

    def white(x, y):
        return 0.5 * jnp.all(x == y).astype(x.dtype)

    one = gp.Observation(value, ENDS, np.asarray([1.0, 2.0]))
    found = gp.condition(gp.RBF(0.01) + white, [one], jitter=0.0)
    mean, _ = eqx.filter_jit(type(found).marginals)(found, jnp.asarray(ENDS) + 1e-9)
    np.testing.assert_allclose(mean, [1 / 1.5, 2 / 1.5], rtol=1e-9)


def test_float32_is_named_as_the_cause():
    x = np.linspace(0, 1, 8, dtype=np.float32)[:, None]
    one = gp.Observation(value, x, np.zeros(8, np.float32))
    with pytest.raises(ValueError, match=r"^in float32 a jitter below 1e-6 is lost: call `jax"):
        gp.condition(gp.RBF(2.0), [one])


def test_what_cannot_be_is_refused():
    for deviation in (-0.1, [0.1, np.nan], [0.1, 0.2, 0.3]):
        with pytest.raises(ValueError, match="one number from 0 or one for each value"):
            gp.Observation(value, ENDS, np.zeros(2), deviation)
    with pytest.raises(ValueError, match="must be finite"):
        gp.Observation(value, ENDS, [0.0, np.inf])
    with pytest.raises(ValueError, match="give at least one `Observation`"):
        gp.condition(KERNEL, [])
    twice = gp.Observation(value, np.concatenate([ENDS, ENDS]), np.zeros(4))
    with pytest.raises(ValueError, match="two of them say the same"):
        gp.condition(KERNEL, [twice], jitter=0.0)
    with pytest.raises(ValueError, match="one value for each"):
        gp.Observation(value, ENDS, np.zeros(3))
