"""What the SPU solver refuses, under jit too, and what it counts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import SVD, Fallback
from pinn_ngd.spu import (
    SPU,
    Diffrax,
    EulerMaruyama,
    Failure,
    Lanczos,
    TimeAverage,
    UnsettledWarning,
    explain,
    named_simulation,
)

EVERY = ("exact", "lanczos", "euler-maruyama", "diffrax")
RUNTIME = (eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError)
PSD = lx.positive_semidefinite_tag


@pytest.fixture(scope="module")
def b():
    return jnp.asarray(np.random.default_rng(1).normal(size=30))


@pytest.fixture(scope="module")
def operator():
    """Symmetric, eigenvalues from 0.05 to 5."""
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    matrix = (q * np.geomspace(0.05, 5, 30)) @ q.T
    return lx.MatrixLinearOperator(jnp.asarray((matrix + matrix.T) / 2), PSD)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"time": -1.0}, "`time` is -1.0"),
        ({"time": float("nan")}, "`time` is nan"),
        ({"time": 1.0, "temperature": -0.1}, "`temperature` is -0.1"),
        ({"time": 1.0, "simulation": "magic"}, "`simulation` is 'magic'; it must be one of exact"),
        ({"time": 1.0, "read_out": "middle"}, "`read_out` is 'middle'"),
        ({"time": 1.0, "read_out": TimeAverage(1.0)}, "`burn_in` is 1.0 and `time` 1.0"),
        (
            {"time": 1.0, "simulation": EulerMaruyama(correlation_time=0.1)},
            "`temperature` is 0, but the noise has a `correlation_time`",
        ),
        (
            {"time": 1.0, "simulation": Diffrax(correlation_time=0.1)},
            "`temperature` is 0, but the noise has a `correlation_time`",
        ),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        SPU(**arguments)


@pytest.mark.parametrize(
    ("make", "settings", "match"),
    [
        (TimeAverage, {"burn_in": -1.0}, "`burn_in` is -1.0"),
        (Lanczos, {"products": 0}, "`products` is 0"),
        (EulerMaruyama, {"dt": 0.0}, "`dt` is 0.0"),
        (EulerMaruyama, {"mismatch": -0.1}, "`mismatch` is -0.1"),
        (EulerMaruyama, {"saturation": -1.0}, "`saturation` is -1.0"),
        (EulerMaruyama, {"saturation": 0.0}, "`saturation` is 0.0"),
        (EulerMaruyama, {"correlation_time": -0.1}, "`correlation_time` is -0.1"),
        (Diffrax, {"dt": -1.0}, "`dt` is -1.0"),
        (Diffrax, {"inertia": -0.1}, "`inertia` is -0.1"),
    ],
)
def test_bad_settings(make, settings, match):
    with pytest.raises(ValueError, match=match):
        make(**settings)


@pytest.mark.parametrize(
    ("name", "settings", "able"),
    [
        ("exact", {"mismatch": 0.1}, "'euler-maruyama' or 'diffrax'"),
        ("diffrax", {"saturation": 1.0}, "'euler-maruyama'"),
        ("euler-maruyama", {"inertia": 0.1}, "'diffrax'"),
        ("exact", {"products": 10}, "'lanczos'"),
    ],
)
def test_a_simulation_by_name_knows_its_own_settings_only(name, settings, able):
    with pytest.raises(ValueError, match=f"needs simulation={able}"):
        named_simulation(name, **settings)
    assert named_simulation("lanczos", products=7) == Lanczos(7)


UNSOUND = {
    "indefinite": jnp.diag(jnp.linspace(-1.0, 1.0, 30)),
    "unsymmetric": jnp.eye(30) + 0.01 * jnp.eye(30, k=1),
}


def test_untagged_operators(b):
    with pytest.raises(ValueError, match="`operator` is not known to be positive semidefinite"):
        lx.linear_solve(lx.MatrixLinearOperator(jnp.eye(30)), b, SPU(time=1.0))


@pytest.mark.parametrize("simulation", EVERY)
@pytest.mark.parametrize("kind", ["indefinite", "unsymmetric"])
@pytest.mark.parametrize("compile", [lambda f: f, jax.jit])
def test_bad_operators(b, simulation, kind, compile):
    """Nothing is raised unless it is asked for, and no number passes for a result."""
    if simulation == "diffrax":
        pytest.importorskip("diffrax")
    operator, solver = lx.MatrixLinearOperator(UNSOUND[kind], PSD), SPU(1.0, simulation=simulation)

    def run(b):
        solution = lx.linear_solve(operator, b, solver, throw=False)
        singular = solution.result == lx.RESULTS.singular
        return solution.value, singular, solution.stats["failure"]

    value, singular, failure = compile(run)(b)
    assert np.isnan(value).all()
    assert singular
    assert explain(failure).startswith(f"`operator` is {kind}")


def test_throwing_raises_the_nearest_sentence_of_lineax(b):
    operator = lx.MatrixLinearOperator(UNSOUND["indefinite"], PSD)
    run = jax.jit(lambda b: lx.linear_solve(operator, b, SPU(1.0)).value)
    with pytest.raises(RUNTIME, match=r"does not actually satisfy|non-finite"):
        jax.block_until_ready(run(b))


def test_a_slightly_indefinite_matrix_is_reported(b):
    values = jnp.linspace(0.0, 1.0, 30).at[0].set(-1e-9)
    operator = lx.MatrixLinearOperator(jnp.diag(values), PSD)
    found = lx.linear_solve(operator, b, SPU(time=1.0), throw=False)
    assert found.stats["failure"] == Failure.INDEFINITE


@pytest.mark.parametrize("simulation", ["exact", "lanczos", "euler-maruyama"])
def test_one_bad_operator_does_not_spoil_a_batch(simulation):
    matrices = jnp.stack([jnp.diag(jnp.asarray([1.0, 2.0, -1.0])), jnp.diag(jnp.arange(1.0, 4.0))])
    solver = SPU(time=1e3, simulation=simulation)

    @jax.jit
    @jax.vmap
    def run(matrix):
        found = lx.linear_solve(
            lx.MatrixLinearOperator(matrix, PSD), jnp.ones(3), solver, throw=False
        )
        return found.value, found.stats["failure"]

    values, failures = run(matrices)
    assert failures.tolist() == [Failure.INDEFINITE, Failure.NONE]
    assert np.isnan(values[0]).all()
    np.testing.assert_allclose(values[1], 1 / np.arange(1.0, 4.0), rtol=1e-9)


def test_a_fallback_takes_over_from_a_device():
    matrix = jnp.diag(jnp.asarray([1.0, 2.0, -1.0]))
    fallback = Fallback(SPU(time=1.0), SVD())
    found = lx.linear_solve(lx.MatrixLinearOperator(matrix, PSD), jnp.ones(3), fallback)
    assert found.stats["fallback"]
    np.testing.assert_allclose(found.value, [1.0, 0.5, -1.0], rtol=1e-12)


def test_every_failure_has_a_sentence():
    for failure in Failure:
        assert explain(failure).endswith(".")


@pytest.mark.parametrize(
    "traced",
    [
        {"time": -1.0},
        {"time": float("nan")},
        {"temperature": -0.5},
        {"burn_in": 3.0},
    ],
)
def test_traced_arguments_are_checked(operator, b, traced):
    @jax.jit
    def run(traced):
        read_out = TimeAverage(traced.pop("burn_in")) if "burn_in" in traced else "end"
        solver = SPU(**{"time": 2.0, **traced}, read_out=read_out)
        found = lx.linear_solve(
            operator, b, solver, options={"key": jax.random.key(0)}, throw=False
        )
        return found.result == lx.RESULTS.nonfinite_input, found.stats["failure"]

    invalid, failure = run({name: jnp.asarray(x) for name, x in traced.items()})
    assert invalid
    assert failure == Failure.INVALID


def test_a_start_of_another_shape(operator, b):
    for start in (jnp.ones(29), jnp.ones((30, 1)), [b]):
        with pytest.raises(ValueError, match="`options` hold a 'y0' of shapes"):
            lx.linear_solve(operator, b, SPU(time=1.0), options={"y0": start})


@pytest.mark.parametrize("simulation", ["exact", "lanczos", "euler-maruyama"])
def test_an_operator_of_zeros(simulation):
    """The force integrates: x(t) = b + t b."""
    zero = lx.MatrixLinearOperator(jnp.zeros((4, 4)), PSD)
    found = lx.linear_solve(zero, jnp.ones(4), SPU(time=3.0, simulation=simulation))
    np.testing.assert_allclose(found.value, 4.0, rtol=1e-14)
    assert found.stats["condition"] == np.inf


@pytest.mark.slow
def test_products_are_counted(operator, b):
    def count(operator, options=None, **arguments):
        solution = lx.linear_solve(operator, b, SPU(time=4.0, **arguments), options=options)
        return int(solution.stats["products"])

    assert count(operator) == 0
    # 30 for all eigenvalues of 30 unknowns, 2 for the check of symmetry.
    assert count(operator, simulation=Lanczos(7)) == 32 + 7
    start = {"y0": 2 * b, "key": jax.random.key(0)}
    noisy = {"simulation": Lanczos(7), "temperature": 0.1}
    assert count(operator, start, **noisy) == 32 + 3 * 7
    average = {**noisy, "read_out": TimeAverage(1.0)}
    assert count(operator, start, **average) == 32 + 5 * 7
    assert count(operator, simulation=EulerMaruyama(0.1)) == 32 + 40


def test_a_step_over_the_limit_is_named(operator, b):
    solver = SPU(time=20.0, simulation=EulerMaruyama(0.5))
    found = lx.linear_solve(operator, b, solver, throw=False)
    assert found.result == lx.RESULTS.breakdown
    assert explain(found.stats["failure"]).startswith("`dt` is over the stability limit")
    np.testing.assert_allclose(found.stats["dt_limit"], 0.4, rtol=1e-12)


def test_noise_needs_a_key(operator, b):
    with pytest.raises(ValueError, match=r"no 'key', but `temperature` is 0.1"):
        lx.linear_solve(operator, b, SPU(time=1.0, temperature=0.1))


@pytest.mark.parametrize("solve", ["eager", "jit", "vmap"])
def test_a_hopeless_condition_number_warns(solve):
    operator = lx.DiagonalLinearOperator(jnp.geomspace(1e-9, 1.0, 10))
    operator = lx.TaggedLinearOperator(operator, PSD)

    def read(b):
        return lx.linear_solve(operator, b, SPU(time=1e4)).value

    function = {"eager": read, "jit": jax.jit(read), "vmap": jax.vmap(read)}[solve]
    b = jnp.ones((2, 10) if solve == "vmap" else 10)

    def finished():
        jax.block_until_ready(function(b))
        jax.effects_barrier()

    with pytest.warns(UnsettledWarning, match="time 10000, .*condition number over 1e"):
        finished()


@pytest.mark.parametrize(("time", "smallest"), [(0.0, 1e-9), (0.1, 1e-2), (1e9, 1e-9)])
def test_reading_early_or_late_on_purpose_does_not_warn(time, smallest):
    operator = lx.DiagonalLinearOperator(jnp.geomspace(smallest, 1.0, 10))
    operator = lx.TaggedLinearOperator(operator, PSD)
    jax.block_until_ready(lx.linear_solve(operator, jnp.ones(10), SPU(time=time)).value)
    jax.effects_barrier()
