"""Systems whose solution is known exactly."""

from fractions import Fraction

import numpy as np
import pytest


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


@pytest.fixture(scope="session")
def exact_solution():
    return _exact
