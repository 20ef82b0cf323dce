"""Settings are checked by type and range when an optimizer or metric is made."""

import lineax as lx
import pytest

from pinn_ngd import metrics, optimizers
from pinn_ngd._names import choose, literal
from pinn_ngd.linalg import get_solver
from pinn_ngd.optimizers import (
    Armijo,
    Averaged,
    Chord,
    FixedStep,
    GridLineSearch,
    NaturalGradient,
    OptaxOptimizer,
    TrustRegion,
)

WRONG = [
    ("engd-w", {"damping": -1}, "`damping` is -1; it must be a number not below 0"),
    ("engd-w", {"damping": float("nan")}, "`damping` is nan"),
    ("engd-tr", {"acceptance": 2}, "`acceptance` is 2; it must be a number at least 0 and below 1"),
    ("engd-tr", {"acceleration": "warp"}, "`acceleration` is 'warp'; it must be one of chord"),
    ("engd-tr", {"acceleration": 5}, "`acceleration` is 5"),
    ("engd-tr", {"corrections": 0}, "`corrections` is 0"),
    ("engd-tr", {"corrections": 1.5}, r"`corrections` is 1\.5; it must be a whole number not"),
    ("engd-tr", {"form": "foo"}, "`form` is 'foo'; it must be one of auto, primal, dual"),
    ("engd-tr", {"solver": 5}, "`solver` is 5; it must be .*AbstractLinearSolver"),
    ("engd-tr", {"solver": "qrr"}, "unknown linear solver 'qrr'.*Did you mean 'qr'"),
    ("engd-tr", {"metric": 5}, "`metric` is 5; it must be a name or of the class AbstractMetric"),
    ("engd-tr", {"metric": "wassersteinn"}, "unknown metric.*Did you mean 'wasserstein'"),
    ("engd-tr", {"metric": "h1", "metric.floor": 1}, "metric 'h1' has no setting floor; it has"),
    ("wngd", {"metric.floor": -1}, "`floor` is -1; it must be a number not below 0"),
    ("wngd", {"metric.mass": "chek"}, "`mass` is 'chek'.*Did you mean 'check'"),
    ("wngd", {"metric": metrics.get("l2"), "metric.order": 1}, "goes with the name of a metric"),
    ("bfgs", {"metric.floor": 1}, r"optimizer 'bfgs' has no setting metric\.floor; it has none"),
    ("wngd", {"search": "armjo"}, "`search` is 'armjo'.*Did you mean 'armijo'"),
    ("wngd", {"sketch": 0}, "`sketch` is 0"),
    ("wngd", {"norm_limit": 0.0}, r"`norm_limit` is 0\.0; it must be a number above 0"),
    ("wngd", {"bounds": (1.0, 0.0)}, "`bounds` are"),
    ("spring", {"momentum": 2}, "`momentum` is 2"),
    ("spring", {"momentum": 1.0}, r"`momentum` is 1\.0"),
    ("adam", {"rate": "abc"}, "`rate` is 'abc'; it must be a number above 0"),
    ("adam", {"rate": 0}, "`rate` is 0"),
    ("adam", {"rate": True}, "`rate` is True"),
    ("adam", {"rate": None}, "`rate` is None"),
    ("adam", {"average": 1}, "`average` is 1"),
    ("adam", {"schedule": "cosin"}, "`schedule` is 'cosin'.*Did you mean 'cosine'"),
    ("adam", {"decay_steps": 0}, "`decay_steps` is 0"),
    ("lbfgs", {"memory": 0}, "`memory` is 0; it must be a whole number not below 1"),
    ("lbfgs", {"memory": float("inf")}, "`memory` is inf"),
    ("scipy-lm", {"evaluations": 0}, "`evaluations` is 0"),
    ("ngd", {"damping": 0}, "`damping` is 0; it must be a number above 0"),
    ("ngd", {"adaption": "fix"}, "`adaption` is 'fix'.*Did you mean 'fixed'"),
    ("ngd-cg", {"iterations": 0}, "`iterations` is 0"),
    ("ngd-cg", {"iterations": [1]}, r"`iterations` is \[1\]"),
    ("tngd", {"time": -1}, "`time` is -1"),
    ("tngd", {"delay": 11}, "`delay` is 11"),
    ("tngd", {"bits": 0}, "`bits` is 0"),
    ("tngd", {"carry": 1}, "`carry` is 1; it must be True or False"),
    ("tngd", {"noise": -0.1}, r"`noise` is -0\.1"),
    ("tngd-adam", {"beta1": 1.0}, r"`beta1` is 1\.0"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_a_setting_that_cannot_be_is_refused_by_name(name, settings, words):
    with pytest.raises(ValueError, match=words) as found:
        optimizers.get(name, **settings)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("engd-tr", {"acceptance": 0, "solver": lx.QR(), "corrections": 2.0}),
        ("engd-w", {"damping": 0, "rate": 1}),
        ("wngd", {"norm_limit": float("inf"), "metric.floor": 1, "metric.unbalanced": 1}),
        ("wngd", {"metric": "h1", "metric.order": 2, "bounds": None}),
        ("ngd", {"solver": get_solver("cholesky"), "momentum": 0}),
        ("tngd", {"time": 0, "bits": 8}),
    ],
)
def test_settings_in_range_are_taken(name, settings):
    assert isinstance(optimizers.get(name, **settings), optimizers.AbstractOptimizer)


