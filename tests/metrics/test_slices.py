"""Metrics on grids with decoupled axes, and stored rows against products for every option."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import Box, ExplicitState, Grid, Interval, StateObjective, metrics
from pinn_ngd.metrics import FisherRao, Sobolev, Wasserstein

CELLS = 6
METRICS = {
    **{name: metrics.get(name) for name in metrics.names() if metrics.needs_state(name)},
    "fisher-rao, mass": FisherRao(mass_preserving=True),
    "fisher-rao, floor": FisherRao(floor=0.7),
    "h-1, homogeneous": Sobolev(-1.0, homogeneous=True),
    "wasserstein, cg": Wasserstein(elliptic="cg"),
    "wasserstein, multigrid": Wasserstein(elliptic="multigrid"),
    "wasserstein, project": Wasserstein(mass="project"),
    "wasserstein, floor": Wasserstein(floor=0.7, mass="project"),
    "wasserstein, unbalanced": Wasserstein(unbalanced=0.5),
    "wasserstein, central": Wasserstein(operator="central"),
}


def _grids(boundary):
    """Two slices one apart, and one of them alone."""
    extent = 3.0 if boundary == "dirichlet" else 2.0
    both = Grid(Box((0.0, 0.0), (1.0, extent)), (CELLS, 2), boundary, decoupled=(1,))
    assert both.spacing[1] == 1.0
    return both, Grid(Interval(0.0, 1.0), (CELLS,), boundary)


def _fields(closed):
    """A density and two tangents; where slices are closed they conserve the mass of each."""
    rng = np.random.default_rng(0)
    rho = jnp.asarray(rng.uniform(0.5, 1.5, (CELLS, 2)) * [1.0, 3.0])
    tangents = rng.normal(size=(2, CELLS, 2))
    if closed:
        tangents = tangents - tangents.mean(axis=1, keepdims=True)
    return rho, *map(jnp.asarray, tangents)


@pytest.mark.parametrize(
    "boundary",
    ["neumann", *(pytest.param(b, marks=pytest.mark.slow) for b in ("dirichlet", "periodic"))],
)
@pytest.mark.parametrize("name", METRICS)
def test_two_slices_are_two_grids(name, boundary):
    metric = METRICS[name]
    if boundary == "periodic" and getattr(metric, "operator", "") == "central":
        pytest.skip("central differences have a zero exterior")
    both, line = _grids(boundary)
    open_ = getattr(metric, "mass", "") == "project"  # then any tangent will do
    rho, u, phi = _fields(not open_)

    @eqx.filter_jit
    def parts(grid, rho, u, phi):
        image = metric.factor(grid, rho)(u)
        covector = metric.covector(grid, rho, phi)
        return jnp.vdot(image, image), jnp.vdot(covector, image), jnp.vdot(covector, covector)

    found = parts(both, rho, u, phi)
    alone = [parts(line, rho[:, s], u[:, s], phi[:, s]) for s in (0, 1)]
    if not metric.has_covector(both):
        found, alone = found[:1], [one[:1] for one in alone]
    expected = np.sum(alone, axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("metric", [Wasserstein(), FisherRao(mass_preserving=True)])
@pytest.mark.parametrize("matrix_free", [False, True])
def test_mass_may_not_jump_from_slice_to_slice(metric, matrix_free):
    """The masses +1 and -1 of two slices sum to zero, but no flow carries one to the other."""
    grid, _ = _grids("neumann")
    jump = jnp.asarray(np.random.default_rng(1).uniform(0.5, 1.0, (CELLS, 2)))
    jump = jump / jnp.sum(jump, axis=0) * jnp.asarray([1.0, -1.0])

    @eqx.filter_jit
    def matrix(tangent):
        objective = StateObjective(ExplicitState(grid, lambda q: 1 + q[0] * tangent), jnp.sum)
        system = metric.system(objective, jnp.zeros(1), (), matrix_free=matrix_free)
        return system.operator.as_matrix()

    with pytest.raises(eqx.EquinoxRuntimeError, match="do not conserve mass"):
        matrix(jump)
    assert jnp.isfinite(matrix(jump - jnp.mean(jump, axis=0))).all()


SETTINGS = (
    {},
    {"operator": "central"},
    {"mass": "project"},
    {"mass": "ignore"},
    {"unbalanced": 0.5},
)
GRIDS = [("neumann", (1,)), ("neumann", ()), ("dirichlet", ()), ("periodic", ())]


@pytest.mark.parametrize(
    ("boundary", "decoupled"),
    [GRIDS[0], *(pytest.param(*grid, marks=pytest.mark.slow) for grid in GRIDS[1:])],
)
@pytest.mark.parametrize("elliptic", ["direct", "cg", "multigrid"])
@pytest.mark.slow
def test_every_option_stored_and_by_products(elliptic, boundary, decoupled):
    """Many in one program: compilation is what they cost."""
    grid = Grid(Box((0.0, 0.0), (1.0, 2.0)), (4, 3), boundary, decoupled=decoupled)
    waves = jnp.asarray(np.random.default_rng(2).normal(size=(2, 4, 3)))

    def density(theta):
        rho = jnp.exp(jnp.tensordot(theta, waves, 1))
        return rho / grid.totals(rho)

    objective = StateObjective(ExplicitState(grid, density), lambda r: jnp.sum(r**2))
    theta = jnp.asarray([0.3, -0.2])

    staggered = boundary == "periodic" or elliptic == "multigrid"
    options = SETTINGS[:1] + SETTINGS[2:] if staggered else SETTINGS

    @jax.jit
    def matrices(theta):
        found = []
        for option in options:
            metric = Wasserstein(elliptic=elliptic, **option)
            stored = metric.system(objective, theta, ()).operator
            free = metric.system(objective, theta, (), matrix_free=True).operator
            w = jnp.cos(jnp.arange(free.out_size()))
            found.append((stored.as_matrix(), free.as_matrix(), w, free.T.mv(w)))
        return found

    for stored, products, w, pulled in matrices(theta):
        np.testing.assert_allclose(products, stored, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(pulled, stored.T @ w, rtol=1e-7, atol=1e-9)
