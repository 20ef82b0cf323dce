"""Points that move to where the residual is large, while their number stays."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..geometry.elements import FiniteElements
from ..geometry.quadrature import AbstractRule, Quadrature, Sobol
from ..geometry.quadrature.base import as_quadrature
from ..objectives import distinct_names
from ..validation.held_out import masses_of
from .advance import Carry, as_arrays
from .callbacks import AbstractCallback
from .result import Record, Run

LEAST_CHANCE = 1e-12  # so that there are as many points to draw as wanted


class RAD(AbstractCallback):
    """Residual-based adaptive distribution (Wu, Zhu, Tan, Kartha, Lu 2023): points drawn anew.

    Every `every` steps the points of a term are drawn, without repetition, from `candidates` times
    as many scrambled Sobol points of its region, with probabilities proportional to
    |r|^k / mean |r|^k + c. Their number stays, so that nothing is compiled again. As published they
    weigh the same, so that the loss counts regions of large residuals more often; `unbiased` ones
    weigh one over their probability, and the loss remains an estimate of the integral.

    Moved are the terms that live on a whole domain, or those of the names `terms`, on regions of
    any kind. A checkpoint holds the points, and a resumed run repeats the uncut one. Points do not
    grow beside it.

    Raises ValueError for numbers below their range, and at the start of a run for an objective that
    draws its points anew itself, an unknown term, and a term without a region.
    """

    def __init__(
        self, every: int = 100, *, k: float = 1.0, c: float = 1.0, candidates: int = 10,
        terms: Iterable[str] | None = None, unbiased: bool = False, seed: int = 0,
    ):  # fmt: skip
        for name, value, least in (("every", every, 1), ("k", k, 0), ("c", c, 0)):
            if not value >= least:
                raise ValueError(f"`{name}` = {value} is too small: give {least} or more.")
        if not candidates >= 2:
            raise ValueError(f"`candidates` = {candidates}: give two or more a point.")
        self.every, self.k, self.c, self.candidates = every, k, c, candidates
        self.terms, self.unbiased, self.seed = terms, unbiased, seed
        self.moved: tuple[int, ...] = ()
        self.step = 0

    def on_start(self, run: Run) -> None:
        objective = run.objective
        if objective.resampled or not objective.rules:
            raise ValueError("RAD moves fixed points: give rules with `resampled=False`.")
        names = distinct_names(objective.term_names)
        for name in self.terms or ():
            if name not in names:
                raise ValueError(f"`terms` name {name!r}; the terms are {', '.join(names)}.")
        chosen = zip(names, objective.rules, strict=True)
        wanted = [(self._is_moved(name, rule), name, rule) for name, rule in chosen]
        self.moved = tuple(i for i, (moved, _, _) in enumerate(wanted) if moved)
        if not self.moved:
            raise ValueError("no term lives on a whole domain: name those to move by `terms`.")
        self.step = run.start

    def _is_moved(self, name: str, rule: AbstractRule) -> bool:
        region = getattr(rule, "region", None)
        if isinstance(rule, FiniteElements):
            region = None  # its test functions and its points belong together
        if self.terms is None:
            return region is not None and region.fills_space
        if name in self.terms and region is None:
            raise ValueError(f"the term {name!r} has points of its own and no region to draw from.")
        return name in self.terms

    def points(self, record: Record, model: PyTree, objective: Any, batch: Any) -> Any:
        before, self.step = self.step, record["step"]
        if self.step // self.every == before // self.every:
            return None
        pairs = enumerate(zip(objective.rules, batch, strict=True))
        many = tuple(self._drawn(i, rule, given) for i, (rule, given) in pairs)
        masses = masses_of(objective, model, many)
        rng = np.random.default_rng([self.seed, self.step])
        return tuple(
            self._chosen(many[i], masses[i], given, rng) if i in self.moved else given
            for i, given in enumerate(batch)
        )

    def _drawn(self, term: int, rule: Any, given: Quadrature) -> Quadrature:
        """Candidates of a term, or its own points where these stay."""
        if term not in self.moved:
            return given
        n = self.candidates * given.weights.size
        return Sobol(rule.region, n, resampled=True).quadrature(
            jax.random.fold_in(jax.random.key(self.seed), self.step)
        )

    def _chosen(
        self, many: Quadrature, masses: np.ndarray, given: Quadrature, rng: np.random.Generator
    ) -> Quadrature:
        """As many of the candidates as there were points."""
        n, weights = given.weights.size, np.asarray(many.weights)
        sizes = (masses / weights) ** (self.k / 2)
        density = sizes / (sizes.mean() or 1.0) + self.c
        chances = weights * np.maximum(density, LEAST_CHANCE)
        chances = chances / chances.sum()
        rows = rng.choice(len(weights), size=n, replace=False, p=chances)
        measure = float(weights.sum())
        new = np.full(n, measure / n)
        if self.unbiased:
            new = 1 / density[rows]
            new *= measure / new.sum()
        made = as_quadrature(np.asarray(many.points)[rows], new)
        normals = None if many.normals is None else many.normals[rows]
        return Quadrature(made.points, made.weights, normals)


def moves_points(callbacks: Iterable[Any]) -> bool:
    """Whether one of some callbacks puts points of its own in place of those of a run."""
    return bool(moving(callbacks))


def moving(callbacks: Iterable[Any]) -> tuple[Any, ...]:
    """Those of some callbacks that put points of their own in place of those of a run."""
    plain = AbstractCallback.points
    return tuple(one for one in callbacks if getattr(type(one), "points", plain) is not plain)


def moved_by(callbacks: Iterable[Any], *run: Any) -> Any:
    """The points that the last of some callbacks puts in place of the present ones, or None.

    `run` are what its `points` is called with, the batch last.
    """
    found = None
    for callback in callbacks:
        move = getattr(callback, "points", None)  # a duck-typed callback may have none
        moved = None if move is None else move(*run)
        found = found if moved is None else moved
    return found


def numbers_of(batch: Any, moved: bool) -> dict[str, Any]:
    """The arrays of a batch as plain numbers, for a checkpoint; nothing of one that was not moved.

    `moved_again` makes a batch of them.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(batch)] if moved else []
    return {"points": [_parts(leaf).tolist() for leaf in leaves]} if moved else {}


def _parts(array: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs of real ones, behind the other axes."""
    return np.stack([np.real(array), np.imag(array)], axis=-1) if np.iscomplexobj(array) else array


def _joined(parts: Any, dtype: Any) -> np.ndarray:
    """What `_parts` took apart, or an array as it is."""
    if not np.issubdtype(dtype, np.complexfloating):
        return np.asarray(parts, dtype)
    pairs = np.asarray(parts, np.finfo(dtype).dtype)
    return pairs[..., 0] + np.asarray(1j, dtype) * pairs[..., 1]


def moved_again(batch: Any, numbers: Any) -> tuple[Any, bool]:
    """A batch with what `numbers_of` kept in place of its own arrays, and whether it kept any."""
    if "points" not in numbers:
        return batch, False
    leaves, treedef = jax.tree.flatten(batch)
    pairs = zip(leaves, numbers["points"], strict=True)
    arrays = [jnp.asarray(_joined(new, leaf.dtype)) for leaf, new in pairs]
    return jax.tree.unflatten(treedef, arrays), True


def on_new_points(optimizer: Any, carry: Carry) -> Carry:
    """A carry whose optimizer has forgotten what it knew of earlier points."""
    refreshed = getattr(optimizer, "refreshed", None)
    if refreshed is None:
        return carry
    return Carry(carry.model, carry.model, as_arrays(refreshed(carry.state)))
