"""Every optimizer x solver x metric x objective: it runs, or is refused in one sentence.

A step is traced and not compiled; what a trace finds wrong, a run would.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinn_ngd import (
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
    StateMisfit,
    StateObjective,
    metrics,
    optimizers,
)
from pinn_ngd.linalg import solver_names
from pinn_ngd.models import MLP

from .helpers import network, ritz_1d

UNIT = Interval(0.0, 1.0)
GRID = Grid(UNIT, (8,), "dirichlet")
POINTS = np.linspace(0.0, 1.0, 6)[:, None]
STATE = ExplicitState(GRID, lambda m: 3 + jax.vmap(m)(GRID.points))
MODEL = network(width=3)
OBJECTIVES = {
    "residual": ResidualObjective(  # two terms, without derivatives: they only take time to trace
        [
            Residual(lambda u, x: jnp.stack([u(x), u(x) ** 2]), GaussLegendre(UNIT, 4)),
            Residual(lambda u, x: u(x), GaussLegendre(UNIT.boundary(), 1), 10.0, "boundary"),
        ]
    ),
    "energy": ritz_1d(4),
    "classification": ClassificationObjective(
        Shuffled(POINTS, np.asarray([0, 1, 0, 1, 1, 0]), 4), loss="binary"
    ),
    "state": StateObjective(STATE, lambda rho: jnp.sum(rho**2)),
    "misfit": StateMisfit(STATE, lambda rho: rho - 1),
    "samples": SampleObjective(lambda m, z: m(z)[None], jnp.asarray(POINTS), jnp.var),
}
STATE_METRICS = [name for name in metrics.names() if metrics.needs_state(name)]
NO_ENERGY = "the objective .* has no energy metric of its own: take an optimizer with another"


def _traced(optimizer, objective, model=MODEL):
    batch = objective.batch(jax.random.key(0))

    def one_step(m):
        state = optimizer.init(m, objective, batch)
        return optimizer.step(m, state, objective, batch, key=jax.random.key(1))

    new, _, info = eqx.filter_eval_shape(one_step, model)
    assert _types(new) == _types(model)
    assert info.stop.shape == ()


def _types(model):
    return [leaf.dtype for leaf in jax.tree.leaves(model) if hasattr(leaf, "dtype")]


def _refusal(name, metric, kind):
    """What is said of a pair that does not fit; None where it fits."""
    if name in ("kfac", "ekfac", "seng", "sp-ngd"):
        return None if kind == "classification" else "knows no inputs and cotangents of layers"
    if name == "ngd-gp":
        return "this model holds none: give one of `applications.gp`"
    if name == "scipy-lm":
        return None if kind in ("residual", "misfit") else "minimizes sums of squared residuals"
    if name == "kfac-pinn":
        return None if kind == "residual" else "takes the residuals of a ResidualObjective apart"
    if name == "engd-sub":
        return None if kind == "residual" else "takes a part of the rows of a ResidualObjective"
    settings = optimizers.settings(name)
    if name in OF_FAMILIES or metric == "dually-flat":
        return "the model is a MLP, which has no natural coordinates"
    quasi_newton = ("lbfgs", "bfgs", "ssbfgs", "ssbroyden")
    gradient = name in ("adam", "muon", "sgd", "signsgd", "gd", "nncg", *quasi_newton)
    metric = metric or settings.get("metric", "euclidean" if gradient else "energy")
    if metric == "wasserstein-kernel" and kind != "samples":
        return "the kernelized Wasserstein metric measures samples, and .* has none"
    if metric == "energy" and kind in ("state", "samples"):
        return NO_ENERGY
    if name == "ngd-cg" and kind == "energy":
        return "EnergyObjective has no matrix-free system, which this optimizer needs"
    if name == "spring" and kind == "energy":
        return "`momentum` needs a system with residuals"
    return None


def _metric(name):
    state = {"state": PointwiseState(GRID)} if metrics.needs_state(name) else {}
    return metrics.get(name, **state)


def _check(name, kind, metric=None, solver=None):
    settings = {} if solver is None else {"solver": solver}
    if "metric" in optimizers.settings(name):
        chosen = metric or optimizers.settings(name)["metric"]
        metric, settings["metric"] = chosen, _metric(chosen)
    optimizer, objective = optimizers.get(name, **settings), OBJECTIVES[kind]
    refusal = _refusal(name, metric, kind)
    if refusal is not None:
        with pytest.raises(ValueError, match=refusal) as found:
            _traced(optimizer, objective)
        assert str(found.value).split("\n---")[0].count("\n") == 0
    elif optimizer.jittable:
        _traced(optimizer, objective)
    else:
        optimizer.init(MODEL, objective, objective.batch())


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("name", optimizers.names())
def test_an_optimizer_trains_an_objective_or_says_why_not(name, kind):
    _check(name, kind)


@pytest.mark.parametrize("solver", solver_names())
@pytest.mark.parametrize(
    "name", [n for n in optimizers.names() if "solver" in optimizers.settings(n)]
)
def test_an_optimizer_takes_every_solver(name, solver):
    for kind in ("residual", "energy", "classification"):  # one of each kind of linear system
        _check(name, kind, solver=solver, metric="h1" if name == "wngd" else None)


@pytest.mark.parametrize("metric", metrics.names())
@pytest.mark.parametrize(
    "name", [n for n in optimizers.names() if "metric" in optimizers.settings(n)]
)
def test_an_optimizer_takes_every_metric(name, metric):
    for kind in OBJECTIVES:
        _check(name, kind, metric=metric)


@pytest.mark.parametrize("form", ["primal", "dual", "matrix-free"])
def test_forms(form):
    solver = "lsmr" if form == "matrix-free" else None
    for kind in ("residual", "energy", "classification", "misfit"):
        optimizer = optimizers.get("engd-tr", form=form, solver=solver)
        if (kind, form) == ("energy", "matrix-free"):
            with pytest.raises(ValueError, match="has no matrix-free system"):
                _traced(optimizer, OBJECTIVES[kind])
        else:
            _traced(optimizer, OBJECTIVES[kind])


def test_a_form_that_needs_products_refuses_a_solver_that_needs_the_matrix():
    optimizer = optimizers.get("engd-tr", form="matrix-free")
    with pytest.raises(ValueError, match="`form` is 'matrix-free', but `solver` QLP needs"):
        _traced(optimizer, OBJECTIVES["residual"])


OF_FAMILIES = ("sngd", "megd", "csngd", "dsngd")
OF_OTHERS = ("wngd", "scipy-lm", "engd-sub", "kfac-pinn", "ngd-gp", *OF_FAMILIES)
SINGLE = MLP((1, 3, 1), key=jax.random.key(0), dtype=jnp.float32)
SINGLES = ClassificationObjective(
    Shuffled(POINTS.astype(np.float32), np.asarray([0, 1, 0, 1, 1, 0]), 4), loss="binary"
)


@pytest.mark.parametrize("name", [n for n in optimizers.names() if n not in OF_OTHERS])
def test_single_precision_beside_double(name):
    """Data and model of classification problems are float32 while JAX's default is float64."""
    _traced(optimizers.get(name), SINGLES, SINGLE)


def test_types_of_parameters_are_declared():
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if eqx.is_array(x) else x, SINGLE)
    with pytest.raises(ValueError, match="bfloat16, and TrustRegion trains float32 and float64"):
        optimizers.get("engd-tr").init(half, OBJECTIVES["residual"], None)
    optimizers.OptaxOptimizer(optax.sgd(0.1)).init(half, OBJECTIVES["residual"], None)
