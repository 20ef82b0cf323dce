"""Reference of `cavity`, steady Navier-Stokes in a lid-driven square at Re = 100.

    python benchmarks/cavity_reference.py            # a minute on one core
    python benchmarks/cavity_reference.py --check    # writes nothing

The velocity is (psi_y, -psi_x). psi is a polynomial that satisfies the boundary values, y^2 (y - 1)
times the velocity 16 x^2 (1 - x)^2 of the lid, and a sum of products of clamped polynomials of x
and y. Galerkin's method for

    1 / Re (Laplace psi, Laplace phi) + (Laplace psi, psi_y phi_x - psi_x phi_y) = 0,  all phi,

by Gauss-Legendre quadrature, solved by Newton's method. The pressure is the polynomial of mean zero
whose gradient is nearest to Laplace v / Re - (v . grad) v. Printed is by how much two degrees
differ; the corners, where third derivatives of the velocity are singular, limit it.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev, Legendre, chebyshev, legendre

FILE = Path(__file__).parents[1] / "problems" / "references" / "cavity.npz"
REYNOLDS, DEGREES = 100.0, (36, 48)
RESTED = 1e-9  # steps of Newton's method; the next one would be its square, or rounding
LID = 16 * np.polynomial.Polynomial([0, 0, 1]) * np.polynomial.Polynomial([1, -1]) ** 2
RAMP = np.polynomial.Polynomial([0, 0, -1, 1])  # y^2 (y - 1)


class Flow(NamedTuple):
    """Chebyshev coefficients (i, j) in 2 x - 1 and 2 y - 1 of u, v and p."""

    u: np.ndarray
    v: np.ndarray
    p: np.ndarray


def clamped(degree: int, s: np.ndarray) -> list[np.ndarray]:
    """Shen's combinations of Legendre polynomials up to a degree (SIAM J. Sci. Comput. 15, 1994),
    zero with their slopes at both ends and with orthonormal second derivatives; and three
    derivatives by x = (s + 1) / 2."""
    basis = []
    for k in range(degree - 3):
        coefficients = np.zeros(k + 5)
        mixed = 1.0, -2 * (2 * k + 5) / (2 * k + 7), (2 * k + 3) / (2 * k + 7)
        coefficients[[k, k + 2, k + 4]] = mixed
        basis.append(Legendre(coefficients) / np.sqrt(2 * (2 * k + 3) ** 2 * (2 * k + 5)))
    return [np.stack([2**m * f.deriv(m)(s) for f in basis], axis=1) for m in range(4)]


class Field:
    """psi at the points of a tensor grid: the lift and the clamped part, with derivatives."""

    def __init__(self, degree: int):
        nodes, weights = legendre.leggauss(degree + degree // 2)
        self.nodes, self.weights = (nodes + 1) / 2, weights / 2
        self.basis = clamped(degree, nodes)
        self.lift = [LID.deriv(m)(self.nodes) for m in range(4)]
        self.ramp = [RAMP.deriv(m)(self.nodes) for m in range(4)]

    def test(self, a: int, b: int) -> np.ndarray:
        """d_x^a d_y^b of all products of clamped polynomials, (points, functions)."""
        return np.kron(self.basis[a], self.basis[b])

    def value(self, c: np.ndarray, a: int, b: int) -> np.ndarray:
        """d_x^a d_y^b psi at all points."""
        part = self.basis[a] @ c.reshape((self.basis[0].shape[1],) * 2) @ self.basis[b].T
        return (np.outer(self.lift[a], self.ramp[b]) + part).ravel()


def stream(degree: int) -> tuple[Field, np.ndarray]:
    """Newton's method from no flow beside the lift."""
    field = Field(degree)
    weights = np.kron(field.weights, field.weights)[:, None]
    across, along = field.test(1, 0), field.test(0, 1)
    laplace = field.test(2, 0) + field.test(0, 2)
    c = np.zeros(laplace.shape[1])
    for _ in range(12):
        omega = field.value(c, 2, 0) + field.value(c, 0, 2)
        u, v = field.value(c, 0, 1), -field.value(c, 1, 0)
        carried = u[:, None] * across + v[:, None] * along
        left = (weights * (laplace / REYNOLDS + carried)).T
        turned = weights * omega[:, None] * across
        matrix = left @ laplace + turned.T @ along - (weights * omega[:, None] * along).T @ across
        step = np.linalg.solve(matrix, left @ omega)
        c = c - step
        if np.linalg.norm(step) <= RESTED * np.linalg.norm(c):
            return field, c
    raise RuntimeError("Newton's method for the cavity did not converge.")


