"""Lowest states of a quantum particle in a well: -u'' / 2 + (x^2 / 2 + q x^4) u = E u.

With `quartic` q = 0 the well is harmonic and E = n + 1/2. The functions live on (-L, L) and are
zero at both ends by construction; all of them, and their energies `model.eigenvalues`, are found
together. The start is the Rayleigh-Ritz approximation in the features of the untrained network.
What is reported are the Rayleigh quotients of the functions, with `eigenvalue_bounds`.

`pinn-ngd solve schrodinger-eigen --seed 100` has four energies with a largest relative error of
2.3e-11 after 60 steps, 10 s on one core of a two-core machine that other programs shared. The bound
of 8.5e-7 is that of the highest state, whose upper neighbor is not computed.
The energies are compared with those of the same operator among 200 Hermite functions.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import (
    GaussLegendre,
    Interval,
    Problem,
    Residual,
    ResidualObjective,
    WithUnknowns,
    gradient,
    laplacian,
)
from pinn_ngd.experiments.plotting import Curves, plot_curves
from pinn_ngd.models import MLP, HardDirichlet
from pinn_ngd.objectives import orthonormal, rayleigh_ritz
from pinn_ngd.validation import eigenvalue_bounds


def levels(quartic, states, size=200):
    """The lowest energies by a matrix in Hermite functions, in which x is tridiagonal."""
    raised = np.diag(np.sqrt(np.arange(1, size) / 2), 1)
    x = raised + raised.T
    harmonic = np.diag(np.arange(size) + 0.5)
    matrix = harmonic + quartic * np.linalg.matrix_power(x, 4)
    return np.linalg.eigvalsh(matrix[:-4, :-4])[:states]  # the last four rows lack neighbors


def problem(
    *, states: int = 4, quartic: float = 0.0, half_width: float = 6.0, width: int = 24,
    depth: int = 2, points: int = 60, seconds: float = 20.0, steps: int = 60,
) -> Problem:  # fmt: skip
    domain = Interval(-half_width, half_width)
    rule, fine = GaussLegendre(domain, points), GaussLegendre(domain, 4 * points)

    def potential(x):
        return x[0] ** 2 / 2 + quartic * x[0] ** 4

    def operator(u, x):
        return -laplacian(u)(x) / 2 + potential(x) * u(x)

    def energy(u, x):
        return gradient(u)(x) @ gradient(u)(x) / 2 + potential(x) * u(x) ** 2

    def model(key):
        net = MLP((1, *(width,) * depth, states), key=key, domain=domain, scale=4.0)
        walls = HardDirichlet(net, lambda _: 0.0, lambda x: 1 - (x[0] / half_width) ** 2)
        start = WithUnknowns(walls, eigenvalues=np.zeros(states))
        return rayleigh_ritz(start, energy, fine, layer=lambda m: m.solution.net.layers[-1])

    terms = [
        Residual(lambda u, x: operator(u, x) - u.eigenvalues * u(x), rule, name="equation"),
        orthonormal(fine),
    ]
    exact = levels(quartic, states)

    def scores(model):
        bounds = eigenvalue_bounds(operator, model, fine)
        named = {f"E{n}": float(value) for n, value in enumerate(bounds.values)}
        return named | {
            "eigenvalue_error": float(np.max(np.abs(bounds.values / exact - 1))),
            "eigenvalue_error_bound": float(np.max(bounds.errors / exact)),
        }

    def picture(model):
        x = jnp.linspace(-half_width, half_width, 301)[:, None]
        order = np.argsort(model.eigenvalues)
        u = np.asarray(jax.vmap(model)(x))
        states_at = {
            f"n = {n}": (x[:, 0], model.eigenvalues[i] + 0.4 * u[:, i]) for n, i in enumerate(order)
        }
        well = {"potential": (x[:, 0], np.minimum(jax.vmap(potential)(x), exact[-1] + 1))}
        panel = Curves(well | states_at, "x", "energy", xscale="linear", yscale="linear")
        return plot_curves([panel], marker="")

    return Problem(
        name="schrodinger-eigen",
        description="lowest states of a particle in a harmonic or quartic well",
        objective=ResidualObjective(terms),
        model=model,
        domain=domain,
        scores=scores,
        picture=picture,
        compared="eigenvalue_error",
        seconds=seconds,
        steps=steps,
    )
