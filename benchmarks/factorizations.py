"""What answers a few dampings of one matrix cheapest: SVD, bidiagonalization, or graded Cholesky.

    python benchmarks/factorizations.py                 # two sizes, under a minute on one core
    python benchmarks/factorizations.py --sizes 780x1737
    python benchmarks/factorizations.py --graded        # Jacobians of four problems, two minutes
    python benchmarks/factorizations.py --gram          # products of large matrices, two minutes

Median milliseconds of processor time, for a matrix of n rows and p columns with singular values
from 1 to 1e-9. "spectral" is QR and the SVD of R, "qlp" two QR factorizations, "gram" the
eigenvalues of the Gram matrix, "Cholesky" and "solve" what every damping and right-hand side costs
with "qlp". "bidiagonal" is LAPACK's dgebrd of R with the orthogonal factor that solutions need
(dorgbr), called on the host from within a compiled function, after the QR factorization: it answers
every damping by a tridiagonal system ("gtsv").

`--graded` prints the Frobenius norm of the inverse of the second triangle, rows of length one: what
`qlp_factor` compares with 8e3 to see whether QR graded the matrix. With seed 0, and steps of
`engd-tr` on the points of the problem. `--gram` prints milliseconds of A^T A by XLA (of more than
1,024 columns five eighths of the products), of its lower triangle by the BLAS of SciPy on one
thread, and of R of A = Q R, for normally distributed numbers.
"""

import argparse
import ctypes
import time
from collections.abc import Callable
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
import scipy.linalg.cython_lapack as lapack
from jax.experimental.buffer_callback import buffer_callback
from scipy.linalg import get_blas_funcs
from threadpoolctl import threadpool_limits

import pinn_ngd
from pinn_ngd.linalg import QLPFactor, qlp_factor, spectral_factor
from pinn_ngd.linalg.tall import gram_matrix

SIZES = ((900, 129), (780, 1737))
LARGE = ((20000, 800), (30000, 1300), (10000, 2400))
GRADED = (
    ("poisson-2d-icml23", (0, 30, 150)),
    ("heat-1d-icml23", (0, 30, 100)),
    ("advection-diffusion", (0, 30, 100)),
    ("beam", (0, 20)),
)
BLOCK = 64  # of LAPACK's work space

Call = Callable[..., Any]


def milliseconds(function: Call, *arguments: Any) -> float:
    """The median processor time of a compiled function over about a second."""
    compiled = jax.jit(function).lower(*arguments).compile()
    jax.block_until_ready(compiled(*arguments))
    times: list[float] = []
    while (sum(times) < 1.0 and len(times) < 100) or len(times) < 5:
        begun = time.process_time()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.process_time() - begun)
    return 1e3 * float(np.median(times))


def routine(name: str, arguments: int) -> Call:
    """A LAPACK routine of SciPy, which takes pointers."""
    capsule = lapack.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = (
        ctypes.c_char_p,
        [ctypes.py_object],
    )
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(address)


