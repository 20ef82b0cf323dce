"""Two runs that train differently have different fingerprints, and equal ones the same."""

import functools

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
