"""A rule in cells: what points that grow where they are needed make of a rule."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from .base import AbstractRule, Quadrature


class Cells(AbstractRule):
    """The union of rules on regions that do not overlap: points and weights one after the other.

    Raises ValueError without any rule.
    """

    rules: tuple[AbstractRule, ...]

    def __check_init__(self):
        if not self.rules:
            raise ValueError("`rules` is empty: give at least one rule.")

    @property
    def resampled(self) -> bool:
        """Whether one of the rules is."""
        return any(rule.resampled for rule in self.rules)

    @property
    def size(self) -> int:
        return sum(rule.size for rule in self.rules)

    def quadrature(self, key: PRNGKeyArray | None = None) -> Quadrature:
        """The points and weights of every cell, in the order of `rules`."""
        count = len(self.rules)
        keys = [None] * count if key is None else list(jax.random.split(key, count))
        parts = [rule.quadrature(k) for rule, k in zip(self.rules, keys, strict=True)]
        return _joined(parts)

    def held_out(self, factor: float = 1.6) -> AbstractRule | None:
        """The held-out rules of all cells; None where one of them has none."""
        finer = [rule.held_out(factor) for rule in self.rules]
        return None if None in finer else Cells(tuple(rule for rule in finer if rule is not None))

    def per_piece(self) -> tuple[AbstractRule, ...]:
        return tuple(piece for rule in self.rules for piece in rule.per_piece())


def _joined(parts: list[Quadrature]) -> Quadrature:
    """All points; what not every part has, normals or values, is left out, and so are test
    functions, which live on one mesh."""
    if len(parts) == 1:
        return parts[0]

    def column(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if any(array is None for array in arrays) else jnp.concatenate(arrays)

    return Quadrature(*map(column, ("points", "weights", "normals", "values")))
