"""A tiny problem, as an object and as a file, the command line, and what a folder holds."""

from pathlib import Path

import jax.numpy as jnp
from typer.testing import CliRunner

from pinn_ngd import GaussLegendre, Interval, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.cli import app
from pinn_ngd.models import MLP

FILE = '''"""A tiny problem."""
import jax.numpy as jnp
from pinn_ngd import GaussLegendre, Interval, Problem, Residual, ResidualObjective, laplacian
from pinn_ngd.models import MLP

def exact(x):
    return jnp.sin(jnp.pi * x[0])

def residual(u, x):
    return laplacian(u)(x) + jnp.pi**2 * exact(x)

def problem(*, width=3, points=6, name="tiny", rate=1.0):
    domain = Interval(0.0, 1.0)
    return Problem(
        name=name, description="tiny", domain=domain, exact=exact, optimizer="adam",
        objective=ResidualObjective([Residual(residual, GaussLegendre(domain, points))]),
        model=lambda key: MLP((1, width, 1), key=key),
        evaluation=GaussLegendre(domain, 12).quadrature(), seconds=0.5,
    )
'''
# The settings that `load_problem` and the command line know of it.
SETTINGS = {"width": 3, "points": 6, "name": "tiny", "rate": 1.0}
DOMAIN = Interval(0.0, 1.0)


def exact(x):
    return jnp.sin(jnp.pi * x[0])


def residual(u, x):
    return laplacian(u)(x) + jnp.pi**2 * exact(x)


def other_residual(u, x):
    return laplacian(u)(x) + exact(x)


def tiny(fn=residual, points=6, width=3, activation=jnp.tanh, **changes):
    settings = {
        "name": "tiny",
        "description": "a tiny problem",
        "objective": ResidualObjective([Residual(fn, GaussLegendre(DOMAIN, points))]),
        "model": lambda key: MLP((1, width, 1), key=key, activation=activation),
        "domain": DOMAIN,
        "evaluation": GaussLegendre(DOMAIN, 12).quadrature(),
        "exact": exact,
        "optimizer": "adam",
    }
    return Problem(**{**settings, **changes})


def contents(folder: Path):
    """Every file below a folder, with its bytes and the time of its last change."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def changed_file(folder: Path, old: str, new: str) -> Path:
    """The problem's file with one passage replaced."""
    assert old in FILE
    path = folder / "changed.py"
    path.write_text(FILE.replace(old, new))
    return path


def run_cli(*arguments):
    # A wide terminal, so that no line is broken in the middle of what a test looks for.
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
