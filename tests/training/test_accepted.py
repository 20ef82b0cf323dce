"""What people write: names, functions, numbers and paths where the loop takes objects."""

import jax
import numpy as np
import optax
import pytest
import scipy.linalg  # noqa: F401  (its BLAS is what the threads belong to)
import threadpoolctl

from pinn_ngd import Residual, ResidualObjective, optimizers
from pinn_ngd.storage import Checkpoint
from pinn_ngd.training import StopWhen, train
from pinn_ngd.training.accepted import (
    budget_of,
    callbacks_of,
    checkpoint_of,
    evaluate_of,
    key_of,
    objective_of,
    optimizer_of,
    seed_of,
    seeds_of,
    tolerance_of,
)
from pinn_ngd.training.clock import numbers

from .helpers import Descent, Listener, model, regression, solve

DESCENT = Descent()
TERM = Residual(lambda u, x: u(x), np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("engd-tr", optimizers.TrustRegion),
        ("ngd-cg", optimizers.MinibatchNaturalGradient),
        (optax.adam(1e-2), optimizers.OptaxOptimizer),
        (optax.chain(optax.scale_by_adam(), optax.scale(-1e-2)), optimizers.OptaxOptimizer),
        (DESCENT, Descent),
    ],
    ids=["name", "minibatch", "optax", "chain", "own"],
)
def test_an_optimizer_is_a_name_a_transformation_or_an_object(given, kind):
    assert isinstance(optimizer_of(given), kind)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: optimizer_of("engd-t"), "unknown optimizer 'engd-t'.*Did you mean 'engd-tr'"),
        (lambda: optimizer_of(5), "`optimizer` is 5; it must be a name such as 'engd-tr'"),
        (lambda: optimizer_of(optimizers.TrustRegion), "the class TrustRegion, not an instance"),
        (lambda: optimizer_of(None), "`optimizer` is None"),
        (lambda: key_of(None), "`key` is None; it must be a key"),
        (lambda: key_of(0.5), r"`key` is 0\.5"),
        (lambda: key_of(-1), "the seed is -1; it must be a whole number from 0"),
        (lambda: seed_of(2**63), "the seed is 9223372036854775808"),
        (lambda: seed_of(True), "the seed is True"),
        (lambda: seeds_of(3), r"`seeds` is 3; it must be several, such as `range\(3\)`"),
        (lambda: objective_of(TERM), "`objective` is of type Residual; .*`ResidualObjective"),
        (lambda: objective_of([TERM]), "`objective` is of type list"),
        (lambda: objective_of(ResidualObjective), "the class ResidualObjective, not an instance"),
        (lambda: evaluate_of(3), "`evaluate` is 3; it must be a function of the model"),
        (lambda: tolerance_of("1e-3"), "`tolerance` is '1e-3'; it must be a number"),
        (lambda: tolerance_of(-1), "`tolerance` is -1"),
        (lambda: tolerance_of(float("nan")), "`tolerance` is nan"),
        (lambda: numbers(3.0), "`evaluate` returned a float: return a dict of numbers"),
        (
            lambda: numbers({"a": np.ones(2)}),
            r"a ndarray of shape \(2,\) as `a`",
        ),
        (lambda: numbers({"a": "x"}, "`scores`"), "`scores` returned a str"),
        (lambda: callbacks_of([StopWhen]), "the class StopWhen, not an instance"),
        (lambda: callbacks_of([5]), "a callback is 5"),
        (lambda: callbacks_of(5), "a callback is 5"),
        (lambda: checkpoint_of(5), "`checkpoint` is 5; it must be a path"),
        (lambda: budget_of(2.5, None), r"`steps` is 2\.5; it must be a whole number or None"),
        (lambda: budget_of("10", None), "`steps` is '10'"),
        (lambda: budget_of(float("inf"), None), "`steps` is inf"),
        (lambda: budget_of(None, float("nan")), "`seconds` is nan"),
        (lambda: budget_of(-1, None), "`steps` is -1"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(call, words):
    with pytest.raises(ValueError, match=words) as found:
        call()
    assert "\n" not in str(found.value)


def test_seeds_and_keys_are_the_same_thing():
    typed = jax.random.key(3)
    for given in (3, np.int64(3), typed, jax.random.PRNGKey(3)):
        np.testing.assert_array_equal(jax.random.key_data(key_of(given)), typed._base_array)
    key_of(2**63 - 1)


def test_budgets_may_be_whole_floats():
    assert budget_of(1e4, 5) == budget_of(10_000, 5.0)
    assert isinstance(budget_of(1e4, None).steps, int)


def test_plain_functions_listen_and_stop(tmp_path):
    lines, listener = [], Listener()

    def stop(record, found):
        assert found.weight.shape == (3,)
        return "stop" if record["step"] == 2 else None

    path = tmp_path / "run.ckpt"
    result = train(
        regression(), model(), DESCENT, steps=5.0, key=0, callbacks=[lines.append, stop, listener],
        checkpoint=str(path),
    )  # fmt: skip
    assert result.status == "stopped"
    assert [line["step"] for line in lines] == [1, 2] == [line["step"] for line in listener.records]
    assert path.is_file()
    assert checkpoint_of(path) == Checkpoint(path)
    again = solve(DESCENT, steps=5, callbacks=lines.append)  # one alone
    assert again.steps == 5
    assert len(lines) == 7


def _threads():
    info = threadpoolctl.threadpool_info()
    return {library["num_threads"] for library in info if library["user_api"] == "blas"}


@pytest.mark.parametrize(("given", "wanted"), [(1, {1}), (2, {2}), (None, {3})])
def test_training_limits_blas_and_restores_it(given, wanted):
    seen = []
    with threadpoolctl.threadpool_limits(limits=3, user_api="blas"):
        if _threads() != {3}:
            pytest.skip("this BLAS does not take three threads")
        solve(DESCENT, steps=1, blas_threads=given, callbacks=lambda _: seen.append(_threads()))
        assert _threads() == {3}
    assert seen == [wanted]


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match="`blas_threads` is 0; it must be 1 or more"):
        solve(DESCENT, steps=1, blas_threads=0)
