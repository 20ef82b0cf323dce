"""Reference solutions of three evolutions, the small arrays in problems/references.

    python benchmarks/references.py            # all, three minutes on one core
    python benchmarks/references.py kdv --check
    python benchmarks/references.py --costs    # half a minute: what one solution takes

Fourier series in space and exponential time differencing of fourth order (Cox and Matthews 2002;
Kassam and Trefethen 2005, doi:10.1137/S1064827502410633), read at Chebyshev points of time and
compressed by a singular value decomposition to u(t, x) = sum_r T_r(t) X_r(x). Every reference is
computed twice, the second time with twice as many waves and half the time steps, and the relative
L2 difference of the two, compression and interpolation included, is printed and kept as `accuracy`
in the file. With `--check` nothing is written. With `--costs` the processor seconds of the first of
the two, before compression, and its relative difference to the second go into
`benchmarks/results/evolutions.json`.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.polynomial import chebyshev

FOLDER = Path(__file__).parents[1] / "problems" / "references"
COSTS = Path(__file__).parent / "results" / "evolutions.json"
CONTOUR = 32  # points of the contour integrals


@dataclasses.dataclass(frozen=True)
class Equation:
    """u_t = L u + N(u) on (-1, 1), periodic, for 0 < t < 1: symbol of L, N, and the initial value.

    `nonlinear(u, slope)` takes the values of u and the function that differentiates. `start` is the
    series of the initial value: the complex coefficients of the waves exp(i pi k x).
    """

    symbol: Callable[[np.ndarray], np.ndarray]
    nonlinear: Callable[[np.ndarray, Callable], np.ndarray]
    start: Callable[[np.ndarray], np.ndarray]
    waves: int
    times: int
    steps: int  # between two of the times
    rank: float  # singular values below this part of the largest are left out
    corner: bool = False  # whether the initial value has a kink at x = 1, where u is near -1


def bump_series(k: np.ndarray) -> np.ndarray:
    """Coefficients of x^2 cos(pi x), by two integrations by parts: its slope jumps at x = 1.

    x^2 is 1/3 + sum over k of 2 (-1)^k / (pi k)^2 exp(i pi k x), shifted by the cosine.
    """

    def square(k: np.ndarray) -> np.ndarray:
        safe = np.where(k == 0, 1, k)
        return np.where(k == 0, 1 / 3, 2 * (-1.0) ** np.abs(k) / (np.pi * safe) ** 2)

    return 0.5 * (square(k - 1) + square(k + 1)).astype(complex)


EQUATIONS = {
    "allen_cahn": Equation(
        symbol=lambda k: -1e-4 * (np.pi * k) ** 2 + 5 + 0j,
        nonlinear=lambda u, slope: -5 * u**3,  # noqa: ARG005
        start=bump_series,
        waves=1024, times=64, steps=16, rank=1e-9, corner=True,
    ),
    "kdv": Equation(
        symbol=lambda k: 0.0025j * (np.pi * k) ** 3,
        nonlinear=lambda u, slope: -0.5 * slope(u**2),
        start=lambda k: 0.5 * (np.abs(k) == 1) + 0j,
        waves=128, times=64, steps=128, rank=1e-11,
    ),
    "kuramoto_sivashinsky": Equation(
        symbol=lambda k: 0.5 * (np.pi * k) ** 2 - 0.005 * (np.pi * k) ** 4 + 0j,
        nonlinear=lambda u, slope: -2.5 * slope(u**2),
        start=lambda k: 0.5j * (np.abs(k) == 1),
        waves=96, times=240, steps=48, rank=1e-11,
    ),
}  # fmt: skip


def chebyshev_points(n: int) -> np.ndarray:
    """n + 1 Chebyshev points of [0, 1], ends included, in order."""
    return 0.5 - 0.5 * np.cos(np.pi * np.arange(n + 1) / n)


def times_of(equation: Equation) -> np.ndarray:
    """Where the solution is kept: Chebyshev points of time, or of its root beside a corner."""
    points = chebyshev_points(equation.times)
    return points**2 if equation.corner else points


def corner_series(times: np.ndarray, waves: int) -> np.ndarray:
    """Coefficients of what the kink of x^2 cos(pi x) at x = 1 becomes, linearized about u = -1.

    With y the distance from x = 1 it starts as 2 |y| - y^2, which is smooth elsewhere, diffuses and
    decays as exp(-10 t). Without it the solution is smooth enough for a few hundred waves.
    """
    k = np.arange(waves)
    safe = np.where(k == 0, 1, k)
    start = np.where(k == 0, 2 / 3, -2 * (-1.0) ** k / (np.pi * safe) ** 2)
    return start * np.exp(-np.outer(times, 10 + 1e-4 * (np.pi * k) ** 2))


def series(equation: Equation, waves: int, steps: int) -> np.ndarray:
    """Coefficients (times + 1, waves + 1) of the waves k = 0, ..., `waves` of a real solution."""
    k = np.arange(waves + 1)
    symbol = equation.symbol(k)
    grid = 4 * waves  # enough for a cube

    def values(coefficients: np.ndarray) -> np.ndarray:
        return np.fft.irfft(coefficients, grid) * grid

    def cut(u: np.ndarray) -> np.ndarray:
        return np.fft.rfft(u)[: waves + 1] / grid

    def slope(u: np.ndarray) -> np.ndarray:
        return values(1j * np.pi * k * cut(u))

    def nonlinear(v: np.ndarray) -> np.ndarray:
        return cut(equation.nonlinear(values(v), slope))

    v = equation.start(k)
    kept = [v]
    for duration in np.diff(times_of(equation)):
        weights = exponential_weights(symbol, duration / steps)
        for _ in range(steps):
            v = one_step(v, nonlinear, weights)
        kept.append(v)
    found = np.stack(kept)
    return found - corner_series(times_of(equation), waves + 1) if equation.corner else found


def exponential_weights(symbol: np.ndarray, h: float) -> tuple[np.ndarray, ...]:
    """Weights of one step, as means over circles around h L, where they have no cancellation."""
    z = h * symbol
    circle = z[:, None] + np.exp(2j * np.pi * (np.arange(CONTOUR) + 0.5) / CONTOUR)
    e = np.exp(circle)
    half = h * np.mean((np.exp(circle / 2) - 1) / circle, axis=1)
    first = h * np.mean((-4 - circle + e * (4 - 3 * circle + circle**2)) / circle**3, axis=1)
    middle = h * np.mean((2 + circle + e * (circle - 2)) / circle**3, axis=1)
    last = h * np.mean((-4 - 3 * circle - circle**2 + e * (4 - circle)) / circle**3, axis=1)
    return np.exp(z), np.exp(z / 2), half, first, middle, last


def one_step(v: np.ndarray, nonlinear: Callable, weights: tuple[np.ndarray, ...]) -> np.ndarray:
    """One step of ETDRK4."""
    whole, root, half, first, middle, last = weights
    n0 = nonlinear(v)
    a = root * v + half * n0
    na = nonlinear(a)
    nb = nonlinear(root * v + half * na)
    nc = nonlinear(root * a + half * (2 * nb - n0))
    return whole * v + first * n0 + 2 * middle * (na + nb) + last * nc


def compressed(coefficients: np.ndarray, rank: float) -> tuple[np.ndarray, np.ndarray]:
    """Factors (r, times) of Chebyshev coefficients and (r, waves) of Fourier coefficients."""
    times = len(coefficients)
    nodes = 2 * chebyshev_points(times - 1) - 1
    in_time = np.linalg.solve(chebyshev.chebvander(nodes, times - 1), coefficients)
    real = np.concatenate([in_time.real, in_time.imag], axis=1)
    left, sizes, right = np.linalg.svd(real, full_matrices=False)
    r = int(np.sum(sizes > rank * sizes[0]))
    half = right.shape[1] // 2
    return (left[:, :r] * sizes[:r]).T, right[:r, :half] + 1j * right[:r, half:]


def evaluated(time: np.ndarray, waves: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Fourier coefficients (times, waves) of a compressed solution, at times or roots of times."""
    return chebyshev.chebval(2 * times - 1, time.T).T @ waves


