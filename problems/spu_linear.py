"""A positive definite linear system on the simulated analog device, with iterative refinement.

Each step is one solve on the device: the residual b - A x is computed in double precision, the
device (8-bit arrays, input and read-out, read after 200 time constants) finds its correction, and x
takes it. One step is the bare device; the error of its rounding is contracted
again by every further one. The unknowns have condition number 30 by default.
"""

import jax
import jax.numpy as jnp

from pinn_ngd import ExplicitState, Grid, Interval, Problem, StateMisfit

SMALLEST_DAMPING = 1e-12  # of A^T A, which needs none


def problem(
    *, size: int = 100, condition: float = 30.0, time: float = 200.0, bits: int | None = 8,
    temperature: float = 0.0, seed: int = 0, steps: int = 12,
) -> Problem:  # fmt: skip
    """A = R^T R with eigenvalues from 1/condition to 1; the device is programmed with R."""
    first, second, third = jax.random.split(jax.random.key(seed), 3)
    left, _ = jnp.linalg.qr(jax.random.normal(first, (size, size)))
    right, _ = jnp.linalg.qr(jax.random.normal(second, (size, size)))
    root = (left * jnp.geomspace(condition**-0.5, 1.0, size)) @ right.T
    solution = jax.random.normal(third, (size,))
    data = root @ solution
    grid = Grid(Interval(0.0, 1.0), (size,))

    def scores(x):
        return {"relative_l2": float(jnp.linalg.norm(x - solution) / jnp.linalg.norm(solution))}

    return Problem(
        name="spu-linear",
        description="a linear system on the simulated device, with iterative refinement",
        objective=StateMisfit(ExplicitState(grid, lambda x: root @ x), lambda y: y - data),
        model=lambda key: jnp.zeros(size),  # noqa: ARG005
        optimizer="tngd",
        optimizer_settings={
            "time": time, "bits": bits, "temperature": temperature, "rate": 1.0, "momentum": 0.0,
            "damping": SMALLEST_DAMPING,
        },
        steps=steps,
        scores=scores,
        compared="relative_l2",
    )  # fmt: skip
