"""Relative errors against closed forms."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pinn_ngd.evaluation import errors as evaluation
from pinn_ngd.evaluation.errors import evaluator, relative_h1, relative_l2


class Points(NamedTuple):
    points: jax.Array
    weights: jax.Array


def gauss(n, dimension=1):
    """Tensor Gauss-Legendre points on the unit cube."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    grids = np.meshgrid(*[0.5 * (nodes + 1.0)] * dimension, indexing="ij")
    products = np.meshgrid(*[0.5 * weights] * dimension, indexing="ij")
    points = np.stack([grid.ravel() for grid in grids], axis=-1)
    return Points(jnp.asarray(points), jnp.asarray(np.prod(products, axis=0).ravel()))


class Wave(eqx.Module):
    """amplitude * prod_i sin(frequency * pi x_i)."""

    amplitude: jax.Array
    frequency: float = eqx.field(static=True, default=1.0)

    def __call__(self, x):
        return self.amplitude * jnp.prod(jnp.sin(self.frequency * jnp.pi * x))


def wave(amplitude, frequency=1.0):
    return Wave(jnp.asarray(amplitude), frequency)


EXACT = wave(1.0)


@pytest.mark.parametrize("eps", [1e-1, 1e-6])
@pytest.mark.parametrize("dimension", [1, 2])
def test_a_scaled_solution_has_its_scale_as_relative_error(eps, dimension):
    quadrature, u = gauss(6, dimension), wave(1.0 + eps)
    assert relative_l2(u, EXACT, quadrature) == pytest.approx(eps, rel=1e-8)
    assert relative_h1(u, EXACT, quadrature) == pytest.approx(eps, rel=1e-8)


def test_an_oscillating_error_is_larger_in_h1_by_the_closed_form():
    """With e = eps sin(k pi x): |e|^2 = eps^2/2 and |e'|^2 = eps^2 (k pi)^2/2 on (0, 1)."""
    eps, k, quadrature = 1e-3, 5.0, gauss(40)

    def u(x):
        return EXACT(x) + wave(eps, k)(x)

    ratio = np.sqrt((1 + (k * np.pi) ** 2) / (1 + np.pi**2))
    assert relative_l2(u, EXACT, quadrature) == pytest.approx(eps, rel=1e-10)
    assert relative_h1(u, EXACT, quadrature) == pytest.approx(eps * ratio, rel=1e-10)


def test_weights_decide():
    points = jnp.asarray([[0.5], [0.25]])
    quadrature = Points(points, jnp.asarray([1.0, 3.0]))
    error = relative_l2(lambda x: 1.0 + x[0], lambda x: 2.0 * x[0] ** 0, quadrature)
    assert error == pytest.approx(np.sqrt((0.25 + 3 * 0.5625) / (4 * 4.0)), rel=1e-14)


def test_vector_solutions_sum_over_components():
    def exact(x):
        return jnp.stack([x[0], 2.0 * x[0]])

    def u(x):
        return exact(x) + jnp.asarray([0.0, 1e-2]) * x[0]

    assert relative_l2(u, exact, gauss(4)) == pytest.approx(1e-2 / np.sqrt(5.0), rel=1e-12)
    assert relative_h1(u, exact, gauss(4)) == pytest.approx(1e-2 / np.sqrt(5.0), rel=1e-12)


def test_every_component_has_an_error_of_its_own():
    def exact(x):
        return jnp.stack([x[0], 2.0 * x[0], 0.0 * x[0]])

    def u(x):
        return exact(x) + jnp.asarray([1e-3, 1e-2, 1.0]) * x[0]

    both = [evaluator(exact, gauss(4), components=names)(u) for names in ((), ("u", "v", "p"))]
    # The third is zero: no error of it is relative to anything.
    assert [list(found) for found in both] == [
        ["relative_l2", "relative_l2_1", "relative_l2_2"],
        ["relative_l2", "relative_l2_u", "relative_l2_v"],
    ]
    expected = [np.sqrt((1.0 + 1e-4 + 1e-6) / 5), 1e-3, 5e-3]
    for found in both:
        assert list(found.values()) == pytest.approx(expected, rel=1e-12)