def test_settings_reach_the_metric():
    made = optimizers.get("wngd", **{"metric": "h1", "metric.order": 2})
    assert made.metric == metrics.get("h2")
    for name in metrics.names():
        assert "state" not in metrics.settings(name)
        metrics.get(name, **metrics.settings(name))


# In these tests beartype looks at the types of a constructor's arguments first.
@pytest.mark.parametrize(
    "make",
    [
        lambda: NaturalGradient(form="foo"),
        lambda: NaturalGradient(solver=5),
        lambda: NaturalGradient(metric=5),
        lambda: NaturalGradient(damping=-1.0),
        lambda: NaturalGradient(momentum=1.0),
        lambda: NaturalGradient(search="armijo"),
        lambda: TrustRegion(form="foo"),
        lambda: TrustRegion(metric="h1"),
        lambda: TrustRegion(acceptance=2.0),
        lambda: TrustRegion(grid=(1.0, 0.1, 3)),
        lambda: TrustRegion(metric=metrics.get("l2")),
        lambda: Armijo(fraction=1.0),
        lambda: FixedStep(-1.0),
        lambda: GridLineSearch(largest=0.0),
        lambda: Chord(iterations=0),
        lambda: Averaged(optimizers.get("sgd"), 1.0),
        lambda: OptaxOptimizer(None),
        lambda: metrics.Wasserstein(floor=-1.0),
        lambda: metrics.Wasserstein(mass="none"),
        lambda: metrics.FisherRao(floor=float("nan")),
        lambda: metrics.KernelWasserstein(basis=0),
        lambda: metrics.Sketched(metrics.get("l2"), 0),
    ],
)
def test_objects_check_their_fields(make):
    with pytest.raises((ValueError, TypeError)):
        make()


@pytest.mark.parametrize("kind", ["optimizers", "metrics"])
def test_a_name_is_given_once(kind):
    module = {"optimizers": optimizers, "metrics": metrics}[kind]
    name = next(iter(module.names()))
    with pytest.raises(ValueError, match=f"the name '{name}' is taken"):
        module.register(name, metrics.Euclidean if name == "energy" else optimizers.TrustRegion)


def test_choose_names_the_nearest():
    known = {"one": 1, "two": 2}
    assert choose("one", known, "number") == 1
    assert choose("one", list(known), "number") == "one"
    with pytest.raises(
        ValueError, match=r"unknown number 'tow'; known are one, two\. Did .* 'two'"
    ):
        choose("tow", known, "number")
    with pytest.raises(ValueError, match=r"^`n` is 5; it must be one of one, two\.$"):
        choose(5, known, "`n`")


@pytest.mark.parametrize(
    "text", ["(" * 500, "[" * 50_000, "{[]: 1}", "-" * 50_000 + "1", "{{}}"], ids=lambda t: t[:8]
)
def test_expressions_that_python_cannot_hold(text):
    try:  # which of the two it is depends on the version of Python
        found = literal(text)
    except ValueError as error:
        found = str(error)
    assert found == text or ("is no Python literal" in found and len(found) < 200)
