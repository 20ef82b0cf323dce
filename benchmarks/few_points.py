"""A network on too few points to start from, by a walk and by a climb to the damping of a step.

    python benchmarks/few_points.py                                   # eight starts: a minute

-u'' = 9 pi^2 sin(3 pi x) on the unit interval with u = 0 at the ends, ten tanh units, five points
that grow, 40 steps: a curved valley, in which long steps matter. Prints the held-out losses of
every start and their median for both searches.
"""

import argparse
import statistics

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp

from pinn_ngd import (
    GaussLegendre,
    Interval,
    Residual,
    ResidualObjective,
    laplacian,
    optimizers,
    train,
)
from pinn_ngd.models import MLP

LINE = Interval(0.0, 1.0)
STEPS = 40


def equation(u, x):
    return laplacian(u)(x) + 9 * jnp.pi**2 * jnp.sin(3 * jnp.pi * x[0])


OBJECTIVE = ResidualObjective(
    [
        Residual(equation, GaussLegendre(LINE, 5), name="interior"),
        Residual(lambda u, x: u(x), GaussLegendre(LINE.boundary(), 1), 100.0, "ends"),
    ]
)


def held_out_loss(search: str, start: int) -> float:
    model = MLP((1, 10, 1), key=jax.random.key(start), domain=LINE)
    optimizer = optimizers.get("engd-tr", search=search)
    result = train(OBJECTIVE, model, optimizer, steps=STEPS, key=jax.random.key(1))
    assert result.held_out is not None
    return result.held_out.loss


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--starts", type=int, default=8)
    options = parser.parse_args()
    for search in ("climb", "walk"):
        losses = [held_out_loss(search, start) for start in range(options.starts)]
        listed = ", ".join(f"{loss:.0e}" for loss in losses)
        print(f"{search}: {listed}; median {statistics.median(losses):.1e}", flush=True)


if __name__ == "__main__":
    main()
