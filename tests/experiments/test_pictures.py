import jax
import jax.numpy as jnp
import pytest

from pinn_ngd import GaussLegendre, Interval, Problem, Residual, ResidualObjective
from pinn_ngd.experiments import pictures
from pinn_ngd.experiments.run_folder import RunFolder
from pinn_ngd.models import MLP
from pinn_ngd.validation import ErrorEstimate

LINE = Interval(0.0, 1.0)
PROBLEM = Problem(
    name="flat", description="u = 0",
    objective=ResidualObjective([Residual(lambda u, x: u(x), GaussLegendre(LINE, 4))]),
    model=MLP((1, 2, 1), key=jax.random.key(0)), domain=LINE,
)  # fmt: skip


@pytest.mark.parametrize(("unexplained", "drawn"), [(0.01, True), (0.3, True), (0.9, False)])
def test_an_estimate_that_knows_nothing_is_not_drawn(tmp_path, monkeypatch, unexplained, drawn):
    shown = []
    monkeypatch.setattr(pictures.plotting, "save", lambda figure, _: shown.append(figure) or [])
    model = PROBLEM.model(jax.random.key(0))
    estimate = ErrorEstimate(1.0, 1.0, unexplained, lambda x: 0.1 * jnp.sum(x), model)
    pictures.draw_solution(PROBLEM, model, RunFolder(tmp_path), estimate)
    labels = {label for ax in shown[0].axes for label in (ax.get_ylabel(), ax.get_title())}
    assert any("estimated error" in label for label in labels) is drawn
