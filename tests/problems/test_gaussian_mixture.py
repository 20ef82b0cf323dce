"""Published end points and losses of the mixture problems, reached with the authors' operator.

The expected numbers are those that the notebooks of Nurbekyan, Lei and Yang print, or that a plain
rerun of their settings gives.
"""

import equinox as eqx
import jax
import numpy as np
import pytest

from pinn_ngd import Box, Grid, PointwiseState, StateMisfit, load_problem
from pinn_ngd.metrics import Euclidean, FisherRao, Sobolev, Wasserstein
from pinn_ngd.optimizers import Armijo, FixedStep, NaturalGradient

CENTRAL = Wasserstein(operator="central")


def descend(free, start, metric, search, steps):
    """Parameters and loss after so many steps, in one compiled loop."""
    problem = load_problem("gaussian-mixture", free=free, start=start)
    optimizer = NaturalGradient(metric=metric, search=search)
    model = problem.model(jax.random.key(0))
    carry = (model, optimizer.init(model, problem.objective, ()))
    arrays, static = eqx.partition(carry, eqx.is_array)

    def step(arrays, _):
        model, state = eqx.combine(arrays, static)
        moved = optimizer.step(model, state, problem.objective, (), key=jax.random.key(0))
        return eqx.filter(moved[:2], eqx.is_array), None

    arrays, _ = jax.jit(lambda a: jax.lax.scan(step, a, None, length=steps))(arrays)
    model, _ = eqx.combine(arrays, static)
    free_values = [float(leaf) for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))]
    return free_values, float(problem.objective.loss(model, ())) / volume(free)


def volume(free):
    """What the authors leave out of both functional and metric."""
    return load_problem("gaussian-mixture", free=free).objective.state.grid.cell_volume


def fixed(rate, metric, free):
    """The authors' rate: natural gradients do not see the volume, gradients do."""
    return FixedStep(rate=rate / (volume(free) if isinstance(metric, Euclidean) else 1.0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "metric", "rate", "steps", "end", "loss", "rtol"),
    [
        (0, CENTRAL, 0.5, 800, (0.30, 0.92, 3.02, 2.99, 2.00), 2.0327524e-4, 1e-6),
        (1, Euclidean(), 0.2, 2000, (0.70, 3.0, 2.0, 1.0, 3.0), 8.612419e-10, 1e-3),
        (1, CENTRAL, 0.5, 800, (0.25, 5.99, 1.63, 2.64, 2.16), 7.0374252e-2, 1e-6),
    ],
    ids=["wasserstein-global", "descent-global", "wasserstein-local"],
)
def test_all_five_parameters(start, metric, rate, steps, end, loss, rtol):
    found, value = descend("all", start, metric, fixed(rate, metric, "all"), steps)
    np.testing.assert_allclose(found, end, atol=0.01)
    np.testing.assert_allclose(value, loss, rtol=rtol)


@pytest.mark.parametrize(
    ("start", "rate", "steps", "end"),
    [(0, 0.8, 60, (7.2694, 2.7862)), (1, 2.0, 85, (7.2687, 5.2280))],
)
def test_fisher_rao_leaves_to_the_plateau(start, rate, steps, end):
    found, _ = descend("mean", start, FisherRao(), fixed(rate, FisherRao(), "mean"), steps)
    np.testing.assert_allclose(found, end, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 1])
def test_wasserstein_alone_finds_the_minimum_and_only_with_the_authors_operator(start):
    search = Armijo(initial=np.inf, norm_limit=0.1, expand=False)
    found, loss = descend("mean", start, CENTRAL, search, 120)
    np.testing.assert_allclose(found, (2.400, 1.842), atol=0.01)
    np.testing.assert_allclose(loss, 2.03387, atol=1e-4)
    for metric in (Euclidean(), Sobolev(), FisherRao(), Wasserstein()):
        _, loss = descend("mean", start, metric, search, 120)
        assert loss > 2.58


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "rate", "steps", "end"),
    [
        (Euclidean(), 0.1, 300, (0.264, 0.364)),
        (Sobolev(), 0.05, 500, (0.844, 2.978)),
        (CENTRAL, 0.1, 250, (0.819, 2.905)),
    ],
    ids=["descent", "l2", "wasserstein"],
)
def test_one_coordinate_and_the_weight(metric, rate, steps, end):
    found, loss = descend("pair", 0, metric, fixed(rate, metric, "pair"), steps)
    np.testing.assert_allclose(found, end, atol=2e-3)
    assert (loss < 0.32) == (not isinstance(metric, Euclidean))


@pytest.mark.slow
def test_the_default_run_finds_the_data():
    from pinn_ngd import optimizers, train

    problem = load_problem("gaussian-mixture")
    optimizer = optimizers.get(problem.optimizer, **problem.optimizer_settings)
    model = problem.model(jax.random.key(0))
    result = train(problem.objective, model, optimizer, steps=600, key=jax.random.key(0))
    assert problem.evaluator()(result.model)["relative_l2"] < 1e-12
    with pytest.raises(ValueError, match="choose one of"):
        load_problem("gaussian-mixture", free="none")
    with pytest.raises(ValueError, match="has the starts"):
        load_problem("gaussian-mixture", start=2)


def test_twenty_gaussians_are_found_by_gauss_newton():
    from pinn_ngd import optimizers, train

    problem = load_problem("gaussian-mixture-20", components=4, points=30, distance=0.2)
    optimizer = optimizers.get("wngd", metric="l2")
    model = problem.model(jax.random.key(0))
    result = train(problem.objective, model, optimizer, steps=60, key=jax.random.key(0))
    assert problem.evaluator()(result.model)["relative_l2"] < 1e-10


@pytest.mark.slow
def test_the_box_is_a_wall_for_central_differences_only():
    """Mass that would have to leave makes the metric huge, unless the box is large enough."""
    problem = load_problem("gaussian-mixture", free="mean")
    model = problem.model(jax.random.key(0))
    entries = {}
    for upper in (7.25, 12.0):
        grid = Grid(Box((-2.75, -2.75), (upper, upper)), (70, 70), "dirichlet")
        objective = StateMisfit(PointwiseState(grid), lambda rho: rho)
        for operator in ("central", "staggered"):
            system = Wasserstein(operator=operator).system(objective, model, ())
            entries[upper, operator] = float(np.sum(system.operator.as_matrix()[:, 0] ** 2))
    np.testing.assert_allclose(entries[7.25, "central"], 7.6e4, rtol=0.02)
    expected = entries[12.0, "staggered"]
    for key in ((12.0, "central"), (7.25, "staggered")):
        np.testing.assert_allclose(entries[key], expected, rtol=0.05)
