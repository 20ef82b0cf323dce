"""What distinguishes a real array of resistors from its equation, and what a solve on it costs."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Inexact, PRNGKeyArray, Real

from .._ravel import dtype_of
from ..damped import gram
from ..operators import JacobianRows
from .arrays import ResistorArrays, arrays_of, arrays_of_composition
from .spectra import as_gram

_PSD = frozenset({lx.positive_semidefinite_tag})


class Device(eqx.Module):
    """Non-idealities; the default is the perfect device.

    - `bits`, `input_bits`, `read_out_bits`: precision of the programmed arrays, of b and the start,
      and of the result (`quantize`). Full scale is the largest magnitude, or `saturation`.
    - `curvature_bits`: precision of an array H of its own (see below) where it is not `bits`.
    - `factored`: program A = C^T J where J and H = C C^T are known apart.
    - `mismatch`: standard deviation of the static relative error of each array element. All arrays
      err independently, so that the drift is no longer symmetric.
    - `offset`: constant error of every input, a normal number times `offset` max|b|.
    - `saturation`: the voltages cannot leave [-saturation, saturation], in the units of x.
    - `correlation_time`: of the noise, an Ornstein-Uhlenbeck force with the intensity of the white
      one; a colored noise warms stiff modes less.
    - `inertia` L: the circuit L x'' + x' + A x - b = noise of coils and capacitors. Its
      equilibrium is that of L = 0.
    - `seed`: draws mismatch and offset, which stay the same from solve to solve.

    A Gram operator A^T A + damping I is programmed as the arrays A and A^T, so that rounding to
    `bits` leaves it positive semidefinite. So is the composition of two operators, such as
    `lineax.Normal` makes, whatever their classes, if they are each other's transposes. Of a
    `linalg.WeightedJacobian` A = C^T J, as the Gauss-Newton systems of classification have, the
    arrays are J, the blocks of H and J^T, as published: a rounded H is slightly indefinite, which
    the damping has to make up for unless the device is read before a voltage has grown by a tenth;
    with `factored` they are A and A^T again. Any other operator is one dense array, which may
    become indefinite. The arrays are stored while they are simulated.

    Bits and `offset` work with every simulation, `mismatch` and `correlation_time` with
    "euler-maruyama" and "diffrax", `saturation` with the former, `inertia` with the latter only.
    Raises ValueError for bits that are not a positive integer, for negative amounts and a
    saturation that is not positive, and when it is programmed for `curvature_bits` without an array
    of the curvature.
    """

    bits: int | None = eqx.field(static=True, default=None)
    curvature_bits: int | None = eqx.field(static=True, default=None)
    factored: bool = eqx.field(static=True, default=False)
    input_bits: int | None = eqx.field(static=True, default=None)
    read_out_bits: int | None = eqx.field(static=True, default=None)
    mismatch: Real[ArrayLike, ""] = 0.0
    offset: Real[ArrayLike, ""] = 0.0
    saturation: Real[ArrayLike, ""] | None = None
    correlation_time: Real[ArrayLike, ""] = 0.0
    inertia: Real[ArrayLike, ""] = 0.0
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        for name in ("bits", "curvature_bits", "input_bits", "read_out_bits"):
            check_count(name, getattr(self, name), "a number of bits, or None")
        for name in ("mismatch", "offset", "correlation_time", "inertia"):
            check_at_least(name, getattr(self, name), 0, "an amount that is not negative")
        limit: Any = self.saturation
        if limit is not None and not isinstance(limit, Tracer) and not limit > 0:
            msg = f"`saturation` is {limit}; pass a positive voltage, or None for no limit."
            raise ValueError(msg)

    def program(self, operator: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        """The operator with the precision of the arrays, symmetric still."""
        if not self.rounds:
            return operator
        arrays = self._arrays(operator)
        curvature = None if arrays is None else arrays.curvature
        if self.curvature_bits is not None and curvature is None:
            msg = (
                f"`curvature_bits` is {self.curvature_bits}, but this device has no array of the"
                " curvature: leave it out and pass `bits`, or give the device the Gram operator of"
                " a WeightedJacobian."
            )
            raise ValueError(msg)
        if arrays is None:
            return _dense(operator, _rounded(operator.as_matrix(), self.bits))
        matrix = _rounded(arrays.forth, self.bits)
        if arrays.back is not arrays.forth:
            back = _rounded(arrays.back, self.bits)
            return ResistorArrays(matrix, back, None, arrays.damping, arrays.frozen, True)
        if curvature is None:
            out = jax.ShapeDtypeStruct(matrix.shape[:1], matrix.dtype)
            return gram(JacobianRows(matrix, arrays.in_structure(), out), arrays.damping)
        curvature = _rounded(curvature, self.curvature_bits or self.bits)
        return ResistorArrays(matrix, matrix, curvature, arrays.damping, arrays.frozen, True)

    def distort(self, operator: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
        """The programmed operator with independent errors of its arrays, no longer symmetric."""
        if is_absent(self.mismatch):
            return operator
        forth, back, middle, _ = self._keys()
        arrays = self._arrays(operator)
        if arrays is None:
            return _dense(operator, self._erring(operator.as_matrix(), forth), frozenset())
        h = arrays.curvature
        return ResistorArrays(
            self._erring(arrays.forth, forth),
            self._erring(arrays.back, back),
            None if h is None else self._erring(h, middle),
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
        """What is programmed of an operator that is known by its factors."""
        if isinstance(operator, ResistorArrays):
            return operator
        factored = as_gram(operator)
        if factored is None:
            return arrays_of_composition(operator)
        return arrays_of(factored, factored=self.factored)

    def _keys(self) -> tuple[PRNGKeyArray, ...]:
        """Of the errors of the three arrays and of the inputs."""
        return tuple(jax.random.split(jax.random.key(self.seed), 4))

    def _erring(self, matrix: Array, key: Array) -> Array:
        relative = jnp.asarray(self.mismatch, matrix.dtype)
        return matrix * (1 + relative * jax.random.normal(key, matrix.shape, matrix.dtype))

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

    def clip(self, x: Inexact[Array, " n"]) -> Inexact[Array, " n"]:
        """The voltages between the rails."""
        if self.saturation is None:
            return x
        limit = jnp.asarray(self.saturation, x.dtype)
        return jnp.clip(x, -limit, limit)

    def read(self, x: Inexact[Array, " n"]) -> Inexact[Array, " n"]:
        """What the converters report of the voltages."""
        if self.read_out_bits is None:
            return x
        return quantize(self.clip(x), self.read_out_bits, self.saturation)

    @property
    def rounds(self) -> bool:
        """Whether the arrays have a finite precision."""
        return self.bits is not None or self.curvature_bits is not None

    @property
    def needs_arrays(self) -> bool:
        """Whether the arrays must be stored to be rounded or to err."""
        return self.rounds or not is_absent(self.mismatch)

    def falsifies(self) -> str | None:
        """The name of a non-ideality that makes what is read no symmetric linear map of b."""
        names = ("input_bits", "read_out_bits", "mismatch", "offset", "saturation")
        return next((f"`{name}`" for name in names if not is_absent(getattr(self, name))), None)

    def unsupported(self, simulation: str) -> str | None:
        """The name of a non-ideality that a simulation cannot represent."""
        amounts = {
            "mismatch": (self.mismatch, ("euler-maruyama", "diffrax")),
            "correlation_time": (self.correlation_time, ("euler-maruyama", "diffrax")),
            "saturation": (self.saturation, ("euler-maruyama",)),
            "inertia": (self.inertia, ("diffrax",)),
        }
        for name, (amount, able) in amounts.items():
            if not is_absent(amount) and simulation not in able:
                return f"`{name}` needs simulation={' or '.join(map(repr, able))}"
        return None


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


def _rounded(x: Array, bits: int | None) -> Array:
    return x if bits is None else quantize(x, bits)


def _dense(
    operator: lx.AbstractLinearOperator, matrix: Array, tags: frozenset[object] = _PSD
) -> JacobianRows:
    return JacobianRows(matrix, operator.in_structure(), operator.out_structure(), tags=tags)


def is_absent(amount: Any) -> bool:
    """Whether an amount is known to be None or zero while tracing."""
    return amount is None or (not isinstance(amount, Tracer) and bool(amount == 0))


def check_at_least(name: str, value: Any, least: int, meaning: str) -> None:
    """ValueError for a value that is known to be less than it may be, or not a number."""
    if value is None or isinstance(value, Tracer):
        return
    if jnp.ndim(value) != 0 or not value >= least:
        msg = f"`{name}` is {value}; pass {meaning} (at least {least})."
        raise ValueError(msg)


def check_count(name: str, value: Any, meaning: str) -> None:
    """ValueError for a value that is not a positive integer, nor None."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        msg = f"`{name}` is {value!r}; pass {meaning}: an integer."
        raise ValueError(msg)
    check_at_least(name, value, 1, meaning)