def interpolated(field: Field, values: np.ndarray, degree: int) -> np.ndarray:
    """Chebyshev coefficients of a polynomial that is known at the grid."""
    fit = np.linalg.pinv(chebyshev.chebvander(2 * field.nodes - 1, degree))
    return fit @ values.reshape((len(field.nodes),) * 2) @ fit.T


def pressure(field: Field, c: np.ndarray, degree: int) -> np.ndarray:
    """The polynomial whose gradient is nearest to what momentum asks for."""
    d = field.value
    u, v = d(c, 0, 1), -d(c, 1, 0)
    first = (d(c, 2, 1) + d(c, 0, 3)) / REYNOLDS - u * d(c, 1, 1) - v * d(c, 0, 2)
    second = -(d(c, 3, 0) + d(c, 1, 2)) / REYNOLDS + u * d(c, 2, 0) + v * d(c, 1, 1)
    s = 2 * field.nodes - 1
    basis = [Chebyshev.basis(k) for k in range(degree + 1)]
    value, slope = (np.stack([2**m * f.deriv(m)(s) for f in basis], axis=1) for m in (0, 1))
    root = np.sqrt(np.kron(field.weights, field.weights))
    rows = np.concatenate(
        [root[:, None] * np.kron(slope, value), root[:, None] * np.kron(value, slope)]
    )
    found = np.linalg.lstsq(rows, np.concatenate([root * first, root * second]), rcond=None)[0]
    p = found.reshape(degree + 1, degree + 1)
    mean = np.array([0.0 if k % 2 else 1 / (1 - k**2) for k in range(degree + 1)])
    p[0, 0] -= mean @ p @ mean
    return p


def solved(degree: int) -> Flow:
    """Velocity and pressure with the clamped polynomials up to a degree."""
    field, c = stream(degree)
    u, v = field.value(c, 0, 1), -field.value(c, 1, 0)
    return Flow(
        interpolated(field, u, degree),
        interpolated(field, v, degree),
        pressure(field, c, 3 * degree // 4),
    )


def norm(flow: list[np.ndarray]) -> float:
    """Root of the integral of the sum of squares over the square."""
    nodes, weights = legendre.leggauss(120)
    squares = [chebyshev.chebgrid2d(nodes, nodes, c) ** 2 for c in flow]
    return float(np.sqrt(sum(weights @ square @ weights / 4 for square in squares)))


def difference(first: Flow, second: Flow) -> float:
    """The relative L2 distance of two flows, all components together."""
    parts = []
    for a, b in zip(first, second, strict=True):
        wide = np.zeros_like(b)
        wide[: a.shape[0], : a.shape[1]] = a
        parts.append(b - wide)
    return norm(parts) / norm(list(second))


def main() -> None:
    """Solve with two degrees, print by how much they differ, and write the second."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    coarse, fine = (solved(degree) for degree in DEGREES)
    accuracy = difference(coarse, fine)
    print(f"degrees {DEGREES}: relative L2 difference {accuracy:.1e}")
    if not arguments.check:
        size = max(len(c) for c in fine)
        flow = np.stack([np.pad(c, (0, size - len(c))) for c in fine])
        np.savez_compressed(FILE, flow=flow, accuracy=accuracy)


if __name__ == "__main__":
    main()