def norm(waves: np.ndarray, times: np.ndarray) -> float:
    """Root of the mean over space (Parseval) and integral over time (trapezoids) of |u|^2."""
    weights = np.where(np.arange(waves.shape[1]) == 0, 1.0, 2.0)
    return float(np.sqrt(np.trapezoid(np.abs(waves) ** 2 @ weights, times)))


def shortened(time: np.ndarray, waves: np.ndarray, rank: float) -> np.ndarray:
    """Without the waves at the end that are smaller than this part of the largest."""
    sizes = np.max(np.linalg.norm(time, axis=1)[:, None] * np.abs(waves), axis=0)
    return waves[:, : int(np.nonzero(sizes > rank * sizes.max())[0][-1]) + 1]


def made(name: str) -> tuple[dict[str, np.ndarray], str]:
    """The arrays of a reference, and a line that says how accurate they are."""
    equation = EQUATIONS[name]
    coarse = series(equation, equation.waves, equation.steps)
    fine = series(equation, 2 * equation.waves, 2 * equation.steps)
    time, waves = compressed(fine, equation.rank)
    waves = shortened(time, waves, equation.rank)
    # Times between the Chebyshev points, where interpolation in time counts, too.
    between = dataclasses.replace(equation, times=2 * equation.times)
    truth, times = series(between, equation.waves, equation.steps), times_of(between)
    size = norm(truth, times)
    found = evaluated(time, waves, chebyshev_points(between.times))
    width = max(truth.shape[1], found.shape[1])
    truth, found = (np.pad(u, ((0, 0), (0, width - u.shape[1]))) for u in (truth, found))
    step = norm(coarse - fine[:, : coarse.shape[1]], times_of(equation)) / size
    accuracy = norm(found - truth, times) / size
    line = (
        f"{name}: twice the waves and half the steps change {step:.1e}; as stored, between the "
        f"times of the file, {accuracy:.1e}; rank {len(time)}, {waves.shape[1]} waves"
    )
    waves = np.real(waves) if equation.corner else waves  # an even solution
    arrays = {"time": time, "waves": waves, "root": np.asarray(equation.corner)}
    return arrays | {"accuracy": np.asarray(max(step, accuracy))}, line


