"""`pinn-ngd` and `python -m pinn_ngd`."""


def main() -> None:
    """Run the command line."""
    from .cli import app

    app(prog_name="pinn-ngd")


if __name__ == "__main__":
    main()
