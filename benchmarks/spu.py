"""What a simulated solve on the device reaches with a number of products, against CG.

    python benchmarks/spu.py            # about a minute

2000 unknowns, A = F F^T + 0.01 I of rank 300 with eigenvalues from 1e-3 to 10, target the solution
of A x = b. `to x(t)` is the error of a simulation against the exact law of the device at its time;
`to x*` the distance of the simulated read-out from the solution, which the device itself shares.
"""

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import lineax as lx

from pinn_ngd.linalg import CG, JacobianRows, gram
from pinn_ngd.spu import SPU, DeviceCost, EulerMaruyama, Lanczos

UNKNOWNS, RANK, DAMPING = 2000, 300, 0.01
RUNS = [(5.0, 20), (20.0, 40), (50.0, 40), (50.0, 100), (500.0, 100)]


def system() -> tuple[lx.AbstractLinearOperator, jax.Array]:
    """The operator and b."""
    keys = jax.random.split(jax.random.key(0))
    basis, _ = jnp.linalg.qr(jax.random.normal(keys[0], (UNKNOWNS, RANK)))
    rows = (basis * jnp.sqrt(jnp.geomspace(1e-3, 10.0, RANK))).T
    shapes = (
        jax.ShapeDtypeStruct((UNKNOWNS,), rows.dtype),
        jax.ShapeDtypeStruct((RANK,), rows.dtype),
    )
    return gram(JacobianRows(rows, *shapes), DAMPING), jax.random.normal(keys[1], (UNKNOWNS,))


def distance(x: jax.Array, y: jax.Array) -> float:
    """Relative to y."""
    return float(jnp.linalg.norm(x - y) / jnp.linalg.norm(y))


def main() -> None:
    """One line a time and a number of products."""
    operator, b = system()
    # The limit: a time of 1e5 is a thousand relaxation times.
    solution = lx.linear_solve(operator, b, SPU(time=1e5)).value
    print("| time | products | Lanczos to x(t) | EM (10 t) to x(t) | device to x* | CG to x* |")
    print("|---|---|---|---|---|---|")
    for time, products in RUNS:
        exact = lx.linear_solve(operator, b, SPU(time=time)).value
        krylov = SPU(time, simulation=Lanczos(products))
        krylov = distance(lx.linear_solve(operator, b, krylov).value, exact)
        em = "-"
        if time <= 50:
            euler = SPU(time, simulation=EulerMaruyama(dt=0.1))
            em = f"{distance(lx.linear_solve(operator, b, euler).value, exact):.1e}"
        cg = CG(rtol=1e-14, atol=1e-14, max_steps=products)
        cg = distance(lx.linear_solve(operator, b, cg, throw=False).value, solution)
        device = distance(exact, solution)
        print(f"| {time:g} | {products} | {krylov:.1e} | {em} | {device:.1e} | {cg:.1e} |")
    seconds, joules = (float(x) for x in DeviceCost().of(operator, 50.0))
    print(f"modelled device at t = 50: {1e6 * seconds:.0f} us, {1e6 * joules:.0f} uJ")


if __name__ == "__main__":
    main()
