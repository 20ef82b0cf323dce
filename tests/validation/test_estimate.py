import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    Box,
    GaussLegendre,
    Residual,
    ResidualObjective,
    estimate_error,
    laplacian,
    relative_h1,
    relative_l2,
)
from pinn_ngd.models import MLP, WithUnknowns
from pinn_ngd.validation import ErrorEstimate, Estimator, HeldOut, Tangent, TangentSum
from pinn_ngd.validation import estimate as estimate_module
from pinn_ngd.validation.estimate import domain_points, is_pointwise
from tests.validation.conftest import LINE, Sines, poisson

POINTS = GaussLegendre(LINE, 60).quadrature()
SOLUTION = (1.0, 0.3, -0.2)
POINTS_IN = GaussLegendre(LINE, 8)
rules_of_ends = GaussLegendre(LINE.boundary(), 1)


@pytest.mark.parametrize("coefficients", [(1.1, 0.2, 0.0), (7.0, 5.0, 0.0), (0.01, 0.0, 0.01)])
def test_the_error_of_a_linear_model_is_estimated_exactly(coefficients):
    """Relative to the solution, also by a model that is much larger or smaller."""
    model, exact = Sines(jnp.asarray(coefficients)), Sines(jnp.asarray(SOLUTION))
    estimate = estimate_error(poisson(SOLUTION), model)
    assert estimate.relative_l2 == pytest.approx(relative_l2(model, exact, POINTS), rel=1e-8)
    assert estimate.relative_h1 == pytest.approx(relative_h1(model, exact, POINTS), rel=1e-8)
    assert estimate.reliable
    assert estimate.unexplained < 1e-8


def test_the_estimated_error_is_the_error_at_every_point_and_its_correction_the_solution():
    model = Sines(jnp.asarray([1.1, 0.2, 0.0]))
    estimate = estimate_error(poisson(SOLUTION), model)
    exact = Sines(jnp.asarray(SOLUTION))
    x = jnp.asarray([0.37])
    assert estimate.error(x) == pytest.approx(float(model(x) - exact(x)), rel=1e-9)
    assert relative_l2(estimate.corrected, exact, POINTS) < 1e-12


def test_what_a_correction_leaves_is_estimated_too():
    """By the residual of the corrected function; where that is not known by what the step does not
    explain, or the square of a nonlinear error; never less than rounding."""

    def left(error: float, unexplained: float, left: float | None = None) -> float:
        tangent = Tangent(None, None)
        return ErrorEstimate(error, error, unexplained, tangent, None, left).corrected_l2

    assert left(1e-4, 1e-2, 1e-3) == pytest.approx(1e-7)
    of_energy = ErrorEstimate(1e-7, 1e-7, 0.0, TangentSum((), ()), None)
    assert of_energy.corrected_l2 == pytest.approx(1.5e-8, rel=0.01)  # the root of rounding
    assert left(1e-4, 1e-2) == pytest.approx(1e-6)
    assert left(1e-2, 1e-6) == pytest.approx(1e-4)
    known = 1e-2, 1e-2, 1e-3, Tangent(None, None), None, 1e-3
    assert ErrorEstimate(*known, spread=1e-4).corrected_l2 == pytest.approx(1e-4)
    assert ErrorEstimate(*known, spread=1e-6).corrected_l2 == pytest.approx(1e-5)
    assert left(1e-12, 1e-6) == pytest.approx(50 * np.finfo(float).eps)


def test_the_left_error_of_a_correction_that_misses_a_sine_is_found():
    model = Sines(jnp.asarray([1.05, 0.2]))  # the third sine is missing
    solution = (1.0, 0.2, 2e-4)
    estimate = estimate_error(poisson(solution), model)
    true = relative_l2(estimate.corrected, Sines(jnp.asarray(solution)), POINTS)
    assert estimate.reliable
    assert true == pytest.approx(2e-4, rel=0.1)
    assert 0.2 * true < estimate.corrected_l2 < 20 * true


