"""The state solves a nonlinear equation; only the equation is written down.

-u'' + u^3 = f(theta) on (0, 1), u = 0 at both ends, with f a bump of unknown height and place. The
state is found by Newton's method; tangents and adjoints come from implicit differentiation.
"""

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp

import pinn_ngd
from pinn_ngd import Grid, ImplicitState, Interval, StateMisfit, optimizers

grid = Grid(Interval(0.0, 1.0), (63,), "dirichlet")
x = jnp.asarray(grid.axes[0])


class Bump(eqx.Module):
    height: jax.Array
    place: jax.Array


def residual(u, bump):
    source = bump.height * jnp.exp(-(((x - bump.place) / 0.1) ** 2))
    return grid.spectral(u, lambda eigenvalues: eigenvalues) + u**3 - source


def newton(bump):
    """Twenty Newton steps from zero: more than enough here."""

    def step(u, _):
        return u - jnp.linalg.solve(jax.jacfwd(residual)(u, bump), residual(u, bump)), None

    return jax.lax.scan(step, jnp.zeros(grid.shape), None, length=20)[0]


def main(steps: int = 20) -> tuple[float, float]:
    """Height and place of the bump, found from u."""
    state = ImplicitState(grid, residual, newton)
    data = state(Bump(jnp.asarray(80.0), jnp.asarray(0.3)))
    result = pinn_ngd.train(
        StateMisfit(state, lambda u: u - data),
        Bump(jnp.asarray(40.0), jnp.asarray(0.5)),
        optimizers.get("wngd", metric="l2"),
        steps=steps,
        key=jax.random.key(0),
    )
    found = float(result.model.height), float(result.model.place)
    print(f"height {found[0]:.12f}, place {found[1]:.12f}, misfit {result.loss:.1e}")
    return found


if __name__ == "__main__":
    main()
