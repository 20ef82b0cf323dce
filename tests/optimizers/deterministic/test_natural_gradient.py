"""ENGD, ENGD-W, SPRING and gradient descent."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import (
    ExplicitState,
    Grid,
    Interval,
    Residual,
    ResidualObjective,
    StateMisfit,
    Trapezoid,
    optimizers,
)
from pinn_ngd.linalg import dual_gram, get_solver, nystrom
from pinn_ngd.optimizers import Armijo, FixedStep, GridLineSearch, NaturalGradient
from pinn_ngd.optimizers.base import NO_STEP_HELPS
from pinn_ngd.optimizers.deterministic.box import as_bounds, ends_of
from tests.optimizers.helpers import network, poisson_1d, ritz_1d


def run(optimizer, model, objective, steps):
    batch = objective.batch(jax.random.key(0))
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(optimizer.step)
    infos = []
    for _ in range(steps):
        model, state, info = step(model, state, objective, batch, key=jax.random.key(0))
        infos.append(info)
    return model, state, infos


def flat(model):
    return ravel_pytree(eqx.filter(model, eqx.is_inexact_array))[0]


def test_engd_direction_is_the_pseudo_inverse_of_the_gram_matrix():
    objective, start = poisson_1d(), network(4)
    optimizer = optimizers.get("engd", rcond=1e-5)
    model, _, infos = run(optimizer, start, objective, 1)
    system = objective.system(start, objective.batch())
    a, b = system.operator.as_matrix(), ravel_pytree(system.target)[0]
    direction = jnp.linalg.pinv(a.T @ a, rtol=1e-10) @ (a.T @ b)
    step = flat(start) - flat(model)
    cosine = step @ direction / jnp.linalg.norm(step) / jnp.linalg.norm(direction)
    assert float(cosine) > 1 - 1e-6
    ratio = float(jnp.linalg.norm(step) / jnp.linalg.norm(direction))
    assert np.log2(ratio) == pytest.approx(round(np.log2(ratio)), abs=1e-3)  # a point of the grid
    assert bool(infos[0].accepted)


def test_primal_and_dual_damped_directions_agree():
    objective, start = poisson_1d(), network(4)
    settings = dict(damping=1e-4, search=FixedStep(rate=1.0))
    primal = run(
        NaturalGradient(form="primal", solver=get_solver("qr"), **settings), start, objective, 1
    )
    dual = run(
        NaturalGradient(form="dual", solver=get_solver("qr"), **settings), start, objective, 1
    )
    np.testing.assert_allclose(flat(primal[0]), flat(dual[0]), rtol=1e-8, atol=1e-10)


def test_spring_recurrence():
    """Two SPRING steps against the formulas of Algorithm 1, written out with dense matrices."""
    objective, start = poisson_1d(), network(4)
    mu, damping, rate = 0.6, 1e-3, 0.05
    optimizer = NaturalGradient(
        damping=damping,
        momentum=mu,
        search=FixedStep(rate=rate),
        form="dual",
        solver=get_solver("qr"),
    )
    _, unravel = ravel_pytree(eqx.filter(start, eqx.is_inexact_array))
    static = eqx.partition(start, eqx.is_inexact_array)[1]
    theta, phi = flat(start), jnp.zeros_like(flat(start))
    for k in (1, 2):
        system = objective.system(eqx.combine(unravel(theta), static), objective.batch())
        a, b = system.operator.as_matrix(), ravel_pytree(system.target)[0]
        kernel = a @ a.T + damping * jnp.eye(b.size)
        phi = a.T @ jnp.linalg.solve(kernel, b - mu * (a @ phi)) + mu * phi
        theta = theta - rate * phi / jnp.sqrt(1 - mu ** (2 * k))
    np.testing.assert_allclose(flat(run(optimizer, start, objective, 2)[0]), theta, rtol=1e-7)


def test_gradient_descent_moves_along_the_gradient():
    objective, start = poisson_1d(), network(4)
    model, _, infos = run(optimizers.get("gd"), start, objective, 1)
    params, static = eqx.partition(start, eqx.is_inexact_array)
    gradient = flat(
        jax.grad(lambda q: objective.loss(eqx.combine(q, static), objective.batch()))(params)
    )
    step = flat(start) - flat(model)
    np.testing.assert_allclose(
        step / jnp.linalg.norm(step), gradient / jnp.linalg.norm(gradient), atol=1e-9
    )
    assert float(infos[0].actual) > 0


def test_engd_on_an_energy_lowers_it():
    _, _, infos = run(optimizers.get("engd"), network(6), ritz_1d(), 10)
    losses = [float(i.loss) for i in infos]
    assert losses[-1] < losses[0]


def test_step_that_does_not_help_is_refused_and_reported():
    objective = ResidualObjective(
        [
            Residual(
                lambda u, x: jax.lax.stop_gradient(2 * u(x)) - u(x) - 1.0,
                Trapezoid(Interval(0, 1), 5),
            )
        ]
    )
    start = network(3)
    model, _, infos = run(optimizers.get("engd"), start, objective, 1)
    np.testing.assert_array_equal(flat(model), flat(start))
    assert not bool(infos[0].accepted)
    assert int(infos[0].stop) == NO_STEP_HELPS
    assert "line search" in optimizers.STOP_REASONS[NO_STEP_HELPS]


def test_the_search_of_the_paper_takes_a_step_that_does_not_help():
    norm = jnp.asarray(1.0)
    for always in (False, True):
        search = GridLineSearch(halvings=3, always=always)
        found = search(lambda t: -t, norm, lambda t: t)
        assert bool(found.accepted) == always
        assert (float(found.step), float(found.gain)) == (0.125, -0.125)
        assert not search(lambda t: jnp.nan * t, norm, lambda t: t).accepted


@pytest.mark.parametrize(("slope", "expected"), [(0.25, 0.125), (16.0, 8.0), (1.5, 1.0)])
def test_armijo_halves_or_doubles_to_the_scale_of_the_problem(slope, expected):
    slope, norm = jnp.asarray(slope), jnp.asarray(2.0)
    t, gain, accepted, _ = Armijo()(lambda t: slope * t - t**2, norm, lambda t: slope * t)
    assert float(t) == expected
    assert float(gain) == pytest.approx(float(slope) * expected - expected**2)
    assert accepted
    t, *_ = Armijo(norm_limit=0.1)(lambda t: slope * t - t**2, norm, lambda t: slope * t)
    assert float(t) <= 0.05
    _, _, accepted, _ = Armijo()(lambda t: -t, norm, lambda t: slope * t)
    assert not accepted


def test_a_warm_search_starts_at_twice_the_last_length():
    """1/2 t^2 against t from 1/8: two evaluations find 1/4; what is too long is halved."""

    def searched(curvature, last, **settings):
        norm = jnp.asarray(1.0)
        reduction = lambda t: t - curvature * t**2 / 2  # noqa: E731
        return Armijo(warm=True, **settings)(reduction, norm, lambda t: t, jnp.asarray(last))

    found = searched(1.0, 0.125)
    assert (float(found.step), int(found.evaluations)) == (0.25, 1)
    found = searched(16.0, 0.125)
    assert (float(found.step), int(found.evaluations)) == (0.0625, 3)
    # Without a step before it the scale is found by doubling, as without `warm`.
    assert tuple(searched(1 / 64, 0.0)) == tuple(
        Armijo()(lambda t: t - t**2 / 128, jnp.asarray(1.0), lambda t: t)
    )
    assert float(searched(1.0, 0.125, norm_limit=0.2).step) == pytest.approx(0.2)


def test_warm_descent_takes_two_losses_a_step_and_gets_further():
    """As many losses in both; the grid's are counted too, and so are doublings in the first step.

    Doublings and halvings balance, which makes two losses a step.
    """
    objective, start = poisson_1d(), network(4)

    def losses(info):
        return int(info.solves.forward)

    warm, _, infos = run(optimizers.get("gd", search="warm"), start, objective, 38)
    one = losses(run(optimizers.get("gd", search="fixed"), start, objective, 1)[2][0])
    assert np.mean([losses(info) - one for info in infos[1:]]) == pytest.approx(1.0, abs=0.1)
    grid, _, others = run(optimizers.get("gd"), start, objective, 5)
    assert sum(map(losses, infos)) <= sum(map(losses, others))
    batch = objective.batch()
    assert objective.loss(warm, batch) < objective.loss(grid, batch)


def test_bounds_cut_steps_back_into_the_box():
    objective, model = poisson_1d(), network()
    optimizer = NaturalGradient(search=FixedStep(rate=1.0), damping=1e-6, bounds=(-0.5, 0.5))
    start = eqx.apply_updates(
        model,
        jax.tree.map(lambda q: jnp.clip(q, -0.5, 0.5) - q, eqx.filter(model, eqx.is_inexact_array)),
    )
    moved, _, info = optimizer.step(
        start, optimizer.init(start, objective, objective.batch()), objective, objective.batch(),
        key=jax.random.key(0),
    )  # fmt: skip
    leaves = jax.tree.leaves(eqx.filter(moved, eqx.is_inexact_array))
    assert max(float(jnp.abs(leaf).max()) for leaf in leaves) == 0.5
    assert info.step_length > 0
    with pytest.raises(ValueError, match="lower < upper"):
        NaturalGradient(bounds=(1.0, 0.0))


def test_bounds_of_single_leaves():
    """Only what is named is bounded; a name may stand for all leaves below it."""
    params = {"a": jnp.zeros(2), "b": [jnp.zeros(1), jnp.zeros(1)]}
    named = as_bounds({"['b']": (-1, 1), "['b'][0]": (0.0, 2.0)})
    lower, upper = ends_of(named, params)
    inf = float("inf")
    assert (lower, upper) == ({"a": -inf, "b": [0.0, -1]}, {"a": inf, "b": [2.0, 1]})
    assert hash(named) == hash(as_bounds({"['b']": (-1, 1), "['b'][0]": (0.0, 2.0)}))
    with pytest.raises(ValueError, match="`bounds` of 'a' are 3"):
        as_bounds({"a": 3})
    optimizer = NaturalGradient(bounds={"layers[7]": (0.0, 1.0)})
    with pytest.raises(ValueError, match=r"'layers\[7\]'; the model has layers\[0\].weight"):
        optimizer.check(network(), poisson_1d())


def test_bounds_do_not_stop_at_a_point_that_is_not_critical():
    """A coupled quadratic whose minimizer lies outside: one parameter ends at its bound."""
    root = jnp.linalg.cholesky(jnp.asarray([[1.0, 0.9], [0.9, 1.0]])).T
    minimizer = jnp.asarray([-2.0, 1.5])
    grid = Grid(Interval(0.0, 1.0), (2,))
    objective = StateMisfit(ExplicitState(grid, lambda q: q), lambda q: root @ (q - minimizer))
    optimizer = NaturalGradient(search=Armijo(), bounds=(0.0, 10.0))
    point, state = jnp.asarray([0.0, 1.0]), optimizer.init(jnp.zeros(2), objective, ())
    for _ in range(5):
        point, state, _ = optimizer.step(point, state, objective, (), key=jax.random.key(0))
    np.testing.assert_allclose(point, 0.0, atol=1e-12)


def test_grid_line_search_finds_the_best_halving():
    one, slope = jnp.asarray(1.0), jnp.asarray(0.25)
    t, gain, accepted, _ = GridLineSearch()(lambda t: slope * t - t**2, one, lambda t: slope * t)
    assert float(t) == 0.125
    assert float(gain) == pytest.approx(0.125 * 0.25 - 0.125**2)
    assert bool(accepted)


def test_momentum_on_an_energy_is_an_error():
    with pytest.raises(ValueError, match="`momentum` needs a system with residuals"):
        run(NaturalGradient(momentum=0.5, damping=1e-3), network(3), ritz_1d(), 1)


@pytest.mark.slow
def test_engd_nystrom_is_engd_w_where_the_rank_suffices():
    """K of rank 13 parameters is exact; a smaller one is the formula with its approximation."""
    objective, model = poisson_1d(), network(4)
    batch, damping, rate = objective.batch(), 0.5, 0.1
    system = objective.system(model, batch)
    rows, target = system.operator.as_matrix(), ravel_pytree(system.target)[0]
    key = jax.random.key(0)
    for rank in (13, 5):
        optimizer = optimizers.get("engd-nystrom", rank=rank, damping=damping, rate=rate)
        new, _, _ = eqx.filter_jit(optimizer.step)(
            model, optimizer.init(model, objective, batch), objective, batch, key=key
        )
        kernel = rows @ rows.T
        if rank < 13:
            kernel = nystrom(dual_gram(system.operator), rank, key).as_matrix()
        direction = rows.T @ np.linalg.solve(kernel + damping * np.eye(len(rows)), target)
        np.testing.assert_allclose(flat(model) - flat(new), rate * direction, rtol=1e-9, atol=1e-9)
    exact_one = optimizers.get("engd-w", damping=damping, rate=rate)
    nearly = optimizers.get("engd-nystrom", damping=damping, rate=rate)
    whole, found = (run(one, model, objective, 1)[0] for one in (exact_one, nearly))
    np.testing.assert_allclose(flat(found), flat(whole), rtol=1e-9)


def test_engd_nystrom_trains_by_products_alone():
    objective, model = poisson_1d(), network()
    optimizer = optimizers.get("engd-nystrom", form="matrix-free", momentum=0.3)
    trained, _, infos = run(optimizer, model, objective, 40)
    before, after = (objective.loss(m, objective.batch()) for m in (model, trained))
    assert after < 1e-3 * before
    assert infos[-1].accepted
