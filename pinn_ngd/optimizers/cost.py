"""What a step costs, in operations and bytes, before anything of it is allocated."""

import dataclasses
import os

import jax

from ..linalg import memory_estimate

# Operations of a step with n rows and p parameters, m and M the smaller and the larger of both,
# fitted to steps of 0.2 to 30 s on one core (docs/scale.md), with six trials of dampings: within a
# factor of two. A step that walks to its damping makes two or three.
ORTHOGONAL = 4  # of M m^2: QR of the rows, with Q where they are wide
TRIANGLES = 11  # of m^3: the second QR of QLP, its check, and two Cholesky factors for six dampings
GRAM = 2  # of M m^2: products of rows with one another
EIGEN = 9  # of m^3: eigenvalues and vectors of a Gram matrix
PASSES = 1000  # of n p: rows, candidates and their corrections
ITERATIONS = 200  # products of a matrix-free step, each of some evaluations a point
PRODUCT = 40  # of n p: a product with A and one with its transpose by automatic differentiation

# Operations per second that a step reaches: one core, and an H200 on large matrices (docs/gpu.md).
RATES = {"cpu": 4e10, "gpu": 3e11}
MOST_SECONDS = 2.0  # a step that takes longer is too slow: a minute then has fewer than 30 of them
LONGEST = 60.0  # seconds of a step of all rows that may still be made in the end
SHARE = 0.5  # of the memory of the machine that a step may take


@dataclasses.dataclass(frozen=True)
class Cost:
    """Floating-point operations and bytes of one step."""

    operations: int | float
    bytes: int | float

    @property
    def seconds(self) -> int | float:
        """About how long it takes on this kind of device: nominal, so that it never varies."""
        return self.operations / RATES.get(jax.default_backend(), RATES["cpu"])

    @property
    def is_quick(self) -> bool:
        """Whether a minute has thirty of it, as a run to convergence needs."""
        return self.seconds <= MOST_SECONDS

    @property
    def fits(self) -> bool:
        """Whether it takes no more than half of the memory of this machine."""
        return self.bytes <= SHARE * total_memory()

    def __str__(self) -> str:
        return f"about {_short(self.seconds)} s and {_size(self.bytes)}"


def exact_cost(rows: int, parameters: int, itemsize: int = 8) -> Cost:
    """A step that factors all rows once and answers every damping."""
    small, large = sorted((rows, parameters))
    work = ORTHOGONAL * large * small**2 + TRIANGLES * small**3 + PASSES * rows * parameters
    form = "dual" if rows < parameters else "primal"
    # Beside what every factorization holds QLP keeps three small matrices, and Q of wide rows.
    kept = 3 * small**2 + (rows * parameters if rows < parameters else 0)
    stored = memory_estimate(rows, parameters, itemsize=itemsize)[form]
    return Cost(work, stored + itemsize * kept)


def part_cost(rows: int, parameters: int, itemsize: int = 8) -> Cost:
    """A step of that many rows by their Gram matrix, judged by as many others."""
    small, large = sorted((rows, parameters))
    work = GRAM * large * small**2 + EIGEN * small**3 + PASSES * rows * parameters
    form = "dual" if rows < parameters else "primal"
    return Cost(work, memory_estimate(rows, parameters, itemsize=itemsize)[form])


def balance(rows: int, parameters: int, part: int) -> int:
    """The number of steps of a part of the rows that take as long as one of all of them.

    Both by Gram matrices, which is the route of a step of all rows until dampings are tiny.
    """
    whole, few = part_cost(rows, parameters).operations, part_cost(part, parameters).operations
    return max(2, round(whole / few))


def product_cost(rows: int, parameters: int, itemsize: int = 8) -> Cost:
    """A step of products with the rows, which are never stored."""
    work = ITERATIONS * PRODUCT * rows * parameters
    return Cost(work, memory_estimate(rows, parameters, itemsize=itemsize)["matrix-free"])


def total_memory() -> float:
    """Bytes of memory that this process may use: those of the accelerator, or of the machine
    within the limit of its container.

    It is not what is free at the moment: a run and its continuation have to decide alike.
    """
    device = jax.local_devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return float(stats["bytes_limit"])
    return min(_physical(), _limit_of_the_container())


def _physical() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return 8 * 2.0**30  # where the system does not tell


def _limit_of_the_container() -> float:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:
                return float(file.read())
        except (OSError, ValueError):  # there is none, or it says "max"
            continue
    return float("inf")


def _short(seconds: int | float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1g}"


def _size(count: int | float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return (
                f"{count / size:.2g} {unit}" if count < 100 * size else f"{count / size:.0f} {unit}"
            )
    return f"{count / 1e3:.0f} kB"