_PERFECT = Device()


class DeviceCost(eqx.Module):
    """A *model*, not a measurement, of the time and energy that one solve takes on a device.

    seconds = (bits to program + to feed + to read) / bandwidth + time * time_constant
    joules  = energy_per_bit * bits + elements * power_per_element * settling seconds

    `bits` are those of every number where the device does not round it; H is charged like J.
    Defaults: 16 bits, 50 Gb/s and an RC time of 1 us, the timing model of Donatella et al. (2024,
    arXiv:2405.13817); 10 mV over 1 kOhm in every element (1e-7 W) and 1 pJ a converted bit are our
    own round numbers. `time` of a solve is in units of `time_constant`, where an array element of 1
    is the reference conductance.
    """

    bits: int = eqx.field(static=True, default=16)
    bandwidth: float = 50e9
    time_constant: float = 1e-6
    power_per_element: float = 1e-7
    energy_per_bit: float = 1e-12

    def __check_init__(self):
        check_count("bits", self.bits, "a number of bits")

    def solve(
        self, elements: int, unknowns: int, time: Any, device: Device = _PERFECT
    ) -> tuple[Array, Array]:
        """(seconds, joules) of one solve on a device with so many programmable elements."""
        array, fed, read = (
            float(bits or self.bits)
            for bits in (device.bits, device.input_bits, device.read_out_bits)
        )
        moved = array * elements + (fed + read) * unknowns
        settling = jnp.asarray(time, dtype_of(jnp.zeros(()))) * self.time_constant
        joules = self.energy_per_bit * moved + elements * self.power_per_element * settling
        return moved / self.bandwidth + settling, joules
