"""The default optimizer by size: nothing of the size of a step is allocated, nothing crashes."""

import jax
import jax.numpy as jnp
import pytest

from pinn_ngd import (
    Box,
    FiniteElements,
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    Sobol,
    WeakResidual,
    gradient,
    optimizers,
)
from pinn_ngd.models import MLP
from pinn_ngd.optimizers import cost, suited
from pinn_ngd.optimizers.by_size import remark
from pinn_ngd.optimizers.cost import Cost
from tests.optimizers.helpers import network, poisson_1d, ritz_1d, run

KEY = jax.random.key(0)
LARGE = MLP((5, 64, 64, 48, 48, 1), key=KEY)  # 10,065 parameters


def fit(points):
    domain = Box((0.0,) * 5, (1.0,) * 5)
    return ResidualObjective([Residual(lambda u, x: u(x), Sobol(domain, points))])


def chosen(objective, model):
    return suited(objective, model, objective.batch())


def with_memory(monkeypatch, size):
    monkeypatch.setattr(cost, "total_memory", lambda: float(size))


@pytest.mark.parametrize(
    ("memory", "points", "name", "settings"),
    [
        (1e12, 64, "engd-tr", {}),
        (1e12, 3500, "engd-sub", {"rows": 512, "full_after": 114}),  # too slow
        (1e12, 2**17, "engd-sub", {"rows": 512}),  # too slow even in the end
        (2.0e7, 64, "engd-sub", {"rows": 32}),  # too large
        (1.0e8, 3500, "engd-sub", {"rows": 128}),
        (5.0e6, 3500, "engd-tr", {"form": "matrix-free"}),  # not even 32 rows
    ],
)
def test_the_first_form_that_fits_is_taken(monkeypatch, memory, points, name, settings):
    with_memory(monkeypatch, memory)
    found = chosen(fit(points), LARGE)
    assert found.name == name
    assert settings.items() <= found.settings.items()
    assert ("full_after" in settings) == ("full_after" in found.settings)
    assert found.cost.fits
    assert found.why.endswith(".")
    assert ". " not in found.why  # one sentence
    optimizers.get(found.name, **found.settings)


def test_the_sentence_says_what_was_too_much_and_what_is_done(monkeypatch):
    with_memory(monkeypatch, 1e12)
    found = chosen(fit(3500), LARGE)
    assert "3,500 rows x 10,065 parameters would take engd-tr about 25 s and 1.4 GB" in found.why
    assert "engd-sub takes 512 random points for a step" in found.why
    assert found.why.endswith(", and all rows after 114 of them.")


def test_what_has_no_part_of_rows_stays_exact_while_it_fits(monkeypatch):
    line = Interval(0.0, 1.0)
    weak = WeakResidual(lambda u, x: (-1.0, gradient(u)(x)), FiniteElements(line, 64, 4))
    for objective in (ResidualObjective([weak]), ritz_1d(64)):
        model = MLP((1, 32, 32, 1), key=KEY)
        with_memory(monkeypatch, 1e12)
        monkeypatch.setattr(cost, "MOST_SECONDS", 0.0)
        found = chosen(objective, model)
        assert (found.name, dict(found.settings)) == ("engd-tr", {})
        assert "no part of its rows stands alone" in found.why
        with_memory(monkeypatch, 1e6)
        assert chosen(objective, model).settings["form"] == "matrix-free"


@pytest.mark.slow
def test_the_matrix_free_end_makes_steps(monkeypatch):
    with_memory(monkeypatch, 1e3)
    objective, model = poisson_1d(), network()
    found = chosen(objective, model)
    start = float(objective.loss(model, objective.batch()))
    _, info = run(optimizers.get(found.name, **found.settings), model, objective, 3)
    assert float(info.loss) < 0.5 * start


def test_who_names_a_large_step_is_told_what_would_be_cheaper(monkeypatch):
    with_memory(monkeypatch, 1e12)
    objective, batch = fit(3500), fit(3500).batch()
    said = remark(optimizers.get("engd-tr"), objective, LARGE, batch)
    assert said is not None
    assert "cheaper is `--optimizer engd-sub --set rows=512 --set full_after=114`, about" in said
    with_memory(monkeypatch, 4e8)
    assert "more than half of the memory" in str(
        remark(optimizers.get("engd-tr"), objective, LARGE, batch)
    )


def test_nothing_is_said_of_what_would_be_chosen(monkeypatch):
    monkeypatch.setattr(cost, "MOST_SECONDS", 0.0)
    objective = fit(3500)
    found = chosen(objective, LARGE)
    optimizer = optimizers.get(found.name, **found.settings)
    assert remark(optimizer, objective, LARGE, objective.batch()) is None


@pytest.mark.parametrize("name", ["engd-sub", "adam"])
def test_nothing_is_said_of_what_is_cheap_or_unknown(name):
    objective = fit(3500)
    assert remark(optimizers.get(name), objective, LARGE, objective.batch()) is None


def test_costs_grow_with_both_sides_and_say_so():
    exact = [cost.exact_cost(n, p).operations for n, p in ((100, 50), (200, 50), (200, 500))]
    assert exact == sorted(exact)
    assert cost.exact_cost(300, 70).bytes == 2 * cost.exact_cost(300, 70, 4).bytes
    assert cost.part_cost(512, 10_065).operations < cost.exact_cost(3500, 10_065).operations / 50
    assert str(Cost(8e11, 2.82e8)) == "about 20 s and 282 MB"


def test_the_memory_of_the_machine_is_known_and_that_of_a_container_counts(monkeypatch):
    assert 2**28 < cost.total_memory() < 2**50
    monkeypatch.setattr(cost, "_limit_of_the_container", lambda: 123.0)
    assert cost.total_memory() == 123.0


@pytest.mark.slow
@pytest.mark.parametrize(("points", "widths"), [(300, (1, 20, 20, 1)), (1200, (1, 12, 12, 1))])
def test_estimated_memory_is_that_of_the_compiled_step(points, widths):
    """What XLA says of the compiled step, which is not run, is at most what was estimated."""
    import equinox as eqx

    objective = ResidualObjective(
        [Residual(lambda u, x: u(x) - jnp.sin(x[0]), GaussLegendre(Interval(0.0, 1.0), points))]
    )
    model, optimizer, batch = MLP(widths, key=KEY), optimizers.get("engd-tr"), objective.batch()
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(optimizer.step)
    compiled = step.lower(model, state, objective, batch, key=KEY).compile()
    used = compiled.compiled.memory_analysis().temp_size_in_bytes
    estimated = optimizer.cost(objective, model, batch).bytes
    assert 0.7 * estimated < used < estimated
