"""What the SPU solver refuses, under jit too, and what it counts."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from pinn_ngd.linalg import SPU, Device, UnsettledWarning

EVERY = ("exact", "lanczos", "euler-maruyama", "diffrax")
RUNTIME = (ValueError, jax.errors.JaxRuntimeError)
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
        ({"time": 1.0, "simulation": "magic"}, "`simulation` is 'magic'; choose one of 'exact'"),
        ({"time": 1.0, "read_out": "middle"}, "`read_out` is 'middle'"),
        ({"time": 1.0, "read_out": "average", "burn_in": 1.0}, "`burn_in` is 1.0 and `time` 1.0"),
        ({"time": 1.0, "burn_in": 0.5}, "only read_out='average'"),
        ({"time": 1.0, "dt": 0.0}, "`dt` is 0.0"),
        ({"time": 1.0, "products": 0}, "`products` is 0"),
        ({"time": 1.0, "device": Device(mismatch=0.1)}, "`mismatch` needs simulation="),
        ({"time": 1.0, "device": Device(inertia=0.1)}, "`inertia` needs simulation='diffrax'"),
        (
            {
                "time": 1.0,
                "device": Device(correlation_time=0.1),
                "simulation": "euler-maruyama",
            },
            "`temperature` is 0, but `device` has colored noise",
        ),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        SPU(**arguments)


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
    """Also where the value alone is used, so that the compiler drops what feeds the stats."""
    if simulation == "diffrax":
        pytest.importorskip("diffrax")
    operator, solver = lx.MatrixLinearOperator(UNSOUND[kind], PSD), SPU(1.0, simulation=simulation)
    run = compile(lambda b: lx.linear_solve(operator, b, solver).value)
    with pytest.raises(RUNTIME, match=f"`operator` is {kind}"):
        jax.block_until_ready(run(b))


def test_a_slightly_indefinite_matrix_is_reported(b):
    values = jnp.linspace(0.0, 1.0, 30).at[0].set(-1e-9)
    operator = lx.MatrixLinearOperator(jnp.diag(values), PSD)
    with pytest.raises(RUNTIME, match="`operator` is indefinite"):
        jax.block_until_ready(lx.linear_solve(operator, b, SPU(time=1.0)).value)


@pytest.mark.parametrize(
    ("traced", "match"),
    [
        ({"time": -1.0}, "`time` is -1.0"),
        ({"time": float("nan")}, "`time` is nan"),
        ({"temperature": -0.5}, "`temperature` is -0.5"),
        ({"burn_in": 3.0}, "`burn_in` is 3.0 and `time` 2.0"),
    ],
)
def test_traced_arguments_are_checked(operator, b, traced, match):
    read_out = "average" if "burn_in" in traced else "end"

    @jax.jit
    def run(traced):
        solver = SPU(**{"time": 2.0, **traced}, read_out=read_out)
        return lx.linear_solve(operator, b, solver, options={"key": jax.random.key(0)}).value

    with pytest.raises(RUNTIME, match=match):
        jax.block_until_ready(run({name: jnp.asarray(x) for name, x in traced.items()}))


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


def test_products_are_counted(operator, b):
    def count(operator, options=None, **arguments):
        solution = lx.linear_solve(operator, b, SPU(time=4.0, **arguments), options=options)
        return int(solution.stats["products"])

    assert count(operator) == 0
    # 20 for the estimate of the spectrum, 2 for the check of symmetry.
    assert count(operator, simulation="lanczos", products=7) == 22 + 7
    start = {"y0": 2 * b, "key": jax.random.key(0)}
    noisy = {"simulation": "lanczos", "products": 7, "temperature": 0.1}
    assert count(operator, start, **noisy) == 22 + 3 * 7
    average = {**noisy, "read_out": "average", "burn_in": 1.0}
    assert count(operator, start, **average) == 22 + 5 * 7
    assert count(operator, simulation="euler-maruyama", dt=0.1) == 22 + 40


def test_a_step_over_the_limit_is_named(operator, b):
    solver = SPU(time=20.0, simulation="euler-maruyama", dt=0.5)
    limit = r"`dt` is 0.5, over the stability limit 2 / lambda_max = 0.4"
    with pytest.raises(RUNTIME, match=limit):
        jax.block_until_ready(lx.linear_solve(operator, b, solver).value)


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
