"""How many threads the linear algebra of a training uses."""

import contextlib
from collections.abc import Iterator

from threadpoolctl import threadpool_limits


@contextlib.contextmanager
def blas_threads(count: int | None) -> Iterator[None]:
    """So many threads for BLAS and LAPACK inside, and as many as before after it.

    JAX calls the OpenBLAS that SciPy loads, hence the import. At a few hundred rows or columns its
    calls are over before a second thread has woken up, and on a busy machine they wait for one.
    None leaves everything as it is. Raises ValueError for a count below one.
    """
    if count is None:
        yield
        return
    if count < 1:
        raise ValueError(f"`blas_threads` is {count}; it must be 1 or more, or None to leave them.")
    import scipy.linalg  # noqa: F401

    with threadpool_limits(limits=count, user_api="blas"):
        yield