def test_components_of_complex_solutions_have_errors_of_moduli():
    def exact(x):
        return jnp.stack([lax.complex(x[0], 0 * x[0]), lax.complex(0 * x[0], x[0])])

    def u(x):
        return exact(x) * jnp.asarray([1 + 0.1j, 1.01])

    found = evaluator(exact, gauss(4))(u)
    assert found["relative_l2_1"] == pytest.approx(0.1, rel=1e-12)
    assert found["relative_l2_2"] == pytest.approx(0.01, rel=1e-10)
    assert found["relative_l2"] == pytest.approx(np.sqrt(0.01 + 1e-4) / np.sqrt(2), rel=1e-12)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("u",), "`components` are 1 names, and `exact` has 2 components"),
        (("u", "u"), "give every component a name of its own"),
        (("u", "v!"), "made of letters, digits and underscores"),
        ("uv", "give every component a name"),
    ],
)
def test_components_need_names_of_their_own(names, words):
    with pytest.raises(ValueError, match=words):
        evaluator(lambda x: jnp.stack([x[0], x[0]]), gauss(4), components=names)


def test_more_points_than_a_chunk_give_the_same_error(monkeypatch):
    monkeypatch.setattr(evaluation, "CHUNK", 4)
    assert relative_h1(wave(1.25), EXACT, gauss(11)) == pytest.approx(0.25, rel=1e-12)


def test_an_evaluator_compiles_once_and_agrees():
    traces = []

    class Counted(eqx.Module):
        amplitude: jax.Array

        def __call__(self, x):
            traces.append(1)
            return self.amplitude * EXACT(x)

    evaluate = evaluator(EXACT, gauss(6), h1=True)
    first = evaluate(Counted(jnp.asarray(1.1)))
    compiled = len(traces)
    second = evaluate(Counted(jnp.asarray(1.2)))
    assert len(traces) == compiled > 0
    assert first == pytest.approx({"relative_l2": 0.1, "relative_h1": 0.1})
    assert second == pytest.approx({"relative_l2": 0.2, "relative_h1": 0.2})
    assert set(evaluator(EXACT, gauss(6))(wave(1.0))) == {"relative_l2"}


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "report the absolute error"), (np.nan, r"`exact` is nan at the point \[")],
)
def test_a_zero_solution_has_no_relative_error(value, words):
    with pytest.raises(ValueError, match=words):
        relative_l2(EXACT, lambda x: value * x[0], gauss(4))


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"`model` gives shape \(1,\) and `exact` gives \(\)"):
        relative_l2(lambda x: x, lambda x: x[0], gauss(4))


def hosted(x):
    """A solution in plain NumPy, with a branch."""
    return np.sin(np.pi * x[0]) if x[1] > -1 else 0.0


def test_a_solution_written_with_numpy_is_run_by_python():

    def smooth(x):
        return jnp.sin(jnp.pi * x[0])

    assert relative_l2(smooth, hosted, gauss(4, 2)) < 1e-15
    off = relative_l2(lambda x: 1.1 * smooth(x), hosted, gauss(4, 2))
    assert off == pytest.approx(0.1, rel=1e-12)
    pair = relative_l2(
        lambda x: jnp.stack([x[0], x[1]]), lambda x: np.array([x[0], x[1]]), gauss(4, 2)
    )
    assert pair == 0
    with pytest.raises(ValueError, match="`exact` is written with NumPy"):
        relative_h1(smooth, hosted, gauss(4, 2))


@pytest.mark.parametrize(
    ("exact", "words"),
    [
        (lambda x: x[:, 0], r"`exact` indexes too much .* ONE point x of shape \(2,\)"),
        (lambda x: np.sin(x[:, 0]), "`exact` indexes too much"),
        (lambda x: x[2], "`exact` takes the entry 2 of an array of shape"),
        (lambda x: jnp.sqrt(x[0] - 0.5), r"`exact` is nan at the point \[0\.0"),
    ],
)
def test_what_is_no_solution_is_explained(exact, words):
    with pytest.raises(ValueError, match=words):
        relative_l2(EXACT, exact, gauss(4, 2))


def test_a_solution_that_is_no_function_is_explained():
    with pytest.raises(ValueError, match="`exact` is a float: give a function"):
        evaluation.Evaluator(3.0, gauss(4))
