"""`pinn-ngd` and `python -m pinn_ngd`."""

from threadpoolctl import threadpool_limits


def main() -> None:
    """Run the command line, with BLAS on one thread.

    At a few hundred rows or columns the LAPACK calls of a step are over before a second thread has
    woken up; they are faster on one. JAX calls the OpenBLAS that SciPy loads, hence its import.
    """
    import scipy.linalg  # noqa: F401

    from .cli import app

    with threadpool_limits(limits=1, user_api="blas"):
        app(prog_name="pinn-ngd")


if __name__ == "__main__":
    main()
