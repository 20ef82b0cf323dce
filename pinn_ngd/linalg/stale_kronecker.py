"""K-FAC whose statistics are measured only when they are due, each at its own time (SP-NGD)."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Bool, Int, PRNGKeyArray, PyTree, Real

from .._names import choose
from ._ravel import all_finite, dtype_of
from .block_diagonal import Layout
from .blockwise import (
    Blockwise,
    BlockwiseState,
    DiagonalFactor,
    EigenFactor,
    Factor,
    StackedFactor,
    UnitFactor,
    clipped,
)
from .kept import AbstractKeptSolver, Answer
from .kronecker import Kronecker
from .kronecker_factors import block_makers, check_sharing, kronecker_blocks, layerwise_of
from .layerwise import LayerwiseJacobian
from .packed import Statistic
from .spectra import Spectrum, no_spectrum, spectrum_of, spread_spectra
from .stacked import Stacked, UnitWise
from .staleness import Staleness, is_due

Accumulation = Literal["parameters", "float32", "bfloat16"]


class Block(NamedTuple):
    """A block of the curvature: its kind, its leaves' shape, and how many statistics it has."""

    kind: str
    shape: tuple[int, ...]
    count: int


class StaleState(eqx.Module):
    """The statistics with their history and clocks, and their eigendecompositions.

    `last` and `before` are the last two measurements, packed. `intervals` (2, k) are the last two,
    `due` the steps of the next measurements, `measured` their number so far, all for k statistics.
    """

    last: tuple[Array, ...]
    before: tuple[Array, ...]
    spectra: tuple[Spectrum, ...]
    intervals: Int[Array, "2 k"]
    due: Int[Array, " k"]
    measured: Int[Array, " k"]
    count: Int[Array, ""]
    statistics: tuple[Statistic, ...] = eqx.field(static=True)
    blocks: tuple[Block, ...] = eqx.field(static=True)
    layout: Layout = eqx.field(static=True)

    @property
    def is_due(self) -> Bool[Array, " k"]:
        """Which statistics the next step measures."""
        return is_due(self.count, self.due)


