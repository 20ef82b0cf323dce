"""The statistics of the device against closed forms and against thermox.

Keys are fixed; tolerances are five standard errors of the estimate where sampling is involved.
"""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

from pinn_ngd.linalg import gram
from pinn_ngd.spu import SPU, Diffrax, EulerMaruyama, TimeAverage
from pinn_ngd.spu.filters import (
    average_variance,
    decay_mean,
    end_variance,
    joint_factor,
    mean_settled,
    read_out_variance,
    scheme_variance,
    settled,
)
from pinn_ngd.spu.spectra import DenseSpectrum, probe, spectrum_of

SAMPLES = 4000
VALUES = np.array([0.2, 0.9, 2.0, 5.0])


@pytest.fixture(scope="module")
def vectors():
    return np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]


@pytest.fixture(scope="module")
def matrix(vectors):
    return (vectors * VALUES) @ vectors.T


@pytest.fixture(scope="module")
def draw(matrix):
    operator = lx.MatrixLinearOperator(jnp.asarray(matrix), lx.positive_semidefinite_tag)
    b = jnp.asarray([1.0, -2.0, 0.5, 3.0])

    def samples(**arguments):
        def one(key):
            solution = lx.linear_solve(operator, b, SPU(**arguments), options={"key": key})
            return solution.value, solution.stats["state"]

        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(7), SAMPLES))

    return samples, np.asarray(b)


def _agree(samples, mean, variances, vectors):
    """Mean and covariance in the eigenbasis, to five standard errors."""
    samples = np.asarray(samples) @ vectors
    scale = np.sqrt(variances)
    np.testing.assert_array_less(abs(samples.mean(0) - mean @ vectors), 5 * scale / SAMPLES**0.5)
    covariance = np.cov(samples.T)
    error = abs(covariance - np.diag(variances)) / np.outer(scale, scale)
    np.testing.assert_array_less(error, 5 * np.sqrt((1 + np.eye(4)) / SAMPLES))


def _mean(matrix, b, time):
    solution = np.linalg.solve(matrix, b)
    return solution + scipy.linalg.expm(-matrix * time) @ (b - solution)


def _average_mean(matrix, b, start, stop):
    solution, inverse = np.linalg.solve(matrix, b), np.linalg.inv(matrix)
    decay = scipy.linalg.expm(-matrix * start) - scipy.linalg.expm(-matrix * stop)
    return solution + inverse @ decay @ (b - solution) / (stop - start)


@pytest.mark.parametrize("a", [1e-9, 1e-3, 0.3, 0.9, 1.2, 30.0])
def test_filters_are_integrals_of_exponentials(a):
    t, quad = 1.3, lambda f: scipy.integrate.quad(f, 0, 1.3, epsabs=0, epsrel=1e-12)[0]

    def share(s):
        return -np.expm1(-a * s) / a

    modes = jnp.asarray([a])
    np.testing.assert_allclose(settled(modes, t)[0], share(t), rtol=1e-14)
    np.testing.assert_allclose(mean_settled(modes, t)[0], quad(share) / t, rtol=1e-13)
    variance = quad(lambda s: 2 * share(s) ** 2) / t**2
    np.testing.assert_allclose(average_variance(modes, t)[0], variance, rtol=1e-13)
    end, shared, own = (x[0] for x in joint_factor(modes, t))
    np.testing.assert_allclose(end**2, share(2 * t), rtol=1e-13)
    np.testing.assert_allclose(end * shared, share(t) ** 2 / t, rtol=1e-13)
    np.testing.assert_allclose(shared**2 + own**2, variance, rtol=1e-13)


def test_filters_are_finite_at_zero():
    zero = jnp.zeros(1)
    assert decay_mean(zero)[0] == 1
    assert settled(zero, 3.0)[0] == 3
    assert end_variance(zero, 3.0)[0] == 6
    np.testing.assert_allclose(mean_settled(zero, 3.0)[0], 1.5)
    np.testing.assert_allclose(average_variance(zero, 3.0)[0], 2.0)