class Slow(eqx.Module):
    """u(x) = a sin(40 pi x) + 1e-9 b sin(pi x): a residual of b is all but lost beside one of a."""

    a: jax.Array
    b: jax.Array

    def __call__(self, x):
        return self.a * jnp.sin(40 * jnp.pi * x[0]) + 1e-9 * self.b * jnp.sin(jnp.pi * x[0])


def test_a_slow_error_that_the_residual_hardly_feels_is_claimed():
    """The step at the damping chosen leaves a part of b, which another damping tells."""
    exact, model = (Slow(jnp.asarray(a), jnp.asarray(b)) for a, b in ((1.0, 1e9), (1.1, 1.1e9)))
    inside = Residual(lambda u, x: laplacian(u)(x) - laplacian(exact)(x), GaussLegendre(LINE, 60))
    ends = Residual(lambda u, x: u(x) - exact(x), rules_of_ends)
    estimate = estimate_error(ResidualObjective([inside, ends]), model)
    true = relative_l2(estimate.corrected, exact, GaussLegendre(LINE, 150).quadrature())
    assert estimate.left * estimate.relative_l2 < 0.01 * true
    assert true < estimate.corrected_l2 < 100 * true


def test_a_nonlinear_equation_leaves_the_square_of_the_error():
    """u^2 = f: the linearized step leaves nothing, and the residual of u - e is e^2."""
    terms = [Residual(lambda u, x: u(x) ** 2 - Sines(jnp.asarray([1.0]))(x) ** 2, POINTS_IN)]
    for error in (1e-2, 1e-3):
        found = estimate_error(ResidualObjective(terms), Sines(jnp.asarray([1.0 + error])))
        assert found.unexplained < 1e-6
        assert found.left == pytest.approx(error / 2, rel=0.05)
        true = relative_l2(found.corrected, Sines(jnp.asarray([1.0])), POINTS)
        assert found.corrected_l2 == pytest.approx(true, rel=0.05)


def test_an_unknown_coefficient_is_corrected_with_the_function():
    def equation(u, x):
        return jnp.stack([u(x) - u.coefficients[0] * jnp.sin(jnp.pi * x[0]), u.coefficients[0] - 2])

    found = estimate_error(
        ResidualObjective([Residual(equation, POINTS_IN)]), Sines(jnp.asarray([1.0, 0.1]))
    )
    np.testing.assert_allclose(found.corrected.coefficients, [2.0, 0.0], atol=1e-10)
    assert found.left < 1e-9
    with pytest.raises(AttributeError):
        found.corrected.nothing  # noqa: B018


def test_an_unknown_function_is_nothing_that_a_corrected_function_has():
    def equation(u, x):
        return u(x) - u.source(x)

    source = Sines(jnp.asarray([1.0, 0.2]))
    model = WithUnknowns(Sines(jnp.asarray([1.0, 0.1])), source=source)
    found = estimate_error(ResidualObjective([Residual(equation, POINTS_IN)]), model)
    assert found.left is None
    with pytest.raises(AttributeError, match="only numbers are known, not `source`"):
        found.corrected.source  # noqa: B018


def test_an_error_that_the_parameters_cannot_make_is_no_reliable_estimate():
    model = Sines(jnp.asarray([1.0, 0.3]))  # the third sine of the solution is missing
    estimate = estimate_error(poisson(SOLUTION), model)
    assert not estimate.reliable
    assert estimate.unexplained > 0.9


def test_a_term_that_is_tiny_beside_the_others_is_asked_all_the_same():
    exact = Sines(jnp.asarray(SOLUTION))
    ends = Residual(lambda u, x: u(x) + 1e4 * u.coefficients[0] - 1e4, rules_of_ends)
    inside = poisson(SOLUTION).terms[0]
    model = Sines(jnp.asarray([1.1, 0.2]))  # the third sine is missing, only the first term knows
    size = [float(jnp.sum(block**2)) for block in ResidualObjective([inside, ends]).residuals(
        model, ResidualObjective([inside, ends]).batch())]  # fmt: skip
    assert size[0] < 1e-3 * size[1]
    assert not estimate_error(ResidualObjective([inside, ends]), model).reliable
    whole = Sines(jnp.asarray([1.1, 0.2, 0.0]))
    found = estimate_error(ResidualObjective([inside, ends]), whole)
    assert found.reliable
    assert relative_l2(found.corrected, exact, POINTS) < 1e-9


