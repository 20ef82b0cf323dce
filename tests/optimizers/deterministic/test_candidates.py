"""One damping after the other finds what trying all of them finds, in fewer trials."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinn_ngd.optimizers import TrustRegion
from pinn_ngd.optimizers.base import Solves
from pinn_ngd.optimizers.deterministic.candidates import Candidate, longest_good
from tests.optimizers.helpers import network, poisson_1d

DAMPINGS = np.logspace(-3, 2, 10)


@eqx.filter_jit
def found(least, search):
    """The candidate for a loss of which every damping from `least` on is good."""

    def attempt(damping):
        return Candidate(
            damping=damping,
            step=-damping,
            loss=2 * damping,
            predicted=damping,
            actual=damping,
            good=damping >= least,
            solves=Solves(forward=1),
            rank=None,
            condition=None,
        )

    return longest_good(attempt, jnp.asarray(DAMPINGS), search)


@pytest.mark.parametrize("first", range(11))
def test_walk_and_grid_find_the_same_candidate(first):
    """`first` good ones: the middle has index 5, and a walk ends where it turns."""
    least = 0.9 * DAMPINGS[first] if first < 10 else jnp.inf
    walk, grid = found(jnp.asarray(least), "walk"), found(jnp.asarray(least), "grid")
    assert bool(walk.good) == bool(grid.good) == (first < 10)
    if first < 10:
        for one in (walk, grid):
            values = [float(one.damping), float(one.step), float(one.loss)]
            assert values == [DAMPINGS[first], -DAMPINGS[first], 2 * DAMPINGS[first]]
    assert int(grid.solves.forward) == 10
    up, down = min(first - 4, 5), min(7 - first, 6)
    assert int(walk.solves.forward) == (up if first > 5 else down)


@pytest.mark.parametrize("pattern", [0b0000000001, 0b1000000000, 0b0110010000, 0b0, 0b1111111111])
def test_a_climb_finds_what_the_grid_finds_whatever_is_good(pattern):
    """A walk from the middle does not, where a good damping lies below one that is not."""
    good = jnp.asarray([bool(pattern >> i & 1) for i in range(10)])

    def attempt(damping):
        place = jnp.argmin(jnp.abs(jnp.asarray(DAMPINGS) - damping))
        return Candidate(
            damping=damping, step=-damping, loss=2 * damping, predicted=damping, actual=damping,
            good=good[place], solves=Solves(forward=1), rank=None, condition=None,
        )  # fmt: skip

    climb, grid = (longest_good(attempt, jnp.asarray(DAMPINGS), s) for s in ("climb", "grid"))
    assert float(climb.damping) == float(grid.damping)
    assert bool(climb.good) == bool(grid.good) == bool(pattern)
    trials = int(np.argmax(good)) + 1 if pattern else 10
    assert int(climb.solves.forward) == trials


def test_one_damping_is_a_grid_too():
    objective, start = poisson_1d(), network()
    batch = objective.batch(jax.random.key(0))
    optimizer = TrustRegion(grid=(1.0, 1.0, 1), search="walk")
    state = optimizer.init(start, objective, batch)
    _, _, info = eqx.filter_jit(optimizer.step)(
        start, state, objective, batch, key=jax.random.key(0)
    )
    assert bool(info.accepted)


def test_unknown_search_is_named():
    with pytest.raises((ValueError, TypeError), match="search"):
        TrustRegion(search="random")  # pyright: ignore
