"""The number of threads that linear algebra uses during a training."""

import contextlib
from collections.abc import Iterator

from threadpoolctl import threadpool_limits


@contextlib.contextmanager
def blas_threads(count: int | None) -> Iterator[None]:
    """Limits BLAS and LAPACK to `count` threads while the block runs.

    JAX calls the OpenBLAS that SciPy loads, which is why SciPy is imported here. With a few hundred
    rows or columns a call takes less time than a second thread needs to start, and on a busy
    machine the call waits for that thread. None changes nothing. Raises ValueError for a count
    below one.
    """
    if count is None:
        yield
        return
    if count < 1:
        raise ValueError(f"`blas_threads` is {count}; it must be 1 or more, or None to leave them.")
    import scipy.linalg  # noqa: F401

    with threadpool_limits(limits=count, user_api="blas"):
        yield
