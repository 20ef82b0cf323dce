"""Objectives that are sums of terms, each of them integrated by a quadrature rule."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from .. import _tree
from ..geometry.quadrature import AbstractRule, Quadrature
from ..geometry.quadrature.base import drawn
from ..linalg import JacobianRows
from .base import AbstractObjective


class AbstractQuadratureObjective(AbstractObjective):
    """A sum over `terms`, each with a `rule`, a `name`, a `weight`, and a `check` of itself at one
    point.

    A batch is a tuple of points and weights, one `Quadrature` for every term.
    """

    terms: eqx.AbstractVar[tuple[Any, ...]]
    chunk_size: eqx.AbstractVar[int | None]

    @property
    def rules(self) -> tuple[AbstractRule, ...]:
        return tuple(term.rule for term in self.terms)

    @property
    def term_names(self) -> tuple[str, ...]:
        return tuple(term.name for term in self.terms)

    def with_rules(self, rules: Sequence[AbstractRule]) -> "AbstractQuadratureObjective":
        pairs = zip(self.terms, rules, strict=True)
        terms = tuple(dataclasses.replace(term, rule=rule) for term, rule in pairs)
        return dataclasses.replace(self, terms=terms)

    def check(self, model: PyTree, batch: PyTree) -> None:
        """Raises ValueError, which names the term, where one of them cannot be evaluated."""
        for term, rule in zip(self.terms, batch, strict=True):
            term.check(model, rule)

    def subset(
        self, batch: Sequence[Quadrature], key: PRNGKeyArray, count: int
    ) -> tuple[Quadrature, ...]:
        """About `count` points of a batch, drawn at random, an equal share of every term.

        Weights grow as points become fewer: sums over a subset have the mean of the whole. Raises
        ValueError as `check_separable` does.
        """
        self.check_separable(batch)
        share = count / sum(rule.weights.size for rule in batch)
        keys = jax.random.split(key, len(batch))
        return tuple(drawn(rule, k, share) for rule, k in zip(batch, keys, strict=True))

    def check_separable(self, batch: Sequence[Quadrature]) -> None:
        """Raises ValueError for terms that are tested as one, such as weak forms."""
        for term, rule in zip(self.terms, batch, strict=True):
            if getattr(rule, "tests", None) is not None:
                msg = (
                    f"the term '{term.name}' is tested with functions on all of its points, so "
                    "that no part of them stands alone: take an optimizer of all rows, such as "
                    "'engd-tr'."
                )
                raise ValueError(msg)

    @property
    def resampled(self) -> bool:
        return any(rule.resampled for rule in self.rules)

    def batch(self, key: Any = None) -> tuple[Quadrature, ...]:
        if key is None:
            return tuple(rule.quadrature(None) for rule in self.rules)
        keys = jax.random.split(key, len(self.terms))
        return tuple(rule.quadrature(k) for rule, k in zip(self.rules, keys, strict=True))


def stacked_rows(blocks: Sequence[Array], model: PyTree, output: PyTree = None) -> JacobianRows:
    """Blocks of rows (n, p), one a term, as one operator on the parameters of a model.

    `output` is what the operator returns, a PyTree of as many numbers as there are rows: one
    vector where it is not given.
    """
    matrix = jnp.concatenate(blocks)
    params, _ = _tree.trainable(model)
    output = matrix[:, 0] if output is None else output
    return JacobianRows(matrix, jax.eval_shape(lambda: params), jax.eval_shape(lambda: output))
