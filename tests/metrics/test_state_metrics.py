"""State metrics: closed forms, identities that hold for all of them, and bad input."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pinn_ngd import (
    Box,
    ExplicitState,
    Grid,
    Interval,
    PointwiseState,
    StateMisfit,
    StateObjective,
    metrics,
)
from pinn_ngd.linalg import get_solver, solve
from pinn_ngd.metrics import FisherRao, Sobolev, Wasserstein
from pinn_ngd.optimizers import Armijo, NaturalGradient
from tests.optimizers.helpers import network, poisson_1d

NAMES = [name for name in metrics.names() if metrics.needs_state(name)]


class Gaussian(eqx.Module):
    mean: jax.Array
    deviation: jax.Array


def gaussian_density(grid):
    x = jnp.asarray(grid.axes[0])

    def density(model):
        rho = jnp.exp(-(((x - model.mean) / model.deviation) ** 2) / 2)
        return rho / jnp.sum(rho) / grid.cell_volume

    return density


def gaussian_objective(n, boundary="neumann"):
    grid = Grid(Interval(-9.0, 9.5), (n,), boundary)
    return StateObjective(ExplicitState(grid, gaussian_density(grid)), lambda r: jnp.sum(r**3))


def bumps(shape=(6, 8), boundary="neumann", parameters=4):
    """A positive state of mass one on a 2-d grid, with `parameters` parameters, and f(state)."""
    grid = Grid(Box((0.0, 0.0), (1.0, 2.0)), shape, boundary)
    x, y = grid.points.T
    waves = jnp.stack([jnp.sin((k + 1) * x + k * y) for k in range(parameters)])

    def density(theta):
        rho = jnp.exp(theta @ waves)
        return (rho / jnp.sum(rho)).reshape(shape)

    weights = jnp.cos(jnp.arange(grid.size).reshape(shape))
    return StateObjective(ExplicitState(grid, density), lambda r: jnp.sum(weights * r + r**2))


MODEL = Gaussian(jnp.asarray(0.3), jnp.asarray(1.2))
THETA = jnp.asarray([0.3, -0.2, 0.5, 0.1])


# Compiled as one program each: single operations, one by one, take many times longer to compile.
@eqx.filter_jit
def _matrix(metric, objective, model):
    return metric.system(objective, model, ()).operator.as_matrix()


@eqx.filter_jit
def _step(metric, objective, model):
    return solve(metric.system(objective, model, ())).value


@eqx.filter_jit
def _inner(metric, grid, rho, u, v):
    return metric.inner(grid, rho, u, v)


@eqx.filter_jit
def _fluxes(chosen, grid, rho, tangent):
    return [metric.factor(grid, rho)(tangent) for metric in chosen]


@eqx.filter_jit
def _state_and_tangent(state, number):
    return state(THETA), state.jacobian(THETA)[1][:, number].reshape(state.grid.shape)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Wasserstein(), np.eye(2)),
        (Wasserstein(elliptic="cg"), np.eye(2)),
        (Wasserstein(elliptic="multigrid"), np.eye(2)),
        (FisherRao(), np.diag([1 / 1.2**2, 2 / 1.2**2])),
    ],
    ids=["wasserstein", "wasserstein-cg", "wasserstein-multigrid", "fisher-rao"],
)
def test_the_information_matrix_of_a_gaussian(metric, expected):
    """W2: dmu^2 + dsigma^2. Fisher: (dmu^2 + 2 dsigma^2) / sigma^2. Second order, or better."""
    errors = []
    for n in (50, 100):
        matrix = _matrix(metric, gaussian_objective(n), MODEL)
        errors.append(np.abs(matrix.T @ matrix - expected).max())
    assert errors[0] < 1e-9 or errors[1] < errors[0] / 3.5


@pytest.mark.parametrize("name", NAMES)
def test_normal_equations_are_those_of_the_loss(name):
    """Y^T b is the gradient of the loss, and the step descends."""
    objective = bumps(boundary="dirichlet" if "central" in name else "neumann")

    @jax.jit
    def everything(theta):
        system = metrics.get(name).system(objective, theta, ())
        gradient = system.operator.T.mv(system.target)
        expected = jax.grad(lambda q: objective.loss(q, ()))(theta)
        return gradient, expected, solve(system, get_solver("qr")).value

    gradient, expected, step = everything(THETA)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-12)
    assert expected @ step > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_all_solvers_find_one_step_stored_or_matrix_free(name):
    objective = bumps(boundary="dirichlet" if "central" in name else "neumann")
    metric = metrics.get(name)

    @jax.jit
    def steps(theta):
        stored = metric.system(objective, theta, ())
        free = metric.system(objective, theta, (), matrix_free=True)
        kinds = ((stored, "svd"), (stored, "qr"), (stored, "spectral"), (free, "lsmr"),
                 (free, "cg"))  # fmt: skip
        return [solve(system, get_solver(solver)).value for system, solver in kinds]

    reference, *found = steps(THETA)
    for step in found:
        np.testing.assert_allclose(step, reference, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["l2", "h1", "h-1-homogeneous", "fisher-rao", "wasserstein"])
def test_the_change_of_the_state_does_not_depend_on_the_parameters(name):
    """Natural gradients are invariant under invertible linear maps of the parameters."""
    objective = bumps()
    mix = jnp.eye(4) + 0.3 * jax.random.normal(jax.random.key(0), (4, 4))
    mixed_state = ExplicitState(objective.state.grid, lambda q: objective.state(mix @ q))
    mixed = StateObjective(mixed_state, objective.functional)
    metric = metrics.get(name)
    step = _step(metric, objective, THETA)
    other = _step(metric, mixed, jnp.linalg.solve(mix, THETA))
    np.testing.assert_allclose(mix @ other, step, rtol=1e-9)


def test_l2_is_gauss_newton_of_a_misfit():
    objective = bumps()
    data = 0.9 * objective.state(THETA)
    scale = objective.state.grid.cell_volume**0.5
    misfit = StateMisfit(objective.state, lambda rho: (rho - data) * scale)
    newton = misfit.system(THETA, ())
    products = misfit.system(THETA, (), matrix_free=True).operator.as_matrix()
    np.testing.assert_allclose(products, newton.operator.as_matrix(), rtol=1e-10, atol=1e-14)
    natural = Sobolev().system(misfit, THETA, ())
    np.testing.assert_allclose(solve(natural).value, solve(newton).value, rtol=1e-10)


def test_mass_preserving_fisher_rao_takes_the_same_step():
    objective = bumps()
    plain, preserving = (
        _step(FisherRao(mass_preserving=flag), objective, THETA) for flag in (False, True)
    )
    np.testing.assert_allclose(preserving, plain, rtol=1e-9)


@pytest.mark.parametrize("order", [-1.5, 1.0, 2.0])
def test_sobolev_steps_order_the_frequencies(order):
    """In the state itself, the H^s gradient damps high frequencies by (1 + k^2)^-s."""
    grid = Grid(Interval(0.0, 2 * np.pi), (64,), "periodic")
    x = np.asarray(grid.axes[0])
    phi = jnp.asarray(np.sin(x) + np.sin(5 * x))
    objective = StateObjective(ExplicitState(grid, lambda q: q), lambda r: jnp.sum(phi * r))
    step = np.asarray(_step(Sobolev(order), objective, jnp.zeros(64))) * grid.cell_volume
    low, high = (2 * np.mean(step * np.sin(k * x)) for k in (1, 5))
    eigenvalue = (2 / grid.spacing[0] * np.sin(np.array([1, 5]) * grid.spacing[0] / 2)) ** 2
    np.testing.assert_allclose([low, high], (1 + eigenvalue) ** -order, rtol=1e-9)


def test_unbalanced_transport_lies_between_growth_and_transport():
    """More ways to move mass make tangents shorter, the more the cheaper growth is."""
    objective = bumps()
    grid = objective.state.grid
    rho, tangent = _state_and_tangent(objective.state, 0)
    lengths = [
        float(_inner(Wasserstein(unbalanced=kappa), grid, rho, tangent, tangent))
        for kappa in (0.0, 0.1, 10.0, 1e6)
    ]
    assert lengths == sorted(lengths, reverse=True)
    growth = _inner(FisherRao(), grid, rho, tangent, tangent) / 1e6
    np.testing.assert_allclose(lengths[-1], growth, rtol=1e-2)


def test_a_pointwise_state_has_the_rows_of_the_explicit_one():
    grid = Grid(Interval(0.0, 1.0), (9,))
    model = network()
    _, rows = PointwiseState(grid, chunk_size=4).jacobian(model)
    explicit = ExplicitState(grid, lambda u: jax.vmap(u)(grid.points))
    np.testing.assert_allclose(rows, explicit.jacobian(model)[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["l2", "h1", "fisher-rao", "wasserstein"])
def test_state_metrics_train_a_network_on_a_pde(name):
    grid = Grid(Interval(0.0, 1.0), (24,))
    settings = {}
    if getattr(metrics.METRICS[name].kind, "needs_positive", False):
        settings["shift"] = 5.0
    if name == "wasserstein":
        settings["mass"] = "project"
    metric = metrics.get(name, state=PointwiseState(grid), **settings)
    objective, model = poisson_1d(), network()
    optimizer = NaturalGradient(metric=metric, search=Armijo(), damping=1e-8)
    losses, step = [objective.loss(model, objective.batch())], eqx.filter_jit(optimizer.step)
    state = optimizer.init(model, objective, objective.batch())
    for _ in range(10):
        model, state, info = step(model, state, objective, objective.batch(), key=jax.random.key(0))
        assert info.actual >= 1e-4 * info.predicted > 0
        losses.append(objective.loss(model, objective.batch()))
    assert np.all(np.diff(losses) < 0)


@pytest.mark.parametrize("metric", [FisherRao, Wasserstein])
def test_a_floor_lifts_a_state_that_falls_below_it(metric):
    grid = Grid(Interval(0.0, 1.0), (4,), "dirichlet")
    rho, u = jnp.asarray([1.0, -2.5, 0.5, 1.0]), jnp.asarray([0.3, 0.1, -0.2, 0.4])
    lifted, shifted = (metric(shift=s, floor=1.0) for s in (3.0, 9.0))
    for one, other in ((lifted, metric(shift=3.5)), (shifted, metric(shift=9.0))):
        expected = _inner(other, grid, rho, u, u)
        np.testing.assert_allclose(_inner(one, grid, rho, u, u), expected, rtol=1e-14)


def test_bad_input_is_explained():
    negative = StateObjective(
        ExplicitState(Grid(Interval(0.0, 1.0), (4,)), lambda q: q), lambda r: jnp.sum(r)
    )
    theta = jnp.asarray([1.0, -1.0, 1.0, 1.0])
    for metric in (FisherRao(), Wasserstein(mass="ignore")):
        with pytest.raises(eqx.EquinoxRuntimeError, match="not positive everywhere"):
            metric.system(negative, theta, ())
    for matrix_free in (False, True):
        with pytest.raises(eqx.EquinoxRuntimeError, match="do not conserve mass"):
            Wasserstein().system(negative, jnp.ones(4), (), matrix_free=matrix_free)
    with pytest.raises(ValueError, match="needs a `state`"):
        Sobolev().system(poisson_1d(), network(), poisson_1d().batch())
    for metric in (FisherRao, Wasserstein):
        with pytest.raises(ValueError, match="`floor` is -1"):
            metric(floor=-1.0)
    with pytest.raises(ValueError, match="`unbalanced`"):
        Wasserstein(unbalanced=-1.0)
    with pytest.raises(ValueError, match="unknown metric"):
        metrics.get("h3")
    with pytest.raises(ValueError, match="choose a state metric"):
        bumps().system(THETA, ())


@pytest.mark.slow
def test_projecting_is_normalizing():
    """Tangents of rho and of rho / mass give one step, wherever the functional is scale-free."""
    grid = Grid(Interval(-9.0, 9.5), (60,))
    x = jnp.asarray(grid.axes[0])
    data = jnp.sin(x)

    def bump(model):
        return model.deviation * jnp.exp(-(((x - model.mean) / model.deviation) ** 2) / 2)

    def functional(rho):
        return jnp.sum(data * rho) / jnp.sum(rho)

    free = StateObjective(ExplicitState(grid, bump), functional)
    normalized = StateObjective(
        ExplicitState(grid, lambda m: bump(m) / jnp.sum(bump(m))), functional
    )
    found = Wasserstein(mass="project").system(free, MODEL, ())
    expected = Wasserstein().system(normalized, MODEL, ())
    flat, _ = ravel_pytree(solve(found).value)
    reference, _ = ravel_pytree(solve(expected).value)
    mass = jnp.sum(bump(MODEL))  # lengths scale with the mass, not directions
    np.testing.assert_allclose(flat * mass, reference, rtol=1e-8)


@pytest.mark.parametrize("boundary", ["neumann", "dirichlet"])
@pytest.mark.parametrize("operator", ["staggered", "central"])
@pytest.mark.parametrize("unbalanced", [0.0, 0.5])
def test_conjugate_gradients_and_the_factorization_agree(operator, unbalanced, boundary):
    objective = bumps(boundary=boundary)
    grid = objective.state.grid
    rho, tangent = _state_and_tangent(objective.state, 1)
    solvers = ("direct", "cg", "multigrid") if operator == "staggered" else ("direct", "cg")
    metrics = tuple(
        Wasserstein(operator=operator, unbalanced=unbalanced, elliptic=elliptic)
        for elliptic in solvers
    )
    flux, *found = _fluxes(metrics, grid, rho, tangent)
    for other in found:
        np.testing.assert_allclose(other, flux, rtol=1e-7, atol=1e-11)


def test_multigrid_is_for_neighbors_and_large_grids():
    with pytest.raises(ValueError, match="central differences skip"):
        Wasserstein(operator="central", elliptic="multigrid")
    few, many = (Grid(Box((0.0, 0.0), (1.0, 1.0)), (n, n)).edges for n in (100, 400))
    assert not Wasserstein()._is_large(few)
    assert Wasserstein()._is_large(many)
    assert not Wasserstein(operator="central")._is_large(many)