class StaleKronecker(AbstractKeptSolver[Any]):
    """x = (F + damping)^-1 g with the F of `kronecker_blocks`, every factor as old as it may be.

    Each statistic (A and G of a layer, the 2 x 2 blocks of a norm, a diagonal) is measured when its
    own clock says so, by the rule `staleness`; nothing of the others is computed or sent. The last
    measurement stands alone: there is no moving average (SP-NGD, Osawa et al., arXiv:2002.06015).

    Sums of products are taken in the precision `accumulation`: "parameters" is that of the
    parameters; with "float32" and "bfloat16" the inputs and cotangents of layers and the packed
    statistics are rounded to it, and products of bfloat16 are added in float32. They are decomposed
    in the precision of the parameters. `damping` and `sharing` are those of `KroneckerFactored`.
    The system must know its layers (TypeError otherwise). `stats["clipped"]` counts eigenvalues
    that were negative beyond rounding, which are set to zero.
    """

    needs_layers: ClassVar[bool] = True
    damping: str = eqx.field(static=True, default="factored")
    sharing: str = eqx.field(static=True, default="expand")
    accumulation: str = eqx.field(static=True, default="float32")
    staleness: Staleness = Staleness()

    def __check_init__(self):
        check_sharing(self.sharing)
        Blockwise(self.damping)
        choose(self.accumulation, get_args(Accumulation), "`accumulation`")

    def begin(self, operator: lx.AbstractLinearOperator) -> StaleState:
        """A state of which every statistic is due; of the operator only shapes count."""
        rows = layerwise_of(operator)
        blocks = jax.eval_shape(lambda: kronecker_blocks(rows, self.sharing))
        arrays = [jax.tree.leaves(block) for block in blocks.blocks]
        statistics = tuple(Statistic(x.shape) for block in arrays for x in block)
        kept = jnp.dtype(self._dtype(dtype_of(rows.in_structure())))
        empty = tuple(jnp.zeros(s.numbers, kept) for s in statistics)
        dtype = dtype_of(rows.in_structure())
        zero = jnp.zeros(len(statistics), jnp.int32)
        return StaleState(
            empty, empty, tuple(no_spectrum(s, dtype) for s in statistics),
            jnp.ones((2, len(statistics)), jnp.int32), zero, zero, jnp.int32(0), statistics,
            tuple(map(_described, blocks.blocks, arrays)), blocks.layout,
        )  # fmt: skip

    def measure(
        self, operator: lx.AbstractLinearOperator, wanted: Bool[Array, " k"]
    ) -> tuple[Array, ...]:
        """The packed statistics of the rows, zeros for those that are not wanted."""
        rows = layerwise_of(operator)
        dtype = self._dtype(dtype_of(rows.in_structure()))
        makers = block_makers(_rounded(rows, dtype), self.sharing)
        found: list[Array] = []
        for _, make in makers:
            for j, leaf in enumerate(jax.tree.leaves(jax.eval_shape(make))):
                due = wanted[len(found)]
                found.append(_one(make, j, Statistic(leaf.shape), jnp.dtype(dtype), due))
        return tuple(found)

    def renewed(
        self, state: StaleState, measured: Sequence[Array], axis: str | None = None
    ) -> StaleState:
        """The state after a step in which the due statistics were measured.

        With the name of an `axis` of devices, inside `jax.shard_map`, they are those of each
        device's own examples, as many on each: they are averaged, every device decomposes its
        share of them, and all get the results (see `spectra`).
        """
        dtype, due = dtype_of(state.layout.frozen[0]), state.is_due
        if axis is None:
            spectra = self._spectra(state, measured, dtype)
        else:
            parts = measured, state.spectra, state.statistics
            measured, spectra = spread_spectra(*parts, due, axis, dtype)
        interval = self._intervals(state, measured)
        previous = _where(state.measured == 0, measured, state.last)
        return StaleState(
            _where(due, measured, state.last), _where(due, previous, state.before), spectra,
            jnp.where(due, jnp.stack([interval, state.intervals[0]]), state.intervals),
            jnp.where(due, state.count + interval, state.due),
            state.measured + due.astype(jnp.int32), state.count + 1,
            state.statistics, state.blocks, state.layout,
        )  # fmt: skip

    def refreshed(
        self,
        state: StaleState | None,
        operator: lx.AbstractLinearOperator,
        *,
        keep: Real[ArrayLike, ""] = 0.0,
        renew: Bool[ArrayLike, ""] = True,
        key: PRNGKeyArray | None = None,
    ) -> StaleState:
        """The state after one more step; those statistics are measured whose clocks say so, so that
        `keep` and `renew` count for nothing."""
        del keep, renew, key
        state = self.begin(operator) if state is None else state
        return self.renewed(state, self.measure(operator, state.is_due))

    def compute_kept(
        self, state: StaleState, gradient: PyTree[Array], damping: Real[ArrayLike, ""]
    ) -> Answer:
        factors = BlockwiseState(_factors(state), state.layout)
        value = Blockwise(self.damping).solve_factors(factors, gradient, damping)
        good = all_finite((gradient, value))
        result = lx.RESULTS.where(good, lx.RESULTS.successful, lx.RESULTS.nonfinite_input)
        return value, result, {"clipped": clipped(factors)}

    def empty_stats(self) -> dict[str, Array]:
        return {"clipped": jnp.asarray(0, jnp.int32)}

    def _dtype(self, parameters: Any) -> Any:
        return parameters if self.accumulation == "parameters" else self.accumulation

    def _intervals(self, state: StaleState, measured: Sequence[Array]) -> Int[Array, " k"]:
        """The next interval of every statistic that is due; nothing of the others is looked at."""
        histories = zip(
            measured, state.last, state.before, state.intervals.T, state.measured, strict=True
        )
        found = [
            jax.lax.cond(due, lambda h=history: _after(self.staleness, *h), lambda: jnp.int32(0))
            for due, history in zip(state.is_due, histories, strict=True)
        ]
        return jnp.stack(found)

    def _spectra(
        self, state: StaleState, measured: Sequence[Array], dtype: Any
    ) -> tuple[Spectrum, ...]:
        parts = zip(state.statistics, measured, state.spectra, state.is_due, strict=True)
        return tuple(
            jax.lax.cond(due, lambda s=s, x=x: spectrum_of(s, x, dtype), lambda old=old: old)
            for s, x, old, due in parts
        )


def _where(
    choose: Bool[Array, " k"], new: Sequence[Array], old: Sequence[Array]
) -> tuple[Array, ...]:
    return tuple(jnp.where(c, x, y) for c, x, y in zip(choose, new, old, strict=True))


