"""The reference solution of `stokes-cavity`, a small array in problems/references.

    python benchmarks/stokes_reference.py            # a few seconds on one core
    python benchmarks/stokes_reference.py --check

Every Stokes flow in the plane is given by two analytic functions f and h of z = x + i y (Goursat):

    u - i v = conj(z) f' - conj(f) + h,     p = 4 Re f',

so that only the conditions on the walls remain. f and h are polynomials plus simple poles outside
of the square that gather at its corners, which carry the eddies of Moffatt (1964) there (the
"lightning" method: Brubeck and Trefethen 2022, doi:10.1137/21M1408579). Their coefficients are
fitted to the velocity on the walls by least squares. The flow is computed a second time with other
poles and another degree; the relative L2 difference of the two is printed and kept as `accuracy` in
the file. With `--check` nothing is written.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

FILE = Path(__file__).parents[1] / "problems" / "references" / "stokes_cavity.npz"
CENTER = 0.5 + 0.5j
CORNERS = 0.5 * np.asarray([-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j])  # as seen from the center
RADIUS = 0.5**0.5  # the powers are those of z / RADIUS, at most 1 in the square


class Size(NamedTuple):
    """Degree of the polynomials; poles at a corner, how they are spaced, and the farthest one."""

    degree: int
    poles: int
    spacing: float
    farthest: float


SIZE, OTHER = Size(24, 32, 1.8, 0.7), Size(40, 24, 2.5, 0.7)


class Flow(NamedTuple):
    """f and h by the coefficients of the powers, then of the poles; z is seen from the center."""

    poles: np.ndarray
    lengths: np.ndarray
    degree: int
    f: np.ndarray
    h: np.ndarray

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """u, v and p (n, 3) at points (n,)."""
        values, slopes = basis(z, self.degree, self.poles, self.lengths)
        slope = slopes @ self.f
        velocity = np.conj(z) * slope - np.conj(values @ self.f) + values @ self.h
        return np.stack([np.real(velocity), -np.imag(velocity), 4 * np.real(slope)], axis=1)


def lid(x: np.ndarray) -> np.ndarray:
    """The velocity of the lid, for x from 0 to 1: smooth, with a maximum of 1."""
    return 16 * x**2 * (1 - x) ** 2


def basis(
    z: np.ndarray, degree: int, poles: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Powers of z / RADIUS and length / (z - pole), and the derivatives of all of them."""
    k, w = np.arange(degree + 1), z[:, None] / RADIUS
    powers, fractions = w**k, lengths / (z[:, None] - poles)
    slopes = k * w ** np.maximum(k - 1, 0) / RADIUS
    return np.c_[powers, fractions], np.c_[slopes, -(fractions**2) / lengths]


def wall_points(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on the four walls that gather at the corners, and the velocity of the wall there."""
    gathered = 0.5 + 0.5 * np.tanh(np.linspace(-9, 9, n))
    t = np.sort(np.r_[gathered, 0.5 - 0.5 * np.cos(np.pi * np.arange(1, n // 2) / (n // 2))])
    walls = zip(CORNERS, np.roll(CORNERS, -1), strict=True)
    points = np.concatenate([a + (b - a) * t for a, b in walls])
    still = np.zeros(len(t))
    return points, np.concatenate([still, still, lid(1 - t), still])


def fitted(size: Size) -> Flow:
    """The flow that fits the velocity on the walls best, with a mean pressure of zero."""
    gaps = np.sqrt(size.poles) - np.sqrt(np.arange(1, size.poles + 1))
    lengths = size.farthest * np.exp(-size.spacing * gaps)
    poles = np.concatenate([corner * (1 + lengths / abs(corner)) for corner in CORNERS])
    lengths = np.tile(lengths, len(CORNERS))
    z, wall = wall_points(250)
    values, slopes = basis(z, size.degree, poles, lengths)
    turning = np.conj(z)[:, None] * slopes
    columns = [turning - np.conj(values), 1j * (turning + np.conj(values)), values, 1j * values]
    matrix = np.concatenate(columns, axis=1)
    rows, target = np.r_[np.real(matrix), np.imag(matrix)], np.r_[wall, 0 * wall]
    found = np.linalg.lstsq(rows, target, rcond=1e-15)[0].reshape(4, -1)
    f, h = found[0] + 1j * found[1], found[2] + 1j * found[3]
    flow = Flow(poles, lengths, size.degree, f, h)
    points, weights = gauss_points(80)
    # f + a z and h are the same flow as f and h with the pressure higher by 4 a.
    f[1] -= RADIUS * (weights @ flow(points)[:, 2]) / 4
    return flow


def gauss_points(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of the square, seen from its center, and weights."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    x, y = np.meshgrid(nodes / 2, nodes / 2)
    return (x + 1j * y).ravel(), np.outer(weights, weights).ravel() / 4


def made() -> tuple[dict[str, np.ndarray], str]:
    """The arrays of the reference, and a line that says how accurate they are."""
    flow, other = fitted(SIZE), fitted(OTHER)
    points, weights = gauss_points(120)
    values = flow(points)
    wrong, size = weights @ (values - other(points)) ** 2, weights @ values**2
    z, wall = wall_points(999)
    at_walls = np.max(np.abs(flow(z)[:, :2] - np.stack([wall, 0 * wall], axis=1)))
    accuracy = np.sqrt(wrong.sum() / size.sum())
    parts = ", ".join(f"{n} {e:.1e}" for n, e in zip("uvp", np.sqrt(wrong / size), strict=True))
    line = (
        f"stokes_cavity: other poles and another degree change {accuracy:.1e} ({parts}); "
        f"velocity on the walls wrong by {at_walls:.1e} at most; {len(flow.poles)} poles"
    )
    arrays = {"poles": flow.poles + CENTER, "lengths": flow.lengths, "f": flow.f, "h": flow.h}
    scale = {"center": np.asarray(CENTER), "radius": np.asarray(RADIUS)}
    return arrays | scale | {"accuracy": np.asarray(accuracy)}, line


def main() -> None:
    """Make the file, and print how accurate it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    arrays, line = made()
    print(line)
    if not arguments.check:
        np.savez_compressed(FILE, **arrays)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main()