def test_units_do_not_matter():
    model = Sines(jnp.asarray([1.1, 0.2, 0.0]))
    plain = estimate_error(poisson(SOLUTION), model)
    for equation, unknown in ((1e6, 1.0), (1.0, 1e3), (1e-5, 1e-4)):
        solution = [unknown * c for c in SOLUTION]
        scaled = Sines(unknown * model.coefficients)
        other = estimate_error(poisson(solution, scale=equation), scaled)
        assert other.relative_l2 == pytest.approx(plain.relative_l2, rel=1e-6)


@pytest.fixture(scope="module")
def near():
    """A network, one near to it, and an equation that the first one solves."""
    net = MLP((1, 10, 1), key=jax.random.key(1), domain=LINE)
    objective = ResidualObjective(
        [
            Residual(lambda u, x: laplacian(u)(x) - laplacian(net)(x), GaussLegendre(LINE, 12)),
            Residual(lambda u, x: u(x) - net(x), GaussLegendre(LINE.boundary(), 1), 100.0),
        ]
    )
    return objective, net, jax.tree.map(lambda leaf: leaf * (1 + 1e-4), net)


def test_a_network_near_the_solution_knows_its_error(near):
    objective, net, model = near
    estimate = estimate_error(objective, model)
    assert estimate.reliable
    assert estimate.relative_l2 == pytest.approx(relative_l2(model, net, POINTS), rel=1e-2)
    assert estimate.is_below(1e-3)
    assert not estimate.is_below(1e-6)
    assert estimate.is_below(1e-6, corrected=True)
    assert estimate.solution is not model


@pytest.mark.parametrize(("rows", "enough"), [(18, True), (4, False)])
def test_where_all_rows_are_too_many_a_part_of_them_serves_and_is_tested(
    near, monkeypatch, rows, enough
):
    objective, net, model = near
    params = 31
    monkeypatch.setattr(estimate_module, "LARGEST_COST", 0)
    monkeypatch.setattr(estimate_module, "REDUCED_COST", params * rows**2)
    estimator = Estimator(objective)
    assert abs(estimator.factored(model).size - rows) <= 1
    estimate = estimator(model)
    assert estimate.reliable is enough
    if enough:
        assert estimate.relative_l2 == pytest.approx(relative_l2(model, net, POINTS), rel=2e-2)


