"""A problem that asks for windows is run window by window, and read back as one function."""

import jax.numpy as jnp
import numpy as np
import pytest

import pinn_ngd
from pinn_ngd import (
    FolderError,
    GaussLegendre,
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    SpaceTime,
    time_derivative,
)
from pinn_ngd.experiments import run_problem
from pinn_ngd.models import MLP
from pinn_ngd.training import AbstractCallback

DOMAIN = SpaceTime(Interval(0.0, 1.0), Interval(0.0, 1.0))
OBJECTIVE = ResidualObjective(
    [
        Residual(lambda u, x: time_derivative(u)(x) + u(x), GaussLegendre(DOMAIN, (4, 2))),
        Residual(lambda u, x: u(x) - 1, GaussLegendre(DOMAIN.initial(), 2), name="initial"),
    ]
)
PROBLEM = Problem(
    name="decay",
    description="u_t = -u",
    objective=OBJECTIVE,
    model=lambda key: MLP((2, 3, 1), key=key),
    domain=DOMAIN,
    exact=lambda x: jnp.exp(-x[0]),
    evaluation=GaussLegendre(DOMAIN, 6).quadrature(),
    fixed_points=True,
    windows=2,
)


@pytest.mark.slow
def test_run_read_cut_and_resumed(tmp_path):
    whole = tmp_path / "whole"
    result = run_problem(PROBLEM, steps=8, out=whole, pictures=False)
    assert result["steps"] <= 8
    assert "2 windows" in result["message"]
    run = pinn_ngd.load_run(whole, problem=PROBLEM)
    assert {line["window"] for line in run.history} == {1, 2}
    np.testing.assert_allclose(
        pinn_ngd.relative_l2(run.model, PROBLEM.exact, PROBLEM.evaluation), result["relative_l2"]
    )
    assert run.result["relative_l2"] < 0.1
    with pytest.raises(FolderError, match="all windows of this run have ended"):
        run_problem(PROBLEM, steps=9, out=whole, resume=True, pictures=False)

    class Dies(AbstractCallback):
        def on_step(self, record, model):
            del model
            if record["window"] == 2:
                raise RuntimeError("the machine went away")

    cut = tmp_path / "cut"
    with pytest.raises(RuntimeError):
        run_problem(PROBLEM, steps=8, out=cut, pictures=False, callbacks=[Dies()])
    (cut / "result.json").unlink()  # that of an error; a process that is killed leaves none
    again = run_problem(PROBLEM, steps=8, out=cut, resume=True, pictures=False)
    for name in ("steps", "status", "message", "relative_l2", "estimated_relative_l2"):
        assert again[name] == result[name], name
    lines = [pinn_ngd.load_run(f, problem=PROBLEM).history for f in (cut, whole)]
    assert [line["step"] for line in lines[0]] == [line["step"] for line in lines[1]]
