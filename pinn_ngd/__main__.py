"""`pinn-ngd` and `python -m pinn_ngd`."""

from .training.threads import blas_threads


def main() -> None:
    """Run the command line, with BLAS on one thread."""
    from .cli import app

    with blas_threads(1):
        app(prog_name="pinn-ngd")


if __name__ == "__main__":
    main()
