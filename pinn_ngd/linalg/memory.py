"""How much memory a linear solve needs, and which of its forms fits into memory."""

import os
from typing import Literal

Form = Literal["primal", "dual", "matrix-free"]

_DEFAULT_MEMORY = 4 * 2**30
_KRYLOV_VECTORS = 12


def memory_estimate(rows: int, parameters: int, *, itemsize: int = 8) -> dict[str, int]:
    """Bytes that each form holds at its peak, for n rows and p parameters.

    - "primal": 2 n p + 3 p^2 items: the rows, the copy that QR works on, and R (or the Gram
      matrix), its vectors and a workspace.
    - "dual": 2 n p + 3 n^2 items, the same on the other side.
    - "matrix-free": 12 (n + p) items, the vectors of a Krylov method, without the derivative's
      own memory for one chunk of points.
    """
    both = 2 * rows * parameters
    items = {
        "primal": both + 3 * parameters**2,
        "dual": both + 3 * rows**2,
        "matrix-free": _KRYLOV_VECTORS * (rows + parameters),
    }
    return {form: count * itemsize for form, count in items.items()}


def choose_form(
    rows: int, parameters: int, *, itemsize: int = 8, budget_bytes: float | int | None = None
) -> Form:
    """The cheapest form of a damped system with n rows and p parameters that fits the memory.

    "dual" (n x n) where n < p, "primal" (p x p) otherwise, and "matrix-free" where the row matrix
    and its factor exceed `budget_bytes` (default: half of the memory available now).
    """
    budget = available_memory() / 2 if budget_bytes is None else budget_bytes
    form: Form = "dual" if rows < parameters else "primal"
    fits = memory_estimate(rows, parameters, itemsize=itemsize)[form] <= budget
    return form if fits else "matrix-free"


def available_memory() -> int:
    """Bytes of free main memory, or 4 GiB where the system does not tell.

    The memory of an accelerator and the limits of a container are not taken into account.
    """
    for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        try:
            return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, OSError, ValueError):
            continue
    return _DEFAULT_MEMORY
