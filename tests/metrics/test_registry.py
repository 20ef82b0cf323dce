"""Names of metrics, and what a class of somebody else says of itself."""

import jax.numpy as jnp
import pytest

from pinn_ngd import (
    GaussLegendre,
    Grid,
    Interval,
    PointwiseState,
    Problem,
    Residual,
    ResidualObjective,
    metrics,
)
from pinn_ngd.experiments.state_metrics import DENSITY, with_state
from pinn_ngd.metrics import AbstractMetric, AbstractStateMetric
from pinn_ngd.states import AbstractState

LINE = Interval(0.0, 1.0)
STATE = PointwiseState(Grid(LINE, (8,)))
OBJECTIVE = ResidualObjective([Residual(lambda u, x: u(x), GaussLegendre(LINE, 2))])
PROBLEM = Problem("tiny", "a tiny problem", OBJECTIVE, lambda key: key, LINE)


class Foreign(AbstractMetric):
    """A metric of a state that shares no class with ours but the first."""

    needs_state = True
    state: AbstractState | None = None

    def system(self, objective, model, batch, *, matrix_free=False):
        raise NotImplementedError


class ForeignDensity(AbstractStateMetric):
    """A metric of densities that knows a floor and no shift, and is zero for constants."""

    needs_positive = True
    floor: float = 0.0
    state: AbstractState | None = None

    @property
    def is_blind(self):
        return True

    def factor(self, grid, rho):
        return lambda u: u / jnp.sqrt(rho) * grid.cell_volume**0.5

    def covector(self, grid, rho, phi):
        return phi * jnp.sqrt(rho) / grid.cell_volume**0.5


@pytest.fixture
def foreign(registries):
    del registries
    metrics.register("foreign", Foreign)
    metrics.register("foreign-density", ForeignDensity)


def test_ours_say_what_they_need():
    measured = {name for name in metrics.names() if metrics.needs_state(name)}
    assert set(metrics.names()) - measured == {
        "dually-flat",
        "energy",
        "euclidean",
        "wasserstein-kernel",
    }


@pytest.mark.usefixtures("foreign")
def test_a_metric_of_somebody_else_is_given_the_state():
    assert metrics.needs_state("foreign")
    assert metrics.get("foreign", state=STATE).state is STATE
    assert metrics.settings("foreign") == {}
    found = with_state("engd-tr", {"metric": "foreign"}, PROBLEM)["metric"]
    assert found.state.grid.boundary == "neumann"


@pytest.mark.usefixtures("foreign")
def test_a_metric_of_somebody_else_says_what_state_it_needs():
    found = with_state("engd-tr", {"metric": "foreign-density"}, PROBLEM)["metric"]
    assert found.state.grid.boundary == "dirichlet"
    assert found.floor == DENSITY["floor"]


@pytest.mark.usefixtures("foreign")
def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="'foreign' is taken by another metric"):
        metrics.register("foreign", ForeignDensity)
