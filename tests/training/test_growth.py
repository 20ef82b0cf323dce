"""Runs that look between their points: growth, exact resume, and ends that are true."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import (
    GaussLegendre,
    Interval,
    MonteCarlo,
    Residual,
    ResidualObjective,
    laplacian,
    optimizers,
    train,
)
from pinn_ngd.models import MLP
from pinn_ngd.storage import Checkpoint
from pinn_ngd.validation.watch import SOLVED

LINE = Interval(0.0, 1.0)
OPTIMIZER = optimizers.get("engd-tr")


def exact(x):
    return jnp.sin(2 * jnp.pi * x[0])


def equation(u, x):
    return laplacian(u)(x) + 4 * jnp.pi**2 * exact(x)


ENDS = Residual(lambda u, x: u(x), GaussLegendre(LINE.boundary(), 1), 100.0, "ends")
FEW = ResidualObjective([Residual(equation, GaussLegendre(LINE, 5), name="interior"), ENDS])
NET = MLP((1, 10, 1), key=jax.random.key(0), domain=LINE)


def solve(objective=FEW, model=NET, **settings):
    return train(objective, model, OPTIMIZER, key=jax.random.key(1), **settings)


@pytest.fixture(scope="module")
def grown():
    return solve(steps=40)


@pytest.mark.slow
def test_on_fixed_points_a_network_interpolates_and_the_run_says_so():
    result = solve(steps=40, grow=False)
    assert result.status == "overfitted"
    assert "take more points" in result.message
    assert result.history[-1]["points"] == 7
    assert result.held_out.loss > 1e4 * result.loss


def test_points_that_grow_let_the_held_out_loss_follow(grown):
    points = [line["points"] for line in grown.history]
    assert points[0] == 7
    assert points[-1] > 14
    assert grown.status in ("budget", "converged")
    assert grown.held_out.loss < 1e-9
    assert grown.estimate.reliable
    assert grown.measures["estimated_relative_l2"] == grown.estimate.relative_l2


def test_overtime_ends_when_the_held_out_residuals_are_small(tmp_path):
    start = solve(steps=0).held_out.loss
    kept = Checkpoint(tmp_path / "cut.eqx", every_seconds=0.0)
    result = solve(steps=5, overtime=8)
    assert 5 < result.steps < 40
    losses = [line["held_out_loss"] / start for line in result.history]
    assert losses[-1] <= SOLVED < min(losses[4:-1])
    for cut in (7, result.steps - 1, result.steps):
        stops = lambda line, cut=cut: line["step"] == cut and "stop"  # noqa: E731
        solve(steps=5, overtime=8, checkpoint=kept, callbacks=stops)
        again = solve(steps=5, overtime=8, checkpoint=kept, resume=True)
        assert (again.steps, again.loss) == (result.steps, result.loss)
        assert again.cells == result.cells
    assert solve(steps=result.steps, overtime=8).steps == result.steps
    assert solve(steps=5, overtime=8, grow=False).steps == 5  # where it need not help


def test_history_tells_both_losses_of_every_term(grown):
    last = grown.history[-1]
    parts = [last[f"loss_{name}"] for name in ("interior", "ends")]
    held_out = [last[f"held_out_{name}"] for name in ("interior", "ends")]
    np.testing.assert_allclose(sum(held_out), last["held_out_loss"], rtol=1e-12)
    np.testing.assert_allclose(sum(parts), last["loss"], rtol=1e-6)


@pytest.mark.slow
def test_a_run_cut_anywhere_grows_as_the_uncut_one(tmp_path):
    whole = solve(steps=18)
    changes = np.flatnonzero(np.diff([line["points"] for line in whole.history])) + 1
    assert len(changes) > 0
    for cut in sorted({*changes, *(changes + 1), 3}):
        checkpoint = Checkpoint(tmp_path / f"{cut}.eqx")
        solve(steps=int(cut), checkpoint=checkpoint)
        rest = solve(steps=18, checkpoint=checkpoint, resume=True)
        same = jax.tree.map(np.array_equal, rest.model, whole.model)
        assert all(jax.tree.leaves(eqx.filter(same, lambda leaf: isinstance(leaf, bool))))
        assert rest.history[-1]["points"] == whole.history[-1]["points"]


@pytest.mark.slow
def test_a_tolerance_ends_the_run_at_an_error_that_is_below():
    enough = ResidualObjective([Residual(equation, GaussLegendre(LINE, 24)), ENDS])
    result = solve(enough, steps=60, tolerance=1e-4)
    assert result.status == "converged"
    assert result.estimate.relative_l2 <= 1e-4
    x = np.linspace(0.0, 1.0, 101)[:, None]
    error = jax.vmap(lambda p: result.model(p) - exact(p))(jnp.asarray(x))
    assert np.sqrt(np.mean(error**2)) < 2e-4 * np.sqrt(0.5)


def test_a_tolerance_may_be_asked_of_the_corrected_solution():
    enough = ResidualObjective([Residual(equation, GaussLegendre(LINE, 24)), ENDS])
    result = solve(enough, steps=60, tolerance=1e-7, corrected=True)
    assert result.status == "converged"
    assert "with the corrected solution" in result.message
    assert result.estimate.corrected_l2 <= 1e-7
    x = jnp.linspace(0.0, 1.0, 101)[:, None]
    error = jax.vmap(lambda p: result.solution(p) - exact(p))(x)
    assert jnp.sqrt(jnp.mean(error**2)) < 2e-7 * jnp.sqrt(0.5)


def test_an_activation_without_second_derivative_is_stalled_and_not_converged():
    flat = eqx.nn.MLP(1, "scalar", 6, 1, jax.nn.relu, key=jax.random.key(0))
    result = solve(model=flat, steps=500)
    assert result.status == "stalled"
    assert "residual left" in result.message
    assert not result.estimate.reliable


@pytest.mark.slow
def test_a_perfect_start_has_converged():
    class Line(eqx.Module):
        slope: jax.Array

        def __call__(self, x):
            return self.slope * x[0]

    objective = ResidualObjective([Residual(lambda u, x: u(x) - x[0], GaussLegendre(LINE, 4))])
    result = solve(objective, Line(jnp.asarray(1.0)), steps=20)
    assert result.status == "converged"
    assert float(result.model.slope) == 1.0


@pytest.mark.slow
def test_points_that_are_drawn_anew_do_not_grow():
    drawn = ResidualObjective([Residual(equation, MonteCarlo(LINE, 5)), ENDS])
    result = solve(drawn, steps=10)
    assert {line["points"] for line in result.history} == {7}
    assert all(np.isfinite(line["held_out_loss"]) for line in result.history)
