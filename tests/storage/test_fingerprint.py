"""Two runs that train differently have different fingerprints, and equal ones the same."""

import functools
import linecache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import GaussLegendre, Interval, Residual, ResidualObjective, optimizers
from pinn_ngd.models import MLP
from pinn_ngd.storage.fingerprint import (
    fingerprint,
    first_difference,
    meaning_of,
    moments,
)
from tests.training.helpers import Descent, Linear


def residual(k):
    return lambda u, x: k * u(x)


def objective(points=4, weight=1.0, fn=None):
    rule = GaussLegendre(Interval(0.0, 1.0), points)
    return ResidualObjective([Residual(residual(1.0) if fn is None else fn, rule, weight)])


def test_equal_parts_agree():
    assert fingerprint(objective()) == fingerprint(objective())
    assert fingerprint(Descent()) == fingerprint(Descent())
    for name in optimizers.names():
        assert fingerprint(optimizers.get(name)) == fingerprint(optimizers.get(name))


@pytest.mark.parametrize(
    "other",
    [
        objective(points=5),
        objective(weight=2.0),
        objective(fn=residual(2.0)),
        objective(fn=lambda u, x: u(x) + 1.0),
        objective(fn=functools.partial(lambda k, u, x: k * u(x), 1.0)),
    ],
    ids=["points", "weight", "closure", "source", "partial"],
)
def test_another_objective_differs(other):
    assert first_difference(fingerprint(objective()), fingerprint(other)) is not None


SCRIPT = """
import jax
import jax.numpy as jnp
import equinox as eqx
K, CALLS, TABLE = {k}, {calls}, jnp.asarray([1.0, {entry}])
class Own(eqx.Module):
    a: jax.Array
    def __call__(self, x):
        return self.a * x[0]{power}
def source(x):
    return {factor} * x[0]
def residual(u, x):
    global CALLS
    CALLS += 1
    return K * u(x) - jnp.sum(TABLE) * (lambda y: source(y))(x)
"""
SCRIPTED = {"k": 2.0, "calls": 0, "entry": 0.5, "power": "", "factor": 3.0}


def scripted(folder, **changes):
    """What a script of the user's defines, as after an import of it."""
    path = folder / "their_script.py"
    path.write_text(SCRIPT.format(**SCRIPTED | changes))
    linecache.checkcache(str(path))
    scope = {"__name__": "their_script"}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    return scope


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": 2.5}, "`globals.K` is 2.0 there and 2.5 here"),
        ({"entry": 0.75}, "`globals.TABLE` is"),
        ({"factor": 4.0}, "`globals.source.source` is"),
    ],
)
def test_globals_that_a_users_function_reads_count(tmp_path, changes, words):
    there = fingerprint(scripted(tmp_path)["residual"])
    assert fingerprint(scripted(tmp_path)["residual"]) == there
    here = fingerprint(scripted(tmp_path, **changes)["residual"])
    assert words in first_difference(there, here)


def test_what_a_function_counts_itself_does_not_count(tmp_path):
    there, here = (fingerprint(scripted(tmp_path, calls=n)["residual"]) for n in (0, 7))
    assert set(here["globals"]) == {"K", "TABLE", "source"}
    assert there["globals"] == here["globals"]


def test_functions_of_packages_count_without_their_globals():
    assert "globals" not in fingerprint(meaning_of)
    assert "source" not in fingerprint(MLP((1, 2, 1), key=jax.random.key(0)))


def test_the_source_of_a_users_class_counts():
    there, here = fingerprint(Linear(jnp.ones(2))), fingerprint(Descent())
    assert len(there["source"]) == len(here["source"]) == 16
    assert there["source"] != here["source"]


def test_settings_of_an_optimizer_count():
    there, here = (fingerprint(optimizers.get("adam", rate=rate)) for rate in (1e-3, 1e-2))
    assert first_difference(there, here) is not None


def test_a_network_counts_by_its_structure():
    def network(width, seed, activation=jnp.tanh):
        model = MLP((1, width, 1), key=jax.random.key(seed), activation=activation)
        return fingerprint(model, values=False)

    assert network(3, 0) == network(3, 1)
    assert network(3, 0) != network(4, 0)
    assert network(3, 0) != network(3, 0, jnp.sin)


def test_last_digits_do_not_count_and_other_values_do():
    array = np.random.default_rng(0).standard_normal((50, 3))
    assert moments(array) == moments(array * (1.0 + 1e-15))
    centered = np.asarray([-1.0, 0.0, 1.0])
    assert moments(centered) == moments(centered + 1e-17 * np.asarray([0.0, -1.0, 0.0]))
    for other in (array[::-1], -array, array + 1e-6, 2 * array, np.where(array > 2, np.nan, array)):
        assert moments(array) != moments(other)
    assert len(moments(np.asarray([1.0 + 2.0j]))) == 7
    assert moments(np.zeros(3)) == moments(-np.zeros(3))


def test_comments_and_layout_do_not_count():
    texts = ("def f(x):\n    # why\n    return x+1\n", "def f(x):\n\n    return (x + 1)")
    assert meaning_of(texts[0]) == meaning_of(texts[1])
    assert meaning_of("a, lambda x: x +1),") == meaning_of("a, lambda x: x + 1),")
    assert meaning_of("a, lambda x: x + 1),") != meaning_of("a, lambda x: x + 2),")


def test_cyclic_and_unknown_objects_have_an_end():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert fingerprint(even)["function"] == "even"
    assert fingerprint(object()) == "object"
    deep = []
    for _ in range(100):
        deep = [deep]
    assert "list" in str(fingerprint(deep))
    assert fingerprint(jax.random.key(0)) != fingerprint(jax.random.key(1))
    assert fingerprint(Linear(jnp.ones(2)).__call__) == fingerprint(Linear(jnp.ones(2)).__call__)


def test_the_first_difference_is_named_by_its_path():
    there, here = {"a": [{"b": 1}], "c": 2}, {"a": [{"b": 2}], "c": 3}
    assert first_difference(there, here) == "`a.0.b` is 1 there and 2 here"
    assert first_difference(there, there) is None
    assert first_difference({"a": 1}, {"a": True}) == "`a` is 1 there and True here"
    assert first_difference({"a": [1]}, {"a": [1, 2]}) == "`a` is [1] there and [1, 2] here"