def test_a_part_of_the_held_out_points_has_the_weight_of_all(near):
    objective, _, _ = near
    held = HeldOut(objective)
    part = held.thinned(held.size // 2)
    assert part.size < held.size
    for whole, some in zip(held.weights, part.weights, strict=True):
        assert some.sum() == pytest.approx(whole.sum(), rel=0.3)
    assert held.thinned(10 * held.size).size == held.size


def test_vectors_and_unknown_coefficients():
    class Two(eqx.Module):
        parts: tuple[Sines, Sines]
        k: jax.Array

        def __call__(self, x):
            return jnp.stack([part(x) for part in self.parts])

    right = Two((Sines(jnp.asarray([1.0, 0.5])), Sines(jnp.asarray([0.2, -1.0]))), jnp.asarray(2.0))

    def equation(u, x):
        return jnp.append(laplacian(u)(x) - laplacian(right)(x), (u.k - 2.0))

    ends = Residual(lambda u, x: u(x), GaussLegendre(LINE.boundary(), 1))
    objective = ResidualObjective([Residual(equation, GaussLegendre(LINE, 8)), ends])
    wrong = Two((Sines(jnp.asarray([1.1, 0.5])), Sines(jnp.asarray([0.2, -0.9]))), jnp.asarray(3.0))
    estimate = estimate_error(objective, wrong)
    assert estimate.relative_l2 == pytest.approx(relative_l2(wrong, right, POINTS), rel=1e-8)
    assert estimate.error.step.k == pytest.approx(1.0)


def test_the_tangent_is_a_difference_quotient():
    model = MLP((1, 5, 1), key=jax.random.key(0))
    step = jax.tree.map(jnp.ones_like, model)
    moved = jax.tree.map(lambda leaf: leaf + 1e-6, model)
    back = jax.tree.map(lambda leaf: leaf - 1e-6, model)
    x = jnp.asarray([0.3])
    quotient = (moved(x) - back(x)) / 2e-6
    assert Tangent(model, step)(x) == pytest.approx(float(quotient), rel=1e-8)


def test_norms_are_taken_inside_and_on_points_of_their_own():
    objective = poisson(SOLUTION)
    points = domain_points(objective)
    assert float(jnp.sum(points.weights)) == pytest.approx(1.0)
    trained = np.asarray(objective.batch()[0].points)
    assert not set(np.ravel(points.points)) & set(np.ravel(trained))


def test_what_is_no_function_of_a_point_has_no_estimate():
    points = domain_points(poisson(SOLUTION))
    assert is_pointwise(Sines(jnp.ones(2)), points)
    assert not is_pointwise(jnp.ones(3), points)
    assert not is_pointwise(lambda x, y: x + y, points)


def test_of_large_systems_a_part_is_formed():
    square = Box((0.0, 0.0), (1.0, 1.0))
    objective = ResidualObjective([Residual(lambda u, x: u(x), GaussLegendre(square, 80))])
    wide = MLP((2, 300, 300, 1), key=jax.random.key(0))
    part, all_ = Estimator(objective).factored(wide), HeldOut(objective)
    assert part.size == pytest.approx((2e10 / 91_501) ** 0.5, abs=1)
    small = MLP((2, 30, 1), key=jax.random.key(0))
    assert Estimator(objective).factored(small).size == all_.size


def test_rows_are_counted_and_not_points():
    """Each point has one for a component, and two for a complex one."""
    square = Box((0.0, 0.0), (1.0, 1.0))
    net = MLP((2, 40, 1), key=jax.random.key(0))

    def objective(of):
        return ResidualObjective([Residual(of, GaussLegendre(square, 40))])

    scalar = Estimator(objective(lambda u, x: u(x)))
    vector = Estimator(objective(lambda u, x: jnp.stack([(k + 1) * u(x) for k in range(5)])))
    complex_ = Estimator(objective(lambda u, x: jax.lax.complex(u(x), 2 * u(x))))
    points = scalar.made.size
    assert [e.rows(net) for e in (scalar, vector, complex_)] == [points, 5 * points, 2 * points]
    wide = MLP((2, 250, 250, 1), key=jax.random.key(0))
    parts = [e.factored(wide).size for e in (scalar, vector)]
    assert parts[0] == pytest.approx(5 * parts[1], rel=0.02)


def test_held_out_losses_by_term_and_the_worst_point():
    objective = poisson(SOLUTION, inside="residual", ends="residual")
    exact = Sines(jnp.asarray(SOLUTION))
    look = HeldOut(objective)(lambda x: exact(x) + x[0])  # wrong at the right end only
    assert list(look.terms) == ["residual 1", "residual 2"]
    assert look.terms["residual 1"] < 1e-20
    assert look.terms["residual 2"] == pytest.approx(0.5)
    assert (look.worst, look.where) == ("residual 2", (1.0,))
    assert look.loss == pytest.approx(sum(float(mass.sum()) for mass in look.masses))


def test_a_model_that_is_right_at_its_points_only_is_found_out():
    objective = poisson(SOLUTION)
    nodes = objective.batch()[0].points[:, 0]
    exact = Sines(jnp.asarray(SOLUTION))

    def vanishes(u, x):
        return u(x) - exact(x) + 0 * x[0]

    values = ResidualObjective([Residual(vanishes, objective.rules[0])])
    wrong = lambda x: exact(x) + 1e3 * jnp.prod(x[0] - nodes)  # noqa: E731
    assert float(values.loss(wrong, values.batch())) < 1e-20
    assert HeldOut(values)(wrong).loss > 1e-9