def bidiagonalized(triangle: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P^T, the diagonal and the superdiagonal of B in R = Q B P^T."""
    a = np.array(np.asarray(triangle), order="F")
    n = len(a)
    d, e, tau_q, tau_p, work = (
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(BLOCK * n),
    )
    size, length, info = ctypes.c_int(n), ctypes.c_int(work.size), ctypes.c_int()
    m, k, where = ctypes.byref(size), ctypes.byref(length), ctypes.byref(info)
    parts = (x.ctypes.data for x in (d, e, tau_q, tau_p, work))
    routine("dgebrd", 11)(m, m, a.ctypes.data, m, *parts, k, where)
    kind = ctypes.byref(ctypes.c_char(b"P"))
    data = (a.ctypes.data, m, tau_p.ctypes.data, work.ctypes.data, k, where)
    routine("dorgbr", 10)(kind, m, m, m, *data)
    return a, d, e


def bidiagonal(matrix: jax.Array) -> Any:
    """QR of the tall one of A and A^T in JAX, the rest in a call of the host."""
    wide = matrix.shape[0] < matrix.shape[1]
    basis, upper = jnp.linalg.qr(matrix.T) if wide else (None, jnp.linalg.qr(matrix, mode="r"))
    n = len(upper)
    line = jax.ShapeDtypeStruct((n,), upper.dtype)
    shapes = jax.ShapeDtypeStruct((n, n), upper.dtype), line, line
    return basis, jax.pure_callback(bidiagonalized, shapes, upper)


def record(rows: int, columns: int) -> dict[str, float]:
    """One line of the table."""
    keys = jax.random.split(jax.random.key(0), 3)
    m = min(rows, columns)
    left = jnp.linalg.qr(jax.random.normal(keys[0], (rows, m)))[0]
    right = jnp.linalg.qr(jax.random.normal(keys[1], (columns, m)))[0]
    matrix = (left * jnp.logspace(0, -9, m)) @ right.T
    target, damping = jax.random.normal(keys[2], (rows,)), jnp.asarray(1e-15)
    factor, solve = qlp_factor(matrix), QLPFactor.solve
    ones = jnp.ones(2 * m)
    return {
        "n": rows,
        "p": columns,
        "spectral": milliseconds(lambda a: spectral_factor(a, method="qr"), matrix),
        "gram": milliseconds(lambda a: spectral_factor(a, method="gram"), matrix),
        "qlp": milliseconds(qlp_factor, matrix),
        "Cholesky": milliseconds(lambda f, d: f.lower(d), factor, damping),
        "solve": milliseconds(solve, factor, factor.lower(damping), target, damping),
        "bidiagonal": milliseconds(bidiagonal, matrix),
        "gtsv": milliseconds(jax.lax.linalg.tridiagonal_solve, ones, 3 * ones, ones, ones[:, None]),
    }


def gram_on_host(matrix: jax.Array) -> jax.Array:
    """The lower triangle of A^T A by dsyrk, which is called with XLA's own buffers."""
    dsyrk: Any = get_blas_funcs("syrk", dtype=np.float64)

    def on_host(context: Any, out: Any, buffer: Any) -> None:
        del context
        columns, product = np.asarray(buffer).T, np.asarray(out).T  # as Fortran stores them
        dsyrk(1.0, columns, c=product, overwrite_c=1)

    shape = jax.ShapeDtypeStruct((matrix.shape[1],) * 2, matrix.dtype)
    return jnp.tril(buffer_callback(on_host, shape)(matrix))


def products(rows: int, columns: int) -> dict[str, float]:
    """One line of the table of `--gram`."""
    matrix = jax.random.normal(jax.random.key(0), (rows, columns))
    return {
        "n": rows,
        "p": columns,
        "XLA": milliseconds(gram_matrix, matrix),
        "BLAS": milliseconds(gram_on_host, matrix),
        "QR": milliseconds(lambda a: jnp.linalg.qr(a, mode="r"), matrix),
    }


def graded() -> None:
    """How well two QR factorizations grade the Jacobians of some problems."""
    for name, steps in GRADED:
        problem, made = pinn_ngd.load_problem(name), 0
        model = problem.model(jax.random.key(0))
        objective = problem.objective_at(model)
        for count in steps:
            if count > made:
                model = pinn_ngd.train(
                    objective, model, "engd-tr", steps=count - made, key=0, grow=False
                ).model
                made = count
            matrix = objective.system(model, objective.batch()).operator.as_matrix()
            tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
            _, upper = jnp.linalg.qr(jnp.linalg.qr(tall, mode="r").T)
            scaled = upper / jnp.linalg.norm(upper, axis=1)[:, None]
            inverse = jax.scipy.linalg.solve_triangular(scaled, jnp.eye(len(scaled)))
            print(f"{name}, {count} steps: {float(jnp.linalg.norm(inverse)):.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", help="such as 780x1737")
    parser.add_argument("--graded", action="store_true")
    parser.add_argument("--gram", action="store_true")
    options = parser.parse_args()
    if options.graded:
        graded()
        return
    chosen = options.sizes
    usual, line = (LARGE, products) if options.gram else (SIZES, record)
    sizes = [tuple(map(int, size.split("x"))) for size in chosen] if chosen else usual
    with threadpool_limits(limits=1, user_api="blas"):
        for i, (rows, columns) in enumerate(sizes):
            found = line(rows, columns)
            if i == 0:
                print("| " + " | ".join(found) + " |\n|" + "---|" * len(found))
            print("| " + " | ".join(f"{x:.3g}" for x in found.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