def _after(
    staleness: Staleness, new: Array, last: Array, before: Array, intervals: Array, measured: Array
) -> Int[Array, ""]:
    """The interval after a measurement: 1 after the first; the second has itself two forerunners
    in the first."""
    first, second = (
        staleness.is_close(new.astype(jnp.float32), old.astype(jnp.float32))
        for old in (last, before)
    )
    found = staleness.following(intervals[0], intervals[1], first, second)
    return jnp.where(measured == 0, 1, found).astype(jnp.int32)


def _one(make: Any, j: int, statistic: Statistic, dtype: Any, due: Bool[Array, ""]) -> Array:
    def taken() -> Array:
        return statistic.pack(jax.tree.leaves(make())[j]).astype(dtype)

    return jax.lax.cond(due, taken, lambda: jnp.zeros(statistic.numbers, dtype))


def _rounded(rows: LayerwiseJacobian, dtype: Any) -> LayerwiseJacobian:
    """The rows in another precision; those in bfloat16 are exact in float32, in which they are
    added."""
    narrow = jnp.dtype(dtype)
    wide = jnp.dtype(jnp.float32) if narrow == jnp.dtype(jnp.bfloat16) else narrow

    def change(x: Any) -> Any:
        floats = jnp.issubdtype(x.dtype, jnp.floating)
        return x.astype(narrow).astype(wide) if floats else x

    return jax.tree.map(change, rows)


def _described(block: Any, arrays: list[Any]) -> Block:
    kinds = {Kronecker: "kronecker", Stacked: "stacked", UnitWise: "units"}
    return Block(kinds.get(type(block), "diagonal"), arrays[0].shape, len(arrays))


def _factors(state: StaleState) -> tuple[Factor, ...]:
    """What `Blockwise` solves with, of the decompositions of the statistics."""
    spectra, found = list(state.spectra), []
    for block in state.blocks:
        own, spectra = spectra[: block.count], spectra[block.count :]
        found.append(_MADE[block.kind](*own))
    return tuple(found)


def _eigen(g: Spectrum, a: Spectrum) -> EigenFactor:
    values = g.values[..., :, None] * a.values[..., None, :]
    right = a.vectors
    assert right is not None
    return EigenFactor(g.vectors, right, values, (g.values, a.values), g.clipped + a.clipped)


def _stacked(g: Spectrum, a: Spectrum) -> StackedFactor:
    count = g.values.shape[0]
    spread = [Spectrum(s.values, s.vectors, jnp.zeros(count, jnp.int32)) for s in (g, a)]
    factor = jax.vmap(_eigen)(*spread)
    total = g.clipped + a.clipped
    return StackedFactor(eqx.tree_at(lambda f: f.clipped, factor, factor.clipped.at[0].add(total)))


def _units(one: Spectrum) -> UnitFactor:
    assert one.vectors is not None
    return UnitFactor(one.values, one.vectors, one.clipped)


_MADE: dict[str, Any] = {
    "kronecker": _eigen,
    "stacked": _stacked,
    "units": _units,
    "diagonal": lambda one: DiagonalFactor(one.values, one.clipped),
}


class Work(NamedTuple):
    """What the steps so far took for statistics, all devices' shares together.

    `operations` are multiplications and additions of products and decompositions; `reduced` the
    numbers of packed statistics that every device sends for the sums, `gathered` those that it gets
    back: statistics, eigenvalues and eigenvectors.
    """

    operations: int
    reduced: int
    gathered: int


EIGEN = 9  # operations of an eigendecomposition, in units of n^3 (as in optimizers/cost.py)


def work(state: StaleState, vectors: Sequence[int]) -> Work:
    """The work of all steps of a state; `vectors` are as many of each statistic as are added up in
    one measurement: examples times positions for A, times directions for G.

    One measurement of a matrix (n, n) takes 2 n^2 operations a vector and 9 n^3 for its
    decomposition; n (n + 1) / 2 numbers are sent, and n (n + 1) / 2 + n + n^2 come back.
    """
    total = Work(0, 0, 0)
    for s, many, times in zip(state.statistics, vectors, state.measured.tolist(), strict=True):
        decomposed = 0 if s.is_diagonal else EIGEN * s.entries * s.shape[-1]
        operations = 2 * many * s.entries + decomposed
        back = s.numbers + s.factored
        total = Work(
            total.operations + times * operations,
            total.reduced + times * s.numbers,
            total.gathered + times * back,
        )
    return total
