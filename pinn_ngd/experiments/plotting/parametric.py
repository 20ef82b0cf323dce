"""A parametric solution, its curves and its error for every parameter."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ...evaluation import at_parameter, sweep
from ...geometry.domains import Interval
from ...geometry.quadrature import GaussLegendre
from . import style as look

if TYPE_CHECKING:
    import matplotlib.figure

CURVES = 6


def plot_sweep(
    solution: Any,
    exact: Callable | None,
    values: Sequence[float] | np.ndarray,
    space: Interval,
    *,
    name: str = "m",
) -> "matplotlib.figure.Figure":
    """u(m, .) on an interval for some of the parameters `values`, and errors for all of them.

    Without `exact` there is no second panel.
    """
    values = np.asarray(values, float)
    places = jnp.linspace(space.lower[0], space.upper[0], 201)[:, None]
    chosen = values[np.unique(np.linspace(0, len(values) - 1, CURVES).round().astype(int))]
    with look.style():
        width = look.COLUMN_WIDTH if exact is None else look.FULL_WIDTH
        figure = look.new_figure(width, 2.7)
        axes = np.atleast_1d(figure.subplots(1, 1 if exact is None else 2))
        for value, (color, line) in zip(
            chosen, look.cycled(map(str, chosen)).values(), strict=True
        ):
            u = jax.vmap(at_parameter(solution, value))(places)
            label = f"{name} = {look.in_plain_numbers(round(float(value), 2))}"
            axes[0].plot(places[:, 0], u, color=color, linestyle=line, label=label)
        axes[0].set(xlabel="x", ylabel="u", title="solutions")
        figure.legend(loc="outside lower center", ncols=3 if exact is None else CURVES)
        if exact is not None:
            errors = sweep(solution, exact, values, GaussLegendre(space, 100))
            axes[1].semilogy(values, errors, "-o", color=look.BLUE, markersize=3)
            axes[1].set(xlabel=name, title="relative L2 error")
            look.decades(axes[1].yaxis)
        return figure