def test_mean_and_covariance_are_those_of_thermox(matrix):
    conditional = pytest.importorskip("thermox").conditional
    b, temperature = jnp.asarray([1.0, -2.0, 0.5, 3.0]), 0.3
    solution, start = jnp.linalg.solve(matrix, b), jnp.asarray([0.0, 1.0, 2.0, -1.0])
    operator = lx.MatrixLinearOperator(jnp.asarray(matrix), lx.positive_semidefinite_tag)
    diffusion = 2 * temperature * jnp.eye(4)
    spectrum = spectrum_of(operator)
    for time in (0.2, 3.0):
        solver = SPU(time=time)
        value = lx.linear_solve(operator, b, solver, options={"y0": start}).value
        with jax.numpy_dtype_promotion("standard"):  # thermox mixes real and complex numbers
            arguments = time, start, jnp.asarray(matrix), solution, diffusion
            expected = conditional.mean(*arguments)
            covariance = conditional.covariance(time, jnp.asarray(matrix), diffusion)
        np.testing.assert_allclose(value, expected, rtol=1e-11)

        def noise(z, time=time):
            return spectrum.apply([lambda a: jnp.sqrt(temperature * end_variance(a, time))], z)[0]

        root = jax.vmap(noise)(jnp.eye(4))
        np.testing.assert_allclose(root @ root.T, covariance, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("simulation", ["exact", "lanczos"])
def test_end_sample(draw, matrix, vectors, simulation):
    samples, b = draw
    values, state = samples(time=1.5, temperature=0.1, simulation=simulation)
    _agree(values, _mean(matrix, b, 1.5), 0.1 * -np.expm1(-3 * VALUES) / VALUES, vectors)
    np.testing.assert_array_equal(values, state)


def test_time_average_and_end_have_their_joint_law(draw, matrix, vectors):
    samples, b = draw
    solver = {"time": 3.0, "temperature": 0.1, "read_out": TimeAverage(1.0)}
    values, ends = samples(**solver)
    inherited = -np.expm1(-2 * VALUES) / VALUES * (-np.expm1(-2 * VALUES) / (2 * VALUES)) ** 2
    fresh = np.asarray(average_variance(jnp.asarray(VALUES), 2.0))
    _agree(values, _average_mean(matrix, b, 1.0, 3.0), 0.1 * (inherited + fresh), vectors)
    _agree(ends, _mean(matrix, b, 3.0), 0.1 * -np.expm1(-6 * VALUES) / VALUES, vectors)
    # E[(x(3) - mean)(average - mean)] by quadrature of the covariance of the process.
    values, ends = np.asarray(values) @ vectors, np.asarray(ends) @ vectors
    for a, x, y in zip(VALUES, values.T, ends.T, strict=True):
        covariance = scipy.integrate.quad(
            lambda s, a=a: (np.exp(-a * (3 - s)) - np.exp(-a * (3 + s))) / a, 1, 3
        )[0]
        expected, found = 0.1 * covariance / 2, np.cov(x, y)
        assert abs(found[0, 1] - expected) < 5 * np.sqrt(2 * found[0, 0] * found[1, 1] / SAMPLES)


def test_variance_of_a_long_average(draw, vectors):
    """Started in equilibrium: 2 T / (w a^2) - 2 T (1 - exp(-a w)) / (w^2 a^3) over a window w."""
    samples, _ = draw
    values, _ = samples(time=140.0, temperature=0.1, read_out=TimeAverage(40.0))
    w = 100.0
    expected = 0.2 / (w * VALUES**2) + 0.2 * np.expm1(-VALUES * w) / (w**2 * VALUES**3)
    found = np.var(np.asarray(values) @ vectors, axis=0)
    np.testing.assert_allclose(found, expected, rtol=5 * np.sqrt(2 / SAMPLES))


def test_euler_maruyama_has_its_discrete_law(draw, matrix, vectors):
    """Mean x* + (I - h A)^n (b - x*) exactly, equilibrium covariance T A^-1 (I - h A / 2)^-1."""
    samples, b = draw
    step = {"time": 30.0, "simulation": EulerMaruyama(dt=0.3)}
    values, _ = samples(temperature=0.1, **step)
    solution = np.linalg.solve(matrix, b)
    power = np.linalg.matrix_power(np.eye(4) - 0.3 * matrix, 100)
    mean = solution + power @ (b - solution)
    _agree(values, mean, 0.1 / VALUES / (1 - 0.15 * VALUES), vectors)
    operator = lx.MatrixLinearOperator(jnp.asarray(matrix), lx.positive_semidefinite_tag)
    exact = lx.linear_solve(operator, jnp.asarray(b), SPU(**step)).value
    np.testing.assert_allclose(exact, mean, rtol=1e-12)


def test_time_average_of_euler_maruyama(draw, matrix, vectors):
    samples, b = draw
    solver = {"time": 3.0, "read_out": TimeAverage(1.0)}
    values, _ = samples(temperature=0.1, simulation=EulerMaruyama(0.01), **solver)
    operator = lx.MatrixLinearOperator(jnp.asarray(matrix), lx.positive_semidefinite_tag)

    def noiseless(dt):
        stepped = SPU(simulation=EulerMaruyama(dt), **solver)
        return lx.linear_solve(operator, jnp.asarray(b), stepped).value

    # Noise has mean zero in the scheme too; its own error is of first order in the step.
    found, mean = np.asarray(values) @ vectors, np.asarray(noiseless(0.01)) @ vectors
    np.testing.assert_array_less(abs(found.mean(0) - mean), 5 * found.std(0, ddof=1) / SAMPLES**0.5)
    errors = [np.abs(noiseless(h) - _average_mean(matrix, b, 1.0, 3.0)) for h in (0.01, 0.005)]
    np.testing.assert_allclose(errors[0] / errors[1], 2.0, rtol=0.05)
    variance = 0.1 * read_out_variance(jnp.asarray(VALUES), 3.0, 1.0, True)
    np.testing.assert_allclose(found.var(0), variance, rtol=5 * np.sqrt(2 / SAMPLES))


@pytest.mark.slow
def test_colored_noise_warms_stiff_modes_less(draw, vectors):
    """A force of correlation time c leaves the variance T / (a (1 + a c)), here of finite steps."""
    samples, _ = draw
    h = 0.02
    colored = EulerMaruyama(h, correlation_time=0.5)
    values, _ = samples(time=30.0, temperature=0.1, simulation=colored)
    found = np.var(np.asarray(values) @ vectors, axis=0)
    # x' = (1 - h a) x + h f, f' = keep f + ..., in equilibrium, with f of variance T / c.
    move, keep, force = 1 - h * VALUES, np.exp(-h / 0.5), 0.1 / 0.5
    shared = keep * h * force / (1 - keep * move)
    expected = (h**2 * force + 2 * move * h * shared) / (1 - move**2)
    np.testing.assert_allclose(found, expected, rtol=5 * np.sqrt(2 / SAMPLES))
    limit = 0.1 / (VALUES * (1 + 0.5 * VALUES))
    np.testing.assert_array_less(abs(expected / limit - 1), h * VALUES)


@pytest.mark.slow
def test_inertia_changes_the_way_but_not_the_equilibrium(draw, vectors):
    pytest.importorskip("diffrax")
    samples, _ = draw
    values, _ = samples(time=30.0, temperature=0.1, simulation=Diffrax(0.05, inertia=0.3))
    found = np.var(np.asarray(values) @ vectors, axis=0)
    np.testing.assert_allclose(found, 0.1 / VALUES, rtol=5 * np.sqrt(2 / SAMPLES))


def test_underdamped_mean(matrix):
    pytest.importorskip("diffrax")
    operator = lx.MatrixLinearOperator(jnp.asarray(matrix), lx.positive_semidefinite_tag)
    b = np.array([1.0, -2.0, 0.5, 3.0])
    solver = SPU(time=2.0, simulation=Diffrax(inertia=0.5))
    value = lx.linear_solve(operator, jnp.asarray(b), solver).value
    zero, eye = np.zeros((4, 4)), np.eye(4)
    system = np.block([[zero, eye], [-matrix / 0.5, -eye / 0.5]])
    solution = np.linalg.solve(matrix, b)
    start = np.concatenate([b - solution, np.zeros(4)])
    expected = solution + (scipy.linalg.expm(2.0 * system) @ start)[:4]
    np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("read_out", ["end", TimeAverage(1.0)])
@pytest.mark.parametrize("simulation", ["exact", "lanczos", EulerMaruyama(0.13)])
def test_standard_errors_are_those_of_many_repeats(draw, matrix, simulation, read_out):
    """Steps of a third of the stability limit, whose noise is far from that of the process."""
    samples, b = draw
    solver = {"time": 3.0, "temperature": 0.1, "read_out": read_out, "simulation": simulation}
    values, _ = samples(**solver)
    operator = lx.MatrixLinearOperator(jnp.asarray(matrix), lx.positive_semidefinite_tag)
    stated = lx.linear_solve(
        operator, jnp.asarray(b), SPU(**solver), options={"key": jax.random.key(0)}
    ).stats["standard_error"]
    found = np.sqrt(np.mean(np.var(np.asarray(values), axis=0, ddof=1)))
    np.testing.assert_allclose(stated, found, rtol=5 / np.sqrt(2 * SAMPLES))


def test_the_variance_of_the_scheme_is_that_of_its_linear_map():
    """Every kick followed through, and the law of the process where the steps are small."""
    a, h, before, within = 0.7, 0.4, 3, 5
    steps = before + within
    map_ = np.zeros((steps + 1, steps))  # of the kicks to the deviations
    for i in range(steps):
        map_[i + 1] = (1 - h * a) * map_[i]
        map_[i + 1, i] += np.sqrt(2 * h)
    mean = (map_[before:-1] + map_[before + 1 :]).mean(0) / 2
    modes = jnp.asarray([a])
    np.testing.assert_allclose(scheme_variance(modes, h, before, within)[0], mean @ mean)
    end = map_[before] @ map_[before]
    np.testing.assert_allclose(scheme_variance(modes, h, before, 0)[0], end)
    fine = scheme_variance(jnp.asarray([0.0, 0.3, 2.0]), 1e-3, 1000, 2000)
    law = read_out_variance(jnp.asarray([0.0, 0.3, 2.0]), 3.0, 1.0, True)
    np.testing.assert_allclose(fine, law, rtol=3e-3)


def test_probe_finds_the_ends_and_the_trace(dense):
    values = np.geomspace(1e-2, 10, 300)
    vectors = np.linalg.qr(np.random.default_rng(1).normal(size=(300, 300)))[0]
    rows = np.sqrt(values)[:, None] * vectors.T
    nodes, weights = probe(gram(dense(jnp.asarray(rows))))
    np.testing.assert_allclose(nodes.max(), 10, rtol=1e-3)
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-12)
    np.testing.assert_allclose(weights @ nodes, values.mean(), rtol=0.2)
    nodes, weights = DenseSpectrum(jnp.asarray(values), jnp.asarray(vectors)).measure()
    np.testing.assert_allclose(weights @ nodes, values.mean(), rtol=1e-12)
