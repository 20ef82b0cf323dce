"""A linear system on a simulated analog device: how the error falls with time, and where it stops.

The voltages of the device follow dx = -(A x - b) dt + noise and settle around A^-1 b. Without noise
the error decays as exp(-lambda_min time); with it, averaging is all that helps.
"""

import sys

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import lineax as lx

from pinn_ngd.experiments.plotting import plot_errors, save
from pinn_ngd.spu import SPU, Device, TimeAverage

TIMES = (1.0, 3.0, 10.0, 30.0, 100.0)
SOLVERS = {
    "exact law": lambda time: SPU(time),
    "Euler-Maruyama": lambda time: SPU(time, simulation="euler-maruyama"),
    "noise, end": lambda time: SPU(time, temperature=1e-4),
    "noise, average": lambda time: SPU(time, temperature=1e-4, read_out=TimeAverage(time / 2)),
    "8-bit arrays": lambda time: SPU(time, device=Device(bits=8)),
}


def main(size: int = 100, picture: str | None = None) -> dict[str, float]:
    """Relative error of every solver at the last time; writes a picture where a path is given."""
    vectors, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (size, size)))
    matrix = (vectors * jnp.geomspace(0.1, 3.0, size)) @ vectors.T
    operator = lx.MatrixLinearOperator((matrix + matrix.T) / 2, lx.positive_semidefinite_tag)
    b = jax.random.normal(jax.random.key(1), (size,))
    solution = jnp.linalg.solve(matrix, b)
    curves = {}
    for name, read_at in SOLVERS.items():

        def error(time, read_at=read_at):
            options = {"key": jax.random.key(2)}
            value = lx.linear_solve(operator, b, read_at(time), options=options).value
            return jnp.linalg.norm(value - solution) / jnp.linalg.norm(solution)

        errors = jax.lax.map(error, jnp.asarray(TIMES)).tolist()
        curves[name] = TIMES, errors
        print(f"{name:16s}" + "".join(f"{x:10.1e}" for x in errors))
    if picture:
        save(plot_errors(curves, xlabel="time (RC units)"), picture)
    return {name: errors[-1] for name, (_, errors) in curves.items()}


if __name__ == "__main__":
    main(picture=sys.argv[1] if len(sys.argv) > 1 else None)
