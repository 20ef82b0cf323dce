"""The counts of a step against calls that are really made."""

import collections

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd import optimizers
from pinn_ngd.geometry.domains import Interval
from pinn_ngd.geometry.grids import Grid
from pinn_ngd.linalg import LSMR, get_solver
from pinn_ngd.metrics import Euclidean, Sketched, Sobolev, Wasserstein
from pinn_ngd.optimizers import Armijo, NaturalGradient
from pinn_ngd.spu import SPU
from pinn_ngd.states import ImplicitState, Smoothness, StateMisfit
from pinn_ngd.training import train

CELLS = 12
LINE = Interval(0.0, 1.0)
GRID = Grid(LINE, (CELLS,))
MATRIX = 2 * np.eye(CELLS) + 0.3 * np.eye(CELLS, k=1) - 0.2 * np.eye(CELLS, k=-1)
SOURCES = np.random.default_rng(0).standard_normal((CELLS, 5))
SOURCES -= MATRIX.sum(1)[:, None] * np.linalg.solve(MATRIX, SOURCES).mean(0)  # mass 0
DATA = jnp.asarray(np.random.default_rng(1).standard_normal(CELLS))


def counted_misfit(penalty=None):
    """A linear state equation whose solves are called on the host, and counted there."""
    calls = collections.Counter()

    def solver(name, matrix):
        def on_host(b):
            calls[name] += 1
            return np.linalg.solve(matrix, b)

        return lambda b: jax.pure_callback(
            on_host, jax.ShapeDtypeStruct(b.shape, b.dtype), b, vmap_method="sequential"
        )

    forward = solver("forward", MATRIX)
    state = ImplicitState(
        GRID,
        residual=lambda rho, theta: jnp.asarray(MATRIX) @ rho - jnp.asarray(SOURCES) @ theta,
        solve=lambda theta: forward(jnp.asarray(SOURCES) @ theta),
        inverses=lambda _, __: (solver("linearized", MATRIX), solver("adjoint", MATRIX.T)),
    )
    return StateMisfit(state, lambda rho: rho - DATA, penalty), calls


LSMR_FREE = {"solver": LSMR(rtol=1e-3, atol=1e-3), "form": "matrix-free"}
CG = {"solver": get_solver("cg", dtype=jnp.float64)}
CASES = {
    "stored": (Sobolev(1.0), {}, None),
    "descent": (Euclidean(), CG, None),
    "descent in bounds": (Euclidean(), CG | {"bounds": (-9.0, 9.0)}, None),
    "products": (Sobolev(1.0), LSMR_FREE, None),
    "sketched": (Sketched(Sobolev(1.0), 3), {}, None),
    "mass is checked": (Wasserstein(shift=9.0), LSMR_FREE, None),
    "penalty": (Sobolev(1.0), {}, Smoothness(lambda theta: theta, Grid(LINE, (5,)), 1.0)),
    "penalty, products": (
        Sobolev(1.0), LSMR_FREE, Smoothness(lambda theta: theta, Grid(LINE, (5,)), 1.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_counts_are_those_of_the_solves_that_were_made(case):
    metric, settings, penalty = CASES[case]
    objective, calls = counted_misfit(penalty)
    search = Armijo()
    optimizer = NaturalGradient(
        metric=metric, search=search, damping=1e-3, relative=True, **settings
    )
    theta = jnp.ones(5)
    state = optimizer.init(theta, objective, ())
    step = eqx.filter_jit(optimizer.step)
    _, _, info = jax.block_until_ready(step(theta, state, objective, (), key=jax.random.key(0)))
    made = tuple(calls[name] for name in ("forward", "linearized", "adjoint"))
    counted = tuple(int(getattr(info.solves, n)) for n in ("forward", "linearized", "adjoint"))
    assert counted == made


@pytest.mark.slow
def test_a_noisy_device_gets_its_key():
    objective, _ = counted_misfit()
    optimizer = NaturalGradient(solver=SPU(1e3, temperature=1e-3), damping=0.1)
    theta = jnp.ones(5)
    state = optimizer.init(theta, objective, ())
    steps = [
        optimizer.step(theta, state, objective, (), key=jax.random.key(seed))[2].step_length
        for seed in (0, 1)
    ]
    assert float(steps[0]) != float(steps[1])


def test_history_has_the_totals_and_rank_and_condition():
    objective, _ = counted_misfit()
    optimizer = optimizers.get("wngd", metric="l2")
    result = train(objective, jnp.ones(5), optimizer, steps=3, key=jax.random.key(0))
    lines = result.history
    assert [line["linearized_solves"] for line in lines] == [5, 10, 15]
    assert result.solves["linearized_solves"] == 15
    singular = np.linalg.svd(np.linalg.solve(MATRIX, SOURCES), compute_uv=False)
    assert lines[0]["rank"] == 5
    assert lines[0]["condition"] == pytest.approx(singular[0] / singular[-1], rel=1e-8)


def test_first_order_methods_count_their_trials():
    objective, _ = counted_misfit()
    adam = train(objective, jnp.ones(5), optimizers.get("adam"), steps=4, key=jax.random.key(0))
    assert adam.solves == {"forward_solves": 4, "linearized_solves": 0, "adjoint_solves": 4}
    lbfgs = train(objective, jnp.ones(5), optimizers.get("lbfgs"), steps=4, key=jax.random.key(0))
    assert lbfgs.solves["forward_solves"] > 4
