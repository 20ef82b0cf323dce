"""What a numerical analyst would use where the domain is no box: finite elements by scikit-fem.

    pip install 'pinn-ngd[oracles]'
    python benchmarks/finite_elements.py        # half a minute: writes results/finite_elements.json

The equations of `pinn-ngd solve poisson-2d`, `l-shape` and `disk-poisson-nonlinear`, with their
solutions on the boundary. Triangles of degree 4 where edges are straight, at the corner of the
L-shape ever smaller ones; curved triangles of degree 2, the highest that scikit-fem has, on the
disk, and Newton's method. Printed are the unknowns, the relative L2 error, and the processor
seconds of mesh, assembly and solution on one core.
"""

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import numpy as np
import skfem  # pyright: ignore[reportMissingImports]
from skfem.models.poisson import laplace  # pyright: ignore[reportMissingImports]
from threadpoolctl import threadpool_limits

from pinn_ngd import load_problem

RESULTS = Path(__file__).parent / "results" / "finite_elements.json"
ORDER = 8  # of quadrature: exact for products of two elements of degree 4
FINER = 12  # of that of the error
NEWTON = 12  # steps at the most
Field = Callable[[np.ndarray], np.ndarray]


@functools.cache
def exact_of(name: str) -> Field:
    """The solution of a shipped problem at points (2, ...), as scikit-fem has them."""
    of_many = jax.jit(jax.vmap(load_problem(name).exact))  # pyright: ignore[reportArgumentType]

    def values(x: np.ndarray) -> np.ndarray:
        return np.asarray(of_many(np.moveaxis(x, 0, -1).reshape(-1, 2))).reshape(x.shape[1:])

    return values


def solved(basis: Any, exact: Field, source: Field | None, cubic: bool = False) -> np.ndarray:
    """-Laplace u (+ u^3) = source with the exact values at the nodes of the boundary."""
    on_edge = basis.get_dofs().flatten()
    u = np.zeros(basis.N)
    u[on_edge] = exact(basis.doflocs[:, on_edge])
    stiffness = laplace.assemble(basis)

    @skfem.LinearForm
    def integral(v, w):
        return w.f * v

    load = integral.assemble(basis, f=source(basis.global_coordinates())) if source else 0.0

    @skfem.BilinearForm
    def slope(u, v, w):
        return 3 * w.u**2 * u * v

    @skfem.LinearForm
    def cube(v, w):
        return w.u**3 * v

    for _ in range(NEWTON):
        matrix, rest = stiffness, load - stiffness @ u
        if cubic:
            at = basis.interpolate(u)
            matrix = matrix + slope.assemble(basis, u=at)
            rest = rest - cube.assemble(basis, u=at)
        step = skfem.solve(*skfem.condense(matrix, rest, D=on_edge))
        u += step
        if not cubic or np.linalg.norm(step) < 1e-12 * np.linalg.norm(u):
            return u
    raise RuntimeError(f"Newton's method has not converged in {NEWTON} steps.")


def square() -> tuple[Any, Field, Field, bool]:
    mesh = skfem.MeshTri.init_tensor(*2 * [np.linspace(0, 1, 65)])
    exact = exact_of("poisson-2d")
    element = skfem.ElementTriP4()
    return (
        skfem.Basis(mesh, element, intorder=ORDER), exact, lambda x: 2 * np.pi**2 * exact(x), False
    )  # fmt: skip


def corner() -> tuple[Any, Field, None, bool]:
    """Triangles that are halved thirty-six times where they touch the reentrant corner."""
    # The missing quadrant of scikit-fem is the first one, of ours the fourth.
    mesh = skfem.MeshTri.init_lshaped().mirrored((0.0, 1.0)).refined(4)
    for _ in range(36):
        touching = np.flatnonzero(np.any(np.all(mesh.p[:, mesh.t] == 0, axis=0), axis=0))
        mesh = mesh.refined(touching)
    basis = skfem.Basis(mesh, skfem.ElementTriP4(), intorder=ORDER)
    return basis, exact_of("l-shape"), None, False


def curved() -> tuple[Any, Field, Field, bool]:
    mesh = skfem.MeshTri2.init_circle(6)
    exact = exact_of("disk-poisson-nonlinear")
    basis = skfem.Basis(mesh, skfem.ElementTriP2(), intorder=ORDER)
    return basis, exact, lambda x: (v := exact(x)) * (3 + v**2), True


METHODS = {
    "poisson-2d": ("triangles of degree 4", square),
    "l-shape": ("triangles of degree 4, small at the corner", corner),
    "disk-poisson-nonlinear": ("curved triangles of degree 2", curved),
}


def relative_error(basis: Any, u: np.ndarray, exact: Field) -> float:
    finer = skfem.Basis(basis.mesh, basis.elem, intorder=FINER)
    truth = exact(finer.global_coordinates())
    gap = finer.interpolate(u) - truth
    return float(np.sqrt(np.sum(finer.dx * gap**2) / np.sum(finer.dx * truth**2)))


def measured(name: str) -> dict[str, Any]:
    """One row: JAX compiles the exact solution in a first run, whose time does not count."""
    elements, build = METHODS[name]
    for _ in range(2):
        begun = time.process_time()
        basis, *equation = build()
        u = solved(basis, *equation)
        seconds = time.process_time() - begun
    return {
        "problem": name,
        "elements": elements,
        "unknowns": int(basis.N),
        "relative_l2": relative_error(basis, u, equation[0]),
        "seconds": seconds,
    }


def main() -> None:
    """Measure all and write the file of numbers."""
    with threadpool_limits(limits=1, user_api="blas"):
        rows = [measured(name) for name in METHODS]
    for row in rows:
        print(row)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