def cost(name: str) -> dict[str, object]:
    """Processor seconds of one solution, and what twice the waves and half the steps change."""
    equation = EQUATIONS[name]
    begun = time.process_time()
    found = series(equation, equation.waves, equation.steps)
    seconds = time.process_time() - begun
    fine = series(equation, 2 * equation.waves, 2 * equation.steps)
    times = times_of(equation)
    size = norm(fine, times)  # beside a corner that of the smooth part, of which the error is
    gap = norm(np.pad(found, ((0, 0), (0, equation.waves))) - fine, times) / size
    return {
        "problem": name.replace("_", "-"), "waves": equation.waves,
        "steps": equation.times * equation.steps, "relative_l2": gap, "seconds": seconds,
    }  # fmt: skip


def main() -> None:
    """Make what the command line names, and print how accurate it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(EQUATIONS))
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--costs", action="store_true", help="time one solution of each")
    arguments = parser.parse_args()
    if arguments.costs:
        known = json.loads(COSTS.read_text(encoding="utf-8")) if COSTS.is_file() else []
        rows = {row["problem"]: row for row in known}
        for row in map(cost, arguments.names):
            print(row, flush=True)
            rows[str(row["problem"])] = row
        if not arguments.check:
            COSTS.write_text(json.dumps([*rows.values()], indent=1) + "\n", encoding="utf-8")
        return
    for name in arguments.names:
        arrays, line = made(name)
        print(line, flush=True)
        if not arguments.check:
            FOLDER.mkdir(exist_ok=True)
            np.savez_compressed(FOLDER / f"{name}.npz", **arrays)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main()
