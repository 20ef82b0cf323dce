"""Systems whose solution is known exactly, and operators to try solvers on."""

from fractions import Fraction

import jax
import numpy as np
import pytest

from pinn_ngd.linalg import JacobianRows


def _eliminate(matrix, rhs):
    """Solve a positive definite system of Fractions."""
    matrix, rhs, m = [list(row) for row in matrix], list(rhs), len(rhs)
    for k in range(m):
        for i in range(k + 1, m):
            factor = matrix[i][k] / matrix[k][k]
            matrix[i] = [x - factor * y for x, y in zip(matrix[i], matrix[k], strict=True)]
            rhs[i] -= factor * rhs[k]
    solution = [Fraction(0)] * m
    for k in reversed(range(m)):
        known = sum(matrix[k][j] * solution[j] for j in range(k + 1, m))
        solution[k] = (rhs[k] - known) / matrix[k][k]
    return solution


def _exact(matrix, target, damping):
    """The damped solution in rational arithmetic: floats are rationals, so no digit is lost."""
    rows = [[Fraction(float(x)) for x in row] for row in matrix]
    b, shift = [Fraction(float(x)) for x in target], Fraction(float(damping))
    wide = len(rows) < len(rows[0])
    side = rows if wide else [list(column) for column in zip(*rows, strict=True)]
    gram = [[sum(x * y for x, y in zip(u, v, strict=True)) for v in side] for u in side]
    for i in range(len(gram)):
        gram[i][i] += shift
    rhs = b if wide else [sum(x * y for x, y in zip(u, b, strict=True)) for u in side]
    solution = _eliminate(gram, rhs)
    if wide:
        columns = zip(*rows, strict=True)
        solution = [sum(x * y for x, y in zip(c, solution, strict=True)) for c in columns]
    return np.array([float(x) for x in solution])


def _conditioned(rows, columns, singular_values, seed=0):
    """A random (rows, columns) matrix with the given singular values, to rounding."""
    rng, m = np.random.default_rng(seed), min(rows, columns)
    left = np.linalg.qr(rng.normal(size=(rows, m)))[0]
    right = np.linalg.qr(rng.normal(size=(columns, m)))[0]
    return (left * np.asarray(singular_values)) @ right.T


def _rows(matrix):
    struct = jax.ShapeDtypeStruct
    n, p = matrix.shape
    return JacobianRows(matrix, struct((p,), matrix.dtype), struct((n,), matrix.dtype))


@pytest.fixture(scope="session")
def exact_solution():
    return _exact


@pytest.fixture(scope="session")
def conditioned():
    return _conditioned


@pytest.fixture(scope="session")
def dense():
    return _rows


@pytest.fixture(scope="session")
def relative_error():
    return lambda x, ref: float(np.linalg.norm(np.asarray(x) - ref) / np.linalg.norm(ref))
