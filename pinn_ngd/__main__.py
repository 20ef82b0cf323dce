"""`pinn-ngd` and `python -m pinn_ngd`."""

import os
import sys

THREADS = "OPENBLAS_NUM_THREADS"


def main() -> None:
    """Run the command line."""
    _one_blas_thread()
    from .cli import app

    app(prog_name="pinn-ngd")


def _one_blas_thread() -> None:
    """Keep OpenBLAS, which JAX calls for factorizations on the CPU, to one thread.

    At a few hundred rows or columns the LAPACK calls of a step are over before a second thread has
    woken up; they are faster on one. OpenBLAS reads the variable while it is loaded, so where NumPy
    got in before us the only honest way is to start over. Whoever sets the variable is obeyed.
    """
    if THREADS in os.environ:
        return
    os.environ[THREADS] = "1"
    if "numpy" in sys.modules and os.name == "posix":
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if __name__ == "__main__":
    main()
