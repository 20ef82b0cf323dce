"""What of a solution is drawn: values at points, and what they and the coordinates are called."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...geometry.domains import Domain, SpaceTime

GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu",
    "nu", "xi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
}  # fmt: skip


class Names(NamedTuple):
    """What the panels of one component are called."""

    solution: str
    exact: str
    error: str
    estimate: str


class Shown(NamedTuple):
    """Functions of a point by what they are: "u", and "exact" and "estimate" where they are known.

    `component` is the only one that is drawn, or None; `components` are their names.
    """

    functions: dict[str, Callable[..., Any]]
    component: int | None
    symbol: str
    components: Sequence[str]

    def at(self, points: np.ndarray) -> tuple[dict[str, np.ndarray], list[Names]]:
        """Values (n, k) at points (n, d), and the names of the k real components.

        Raises ValueError where there are other numbers of names and components.
        """
        found = {key: values_of(function, points) for key, function in self.functions.items()}
        is_complex = any(np.iscomplexobj(values) for values in found.values())
        if is_complex:
            parts = {key: (np.real(v), np.imag(v)) for key, v in found.items()}
            found = {key: np.concatenate(pair, axis=1) for key, pair in parts.items()}
        count = next(iter(found.values())).shape[1]
        names = _names(self._symbols(count // 2 if is_complex else count), is_complex)
        if self.component is not None and len(names) > 1:
            found = {key: values[:, [self.component]] for key, values in found.items()}
            names = [names[self.component]]
        return found, names

    def _symbols(self, count: int) -> list[tuple[str, str]]:
        """A letter and an index for every component; no letter where the solution has no symbol."""
        if self.components and len(self.components) != count:
            raise ValueError(
                f"`components` are {len(self.components)} names, and the solution has {count} "
                "components: give one for each, in their order."
            )
        if self.components:
            return [_letter_and_index(name) for name in self.components]
        return [(self.symbol, f"{i + 1}" if count > 1 else "") for i in range(count)]


def _letter_and_index(name: str) -> tuple[str, str]:
    """How a name is set: u, u_1 and rho as letters of mathematics, longer words upright."""
    word, _, index = name.partition("_")
    if len(word) == 1 or word in GREEK:
        return (f"\\{word}" if word in GREEK else word), index
    return "\\mathrm{" + name.replace("_", "\\_") + "}", ""


def _names(symbols: list[tuple[str, str]], is_complex: bool) -> list[Names]:
    """Names for every real component: of complex ones first the real parts."""
    parts = ("\\mathrm{Re}\\,", "\\mathrm{Im}\\,") if is_complex else ("",)
    several = len(symbols) * len(parts) > 1
    found = []
    for part in parts:
        for letter, index in symbols:
            below = f"_{{{index}}}" if index else ""
            u, star = f"${part}{letter}{below}$", f"${part}{letter}^\\ast{below}$"
            minus = f"{u[:-1]} - {star[1:]}"
            if not letter:
                number = f"{len(found) + 1}" if several else ""
                u, star, minus = (number,) * 3
            of = f" {u}" if several and not letter else ""
            found.append(
                Names(f"network {u}", f"exact {star}", f"error {minus}", f"estimated error{of}")
            )
    return [Names(*(name.strip() for name in names)) for names in found]


def coordinate_names(domain: Domain) -> list[str]:
    """x, y or x_1 ... x_d, behind t where the domain has time."""
    timed = isinstance(domain, SpaceTime)
    space = domain.dimension - timed
    short = {1: ["$x$"], 2: ["$x$", "$y$"]}
    names = short.get(space) or [f"$x_{{{i + 1}}}$" for i in range(space)]
    return ["$t$", *names] if timed else names


def values_of(function: Any, points: np.ndarray) -> np.ndarray:
    """u at points (n, d), one compiled call: (n, k), real or complex."""
    import jax
    import jax.numpy as jnp

    array = jnp.asarray(points, dtype=jnp.result_type(float))
    found = np.asarray(jax.jit(jax.vmap(lambda x: function(x)))(array)).reshape(len(points), -1)
    return found.astype(complex if np.iscomplexobj(found) else float)
