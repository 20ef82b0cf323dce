"""Quadrature: exactness, orders of convergence, the divergence theorem, and the paper's points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.geometry.calculus import divergence
from pinn_ngd.geometry.domains import Box, Interval, SpaceTime
from pinn_ngd.geometry.quadrature import (
    Equispaced,
    GaussLegendre,
    Halton,
    LatinHypercube,
    MonteCarlo,
    Quadrature,
    Sobol,
    Trapezoid,
)

SQUARE = Box((0, 0), (1, 1))
BOX = Box((0, -1, 2), (1, 1, 2.5))
CYLINDER = SpaceTime(Interval(0, 2), Interval(-1, 1))
REGIONS = {
    "interval": Interval(-1, 2),
    "ends": Interval(-1, 2).boundary(),
    "box": BOX,
    "box boundary": BOX.boundary(),
    "cylinder": CYLINDER,
    "lateral": CYLINDER.lateral(),
    "initial": CYLINDER.initial(),
}
RULES = {
    "gauss": lambda region: GaussLegendre(region, 3),
    "trapezoid": lambda region: Trapezoid(region, 3),
    "equispaced": lambda region: Equispaced(region, 4),
    "equispaced both": lambda region: Equispaced(region, 4, ends="both"),
    "monte carlo": lambda region: MonteCarlo(region, 37),
    "sobol": lambda region: Sobol(region, 37),
    "halton": lambda region: Halton(region, 37),
    "latin": lambda region: LatinHypercube(region, 37, resampled=True),
    "sobol resampled": lambda region: Sobol(region, 32, resampled=True),
}


def apply(quadrature, fn):
    """The sum in NumPy, to keep the tests free of compilation."""
    return np.dot(quadrature.weights, fn(np.asarray(quadrature.points)))


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
@pytest.mark.parametrize("make", RULES.values(), ids=RULES)
def test_points_lie_in_the_region_and_weights_sum_to_its_measure(make, region, key):
    quadrature = make(region).quadrature(key)
    assert quadrature.points.dtype == quadrature.weights.dtype == jnp.float64
    assert quadrature.points.shape == (quadrature.weights.size, region.dimension)
    assert np.all(quadrature.weights > 0)
    assert np.all(region.contains(quadrature.points))
    np.testing.assert_allclose(quadrature.weights.sum(), region.measure, rtol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_gauss_is_exact_to_degree_2n_minus_1_and_no_further(n):
    quadrature = GaussLegendre(Interval(-1, 2), n).quadrature()

    def error(degree):
        exact = (2.0 ** (degree + 1) - (-1.0) ** (degree + 1)) / (degree + 1)
        return abs(apply(quadrature, lambda x: x[:, 0] ** degree) - exact) / abs(exact)

    assert max(error(degree) for degree in range(2 * n)) < 1e-13
    # The error of degree 2 n is (b - a)^(2n+1) (n!)^4 / ((2n+1) ((2n)!)^2), far above rounding.
    assert error(2 * n) > 1e-8


def test_gauss_takes_a_count_for_every_axis():
    quadrature = GaussLegendre(BOX, (1, 2, 3)).quadrature()
    assert quadrature.points.shape == (6, 3)
    # Degrees 1, 3 and 5 in the three variables are exact (shift the second to avoid a zero).
    value = apply(quadrature, lambda x: x[:, 0] * (x[:, 1] + 1) ** 3 * x[:, 2] ** 5)
    assert value == pytest.approx(0.5 * 4 * (2.5**6 - 2.0**6) / 6, rel=1e-13)
    sizes = [
        GaussLegendre(face, (1, 2, 3)).quadrature().weights.size for face in BOX.boundary().faces
    ]
    assert sizes == [6, 6, 3, 3, 2, 2]


def test_gauss_on_the_boundary_of_an_interval_is_two_points():
    quadrature = GaussLegendre(Interval(-1, 2).boundary(), 5).quadrature()
    np.testing.assert_array_equal(quadrature.points, [[-1.0], [2.0]])
    np.testing.assert_array_equal(quadrature.weights, [1.0, 1.0])


@pytest.mark.parametrize("domain", [Interval(-1, 2), BOX], ids=["1d", "3d"])
def test_divergence_theorem(domain):
    powers = np.arange(1, domain.dimension + 1)

    def field(x):
        cubic = jnp.sum(x) ** 2 + jnp.prod(x) * x[0]
        return jnp.asarray(powers, dtype=x.dtype) * cubic + x**3

    boundary = domain.boundary()
    volume, surface = (GaussLegendre(region, 4).quadrature() for region in (domain, boundary))
    inside = jax.jit(lambda: volume.integrate(divergence(field)))()
    outward = jax.jit(lambda: surface.integrate(lambda x: field(x) @ boundary.normal_at(x)))()
    assert abs(float(inside)) > 0.1
    np.testing.assert_allclose(outward, inside, rtol=1e-12)


def test_trapezoid_is_of_second_order():
    exact = (np.e - 1) ** 2
    errors = [
        apply(Trapezoid(SQUARE, n).quadrature(), lambda x: np.exp(x.sum(axis=1))) - exact
        for n in (9, 17, 33)
    ]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 2.0, atol=0.02)


def test_trapezoid_is_exact_for_multilinear_functions():
    quadrature = Trapezoid(SQUARE, 2).quadrature()
    assert apply(quadrature, lambda x: 1 + x[:, 0] * x[:, 1]) == pytest.approx(1.25, rel=1e-14)


def test_paper_points_poisson_interior():
    quadrature = Equispaced(SQUARE, 28).quadrature()
    line = np.linspace(0, 1, 30)[1:-1]
    expected = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(quadrature.points, expected)
    np.testing.assert_allclose(quadrature.weights, np.full(784, 1 / 784), rtol=1e-14)


def test_paper_points_poisson_boundary_has_each_corner_once():
    quadrature = Equispaced(SQUARE.boundary(), 29, ends="left").quadrature()
    points = np.asarray(quadrature.points)
    assert points.shape == (116, 2)
    np.testing.assert_allclose(quadrature.weights, np.full(116, 4 / 116), rtol=1e-14)
    assert len(np.unique(points.round(12), axis=0)) == 116
    corner = np.isin(points, [0.0, 1.0]).all(axis=1)
    assert sorted(map(tuple, points[corner])) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for axis, value in [(0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0)]:
        side = np.sort(points[points[:, axis] == value, 1 - axis])
        np.testing.assert_allclose(side, np.linspace(0, 1, 30), atol=1e-15)


def test_paper_points_heat():
    cylinder = SpaceTime(Interval(0, 1), Interval(0, 1))
    assert Equispaced(cylinder, 28).quadrature().points.shape == (784, 2)
    line = np.linspace(0, 1, 31)[1:-1]
    initial = Equispaced(cylinder.initial(), 29).quadrature()
    np.testing.assert_array_equal(initial.points, np.stack([0 * line, line], axis=1))
    lateral = Equispaced(cylinder.lateral(), 29).quadrature()
    sides = [np.stack([line, 0 * line + side], axis=1) for side in (0.0, 1.0)]
    np.testing.assert_array_equal(lateral.points, np.concatenate(sides))
    for weights in (initial.weights, lateral.weights):
        np.testing.assert_allclose(weights, 1 / 29, rtol=1e-14)


def test_ends_of_equispaced_points():
    def line(ends):
        return Equispaced(Interval(0, 1), 4, ends=ends).quadrature().points[:, 0]

    np.testing.assert_allclose(line("none"), [0.2, 0.4, 0.6, 0.8], rtol=1e-14)
    np.testing.assert_allclose(line("left"), [0.0, 0.25, 0.5, 0.75], rtol=1e-14)
    np.testing.assert_allclose(line("both"), [0.0, 1 / 3, 2 / 3, 1.0], rtol=1e-14)


@pytest.mark.parametrize("region", [SQUARE, SQUARE.boundary()], ids=["square", "boundary"])
def test_monte_carlo_error_decays_like_the_square_root(region):
    oracle = GaussLegendre(region, 10).quadrature()

    def function(x):
        return np.exp(x[:, 0]) + x[:, 1] ** 2

    def deviation(n):
        rule = MonteCarlo(region, n)
        values = [apply(rule.quadrature(jax.random.key(s)), function) for s in range(40)]
        return np.sqrt(np.mean((np.asarray(values) - apply(oracle, function)) ** 2))

    # 64 times the points: the error falls by 8; forty samples know it to about 16 percent each.
    assert 4.5 < deviation(64) / deviation(4096) < 14


def test_sobol_is_much_better_than_square_root():
    def function(x):
        return np.exp(x.sum(axis=1))

    def deviation(n):
        rules = [Sobol(SQUARE, n, seed=seed) for seed in range(10)]
        values = np.asarray([apply(rule.quadrature(), function) for rule in rules])
        return np.sqrt(np.mean((values - (np.e - 1) ** 2) ** 2))

    assert deviation(64) / deviation(4096) > 64


@pytest.mark.parametrize("rule", [MonteCarlo, Sobol])
def test_shares_of_the_faces_follow_their_measure(rule, key):
    boundary = Box((0, 0), (1, 3)).boundary()
    for n, expected in [(16, [6, 6, 2, 2]), (17, [7, 6, 2, 2]), (4, [1, 1, 1, 1])]:
        quadrature = rule(boundary, n).quadrature(key)
        assert len(quadrature.weights) == n
        first = np.cumsum([0, *expected[:-1]])
        per_face = np.add.reduceat(np.asarray(quadrature.weights), first)
        np.testing.assert_allclose(per_face, [3, 3, 1, 1], rtol=1e-14)


@pytest.mark.parametrize("rule", [MonteCarlo, Sobol])
def test_resampling_follows_the_key(rule):
    one, two = jax.random.key(1), jax.random.key(2)
    moving = rule(SQUARE, 8, resampled=True)
    assert moving.resampled
    np.testing.assert_array_equal(moving.quadrature(one).points, moving.quadrature(one).points)
    assert not np.allclose(moving.quadrature(one).points, moving.quadrature(two).points)
    fixed = rule(SQUARE, 8, seed=3, resampled=False)
    assert not fixed.resampled
    np.testing.assert_array_equal(fixed.quadrature().points, fixed.quadrature(two).points)
    other = rule(SQUARE, 8, seed=4, resampled=False)
    assert not np.allclose(fixed.quadrature().points, other.quadrature().points)


def test_deterministic_rules_are_not_resampled_and_monte_carlo_draws_under_jit(key):
    assert not any(rule(SQUARE, 2).resampled for rule in (GaussLegendre, Trapezoid, Equispaced))
    assert MonteCarlo(SQUARE, 2).resampled
    assert not Sobol(SQUARE, 2).resampled
    rule = MonteCarlo(SQUARE, 8)
    drawn = jax.jit(lambda k: rule.quadrature(k).points)(key)
    np.testing.assert_allclose(drawn, rule.quadrature(key).points, rtol=1e-14)


def test_integrate_vectors():
    quadrature = Quadrature(jnp.asarray([[0.0], [1.0]]), jnp.asarray([0.5, 2.0]))
    value = quadrature.integrate(lambda x: jnp.stack([x[0], 1.0 + x[0]]))
    np.testing.assert_allclose(value, [2.0, 4.5])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: GaussLegendre(SQUARE, 0), "`n` = 0 is too small.*n >= 1"),
        (lambda: GaussLegendre(SQUARE, (3, 3, 3)), "`n` = .* one entry for every axis"),
        (lambda: Trapezoid(SQUARE, 1), "n >= 2"),
        (lambda: Equispaced(SQUARE, 1, ends="both"), "n >= 2"),
        (lambda: Equispaced(BOX.boundary(), 3, ends="left"), "Take ends='none'"),
        (lambda: MonteCarlo(SQUARE, 0), "`n` = 0 points.*n >= 1"),
        (lambda: Sobol(SQUARE.boundary(), 3), "`n` = 3 points.*n >= 4"),
        (lambda: MonteCarlo(SQUARE, 5).quadrature(), "`key` is missing.*resampled=False"),
        (lambda: Sobol(SQUARE, 5, resampled=True).quadrature(), "`key` is missing"),
    ],
)
def test_errors_name_the_cause_and_the_cure(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_a_latin_hypercube_has_one_point_in_every_slice(key):
    points = LatinHypercube(SQUARE, 17, resampled=True).quadrature(key).points
    for column in np.asarray(points).T:
        np.testing.assert_array_equal(np.sort(np.floor(17 * column)), np.arange(17))


def test_halton_is_much_better_than_square_root_and_grows():
    rule = Halton(SQUARE, 1000)
    points = rule.quadrature().points
    value = apply(rule.quadrature(), lambda x: np.exp(x.sum(axis=1)))
    assert abs(value - (np.e - 1) ** 2) < 0.1 * 1000**-0.5
    np.testing.assert_array_equal(rule.grown(1.5).quadrature().points[:1000], points)


def test_sobol_says_that_it_cannot_be_traced(key):
    rule = Sobol(SQUARE, 4, resampled=True)
    with pytest.raises(ValueError, match=r"outside `jax\.jit`"):
        jax.jit(lambda k: rule.quadrature(k).points)(key)
