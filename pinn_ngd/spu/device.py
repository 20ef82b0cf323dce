"""What distinguishes a real device from its equation before it runs and after."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Inexact, PRNGKeyArray, Real

from ..linalg.damped import gram
from ..linalg.operators import JacobianRows
from .arguments import check_at_least, check_count, is_absent
from .arrays import ResistorArrays, arrays_of

_PSD = frozenset({lx.positive_semidefinite_tag})
NO_CURVATURE = (
    "`curvature_bits` is {}, but this device has no array of the curvature: leave it out and pass"
    " `bits`, or give a device without `factored` the Gram operator of a WeightedJacobian."
)


class Device(eqx.Module):
    """Non-idealities of what is programmed, fed and read; the default is the perfect device.

    - `bits`, `input_bits`, `read_out_bits`: precision of the programmed arrays, of b and the start,
      and of the result (`quantize`). Full scale is the largest magnitude, or the saturation.
    - `curvature_bits`: precision of an array H of its own (see below) where it is not `bits`.
    - `factored`: program A = C^T J where J and H = C C^T are known apart.
    - `offset`: constant error of every input, a normal number times `offset` max|b|.
    - `seed`: draws offset and mismatch, which stay the same from solve to solve.

    What errs while it runs (mismatch, saturation, colored noise, inertia) belongs to the
    simulations that can represent it, `EulerMaruyama` and `Diffrax`.

    **What is programmed** follows from the form of the operator, and not from the classes of its
    parts. An operator with factors is programmed as these: `linalg.gram(A, damping)` and the
    composition A^T A that `lineax.Normal` makes of a tall A are the arrays A and A^T, the A A^T of
    a wide A the arrays A^T and A, and the damping is a resistor an unknown that is never rounded.
    Rounding to `bits` so leaves them positive semidefinite. If the factors are
    `linalg.WeightedJacobian` A = C^T J, as those of the Gauss-Newton systems of classification
    are, the arrays are J, the blocks of H and J^T, as published: a rounded H is slightly
    indefinite, which the damping has to make up for unless the device is read before a voltage has
    grown by a tenth; with `factored` they are A and A^T again. An operator without factors, such
    as a matrix that is semidefinite, is one dense array, which rounding may make indefinite. The
    arrays are stored while they are simulated.

    Raises ValueError for bits that are not a positive integer, for negative amounts, for
    `curvature_bits` of a `factored` device, and when it is programmed for `curvature_bits` without
    an array of the curvature.
    """

    bits: int | None = eqx.field(static=True, default=None)
    curvature_bits: int | None = eqx.field(static=True, default=None)
    factored: bool = eqx.field(static=True, default=False)
    input_bits: int | None = eqx.field(static=True, default=None)
    read_out_bits: int | None = eqx.field(static=True, default=None)
    offset: Real[ArrayLike, ""] = 0.0
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        for name in ("bits", "curvature_bits", "input_bits", "read_out_bits"):
            check_count(name, getattr(self, name), "a number of bits, or None")
        check_at_least("offset", self.offset, 0, "an amount that is not negative")
        if self.factored and self.curvature_bits is not None:
            raise ValueError(NO_CURVATURE.format(self.curvature_bits))

    def program(self, operator: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        """The operator with the precision of the arrays, symmetric still."""
        if not self.rounds:
            return operator
        arrays = self._arrays(operator)
        if self.curvature_bits is not None and (arrays is None or arrays.curvature is None):
            raise ValueError(NO_CURVATURE.format(self.curvature_bits))
        if arrays is None:
            return _dense(operator, _rounded(operator.as_matrix(), self.bits))
        return self._programmed(arrays)

    def _programmed(self, arrays: ResistorArrays) -> lx.AbstractLinearOperator:
        forth, h = _rounded(arrays.forth, self.bits), arrays.curvature
        one = arrays.back is arrays.forth
        if one and h is None:
            out = jax.ShapeDtypeStruct(forth.shape[:1], forth.dtype)
            return gram(JacobianRows(forth, arrays.in_structure(), out), arrays.damping)
        back = forth if one else _rounded(arrays.back, self.bits)
        h = None if h is None else _rounded(h, self.curvature_bits or self.bits)
        return ResistorArrays(forth, back, h, arrays.damping, arrays.frozen, True)

    def distort(
        self, operator: lx.AbstractLinearOperator, mismatch: Real[ArrayLike, ""]
    ) -> lx.AbstractLinearOperator:
        """The programmed operator with independent errors of its arrays, no longer symmetric.

        `mismatch` is the standard deviation of the relative error of an element.
        """
        if is_absent(mismatch):
            return operator
        forth, back, middle, _ = self._keys()
        arrays = self._arrays(operator)
        if arrays is None:
            return _dense(operator, _erring(operator.as_matrix(), mismatch, forth), frozenset())
        h = arrays.curvature
        return ResistorArrays(
            _erring(arrays.forth, mismatch, forth),
            _erring(arrays.back, mismatch, back),
            None if h is None else _erring(h, mismatch, middle),
            arrays.damping,
            arrays.frozen,
            False,
        )

    def elements(self, operator: lx.AbstractLinearOperator) -> int:
        """Programmable elements: of all arrays and the damping; n^2 of a dense operator."""
        shapes = eqx.filter_eval_shape(self._arrays, operator)
        n = operator.in_size()
        if shapes is None:
            return n * n
        h = shapes.curvature
        return shapes.forth.size + shapes.back.size + n + (0 if h is None else h.size)

    def _arrays(self, operator: lx.AbstractLinearOperator) -> ResistorArrays | None:
        return arrays_of(operator, factored=self.factored)

    def _keys(self) -> tuple[PRNGKeyArray, ...]:
        """Of the errors of the three arrays and of the inputs."""
        return tuple(jax.random.split(jax.random.key(self.seed), 4))

    def feed(self, b: Inexact[Array, " n"]) -> Inexact[Array, " n"]:
        """The right-hand side as it arrives at the arrays."""
        scale = jnp.max(jnp.abs(b), initial=0)
        b = b if self.input_bits is None else quantize(b, self.input_bits)
        if is_absent(self.offset):
            return b
        error = jax.random.normal(self._keys()[-1], b.shape, b.dtype)
        return b + jnp.asarray(self.offset, b.dtype) * scale * error

    def load(self, x: Inexact[Array, " n"]) -> Inexact[Array, " n"]:
        """The start as it is written to the capacitors."""
        return x if self.input_bits is None else quantize(x, self.input_bits)

    def read(self, x: Inexact[Array, " n"], full_scale: Any = None) -> Inexact[Array, " n"]:
        """What the converters report of the voltages."""
        if self.read_out_bits is None:
            return x
        return quantize(clipped(x, full_scale), self.read_out_bits, full_scale)

    @property
    def rounds(self) -> bool:
        """Whether the arrays have a finite precision."""
        return self.bits is not None or self.curvature_bits is not None

    def nonlinearity(self) -> str | None:
        """The name of a non-ideality that makes what is read no symmetric linear map of b."""
        names = ("input_bits", "read_out_bits", "offset")
        return next((f"`{name}`" for name in names if not is_absent(getattr(self, name))), None)


def quantize(
    x: Inexact[Array, "*shape"], bits: int, scale: Real[ArrayLike, ""] | None = None
) -> Inexact[Array, "*shape"]:
    """Round to multiples of scale / (2^(bits-1) - 1), a sign bit and a magnitude.

    `scale` is the largest magnitude unless given. Zero is represented exactly; one bit keeps
    the signs alone.
    """
    largest = jnp.max(jnp.abs(x), initial=0) if scale is None else jnp.asarray(scale, x.dtype)
    largest = jnp.where(largest > 0, largest, 1)
    if bits == 1:
        return largest * jnp.sign(x)
    levels = 2 ** (bits - 1) - 1
    return jnp.round(x / largest * levels) * (largest / levels)


def clipped(x: Inexact[Array, " n"], limit: Any) -> Inexact[Array, " n"]:
    """The voltages between rails at +-limit, or as they are where it is None."""
    if limit is None:
        return x
    limit = jnp.asarray(limit, x.dtype)
    return jnp.clip(x, -limit, limit)


def _rounded(x: Array, bits: int | None) -> Array:
    return x if bits is None else quantize(x, bits)


def _dense(
    operator: lx.AbstractLinearOperator, matrix: Array, tags: frozenset[object] = _PSD
) -> JacobianRows:
    return JacobianRows(matrix, operator.in_structure(), operator.out_structure(), tags=tags)


def _erring(matrix: Array, mismatch: Real[ArrayLike, ""], key: PRNGKeyArray) -> Array:
    relative = jnp.asarray(mismatch, matrix.dtype)
    return matrix * (1 + relative * jax.random.normal(key, matrix.shape, matrix.dtype))
