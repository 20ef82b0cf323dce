"""Your own PDE: a nonlinear reaction-diffusion equation with any Equinox module as the model.

-Laplace u + u^3 = f on (0, 1)^2 with u = 0 on the boundary, f chosen so that the solution is known.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import equinox as eqx
import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

import pinn_ngd
from pinn_ngd import Box, GaussLegendre, Residual, ResidualObjective, laplacian


def exact(x):
    return jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])


def reaction_diffusion(u, x):
    source = 2 * jnp.pi**2 * exact(x) + exact(x) ** 3
    return -laplacian(u)(x) + u(x) ** 3 - source


def main(steps: int = 60, seed: int = 0, points: int = 20, width: int = 20) -> float:
    domain = Box((0.0, 0.0), (1.0, 1.0))
    objective = ResidualObjective(
        [
            Residual(reaction_diffusion, GaussLegendre(domain, points)),
            Residual(lambda u, x: u(x), GaussLegendre(domain.boundary(), points), weight=100.0),
        ]
    )
    model = eqx.nn.MLP(2, "scalar", width, 2, jnp.tanh, key=jax.random.key(seed))
    result = pinn_ngd.train(
        objective,
        model,
        pinn_ngd.optimizers.get("engd-tr"),
        steps=steps,
        key=jax.random.key(seed),
    )
    test = GaussLegendre(domain, 41).quadrature()
    error = pinn_ngd.relative_l2(result.model, exact, test)
    print(f"relative L2 error {float(error):.1e}: {result.message}")
    return float(error)


if __name__ == "__main__":
    main()
