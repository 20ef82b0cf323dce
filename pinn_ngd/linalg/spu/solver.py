"""The stochastic processing unit as a Lineax solver."""

from typing import Any, cast

import equinox as eqx
import equinox.internal as eqxi
import jax.numpy as jnp
import lineax as lx
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Inexact, PRNGKeyArray, PyTree, Real

from .._ravel import dtype_of, freeze, ravel, thaw, unravel
from ..spectral import is_zero
from .checks import check_definite, check_step, check_tagged
from .device import Device, DeviceCost, check_at_least, count_elements
from .filters import read_out_variance
from .processes import EulerMaruyama, Schedule, SpectralProcess, num_steps
from .spectra import KrylovSpectrum, Measure, as_gram, probe, spectrum_of

SIMULATIONS = ("exact", "lanczos", "euler-maruyama", "diffrax")
READ_OUTS = ("end", "average")


class _State(eqx.Module):
    process: Any
    measure: Measure
    frozen: eqxi.Static
    elements: eqxi.Static


class SPU(lx.AbstractLinearSolver[_State]):
    """Solve A x = b, A positive semidefinite, by waiting: a simulated analog device.

    The device's voltages follow dx = -(A x - b) dt + N(0, 2 temperature dt) from x(0) = b and are
    read at `time`. Their mean is x* + exp(-A time)(b - x*), x* = A^-1 b: b itself at time 0, the
    solution in the limit. Around it lies noise of covariance temperature A^-1 (I - exp(-2 A time)).
    `time` is measured in the unit in which A has its entries (RC times of a device whose unit
    conductance is 1); a mode of eigenvalue a settles in a time 1/a.

        lx.linear_solve(operator, b, SPU(time=200.0)).value        # operator tagged semidefinite
        lx.linear_solve(rows, b, lx.Normal(SPU(time=200.0)))       # least squares

    Arguments:

    - `time`, `temperature` (1/beta, the strength of the noise): scalars >= 0, may be traced.
    - `simulation`: "exact" draws from the law of x(time) by eigenvalues; of A A^T, rows x rows,
      where the operator is a `gram` of a wide A, else of the dense operator. "lanczos" takes
      `products` products with the operator for each of mean and noise and keeps as many vectors.
      "euler-maruyama" takes steps of at most `dt` in memory O(n), and "diffrax" (extra `spu`)
      higher-order ones; both know every non-ideality of `device`.
    - `read_out`: "end", x(time), or "average", the mean of x over (`burn_in`, `time`).
    - `dt`: default a tenth of the stability limit 2 / lambda_max, of which `stats["dt_limit"]`
      holds an estimate; without noise "diffrax" chooses its own.
    - `device`, `cost`: non-idealities, and the model of seconds and joules.

    Options: `key`, needed where temperature > 0 (under `vmap` pass a key each, or all share their
    noise), and `y0`, the start x(0), shaped like the solution: state carries over as
    `options={"y0": solution.stats["state"]}`.

    `stats`: "time", "relaxation_time" (1 / lambda_min), "settled" (1 - exp(-time lambda_min), the
    progress of the slowest mode; far below one, the result is not the solution), "condition",
    "standard_error" (root mean square of the read-out's noise per coordinate, of the perfect
    device), "dt_limit", "num_steps" (zero for the filters), "device_seconds", "device_joules" and
    "state" (x at the end). Where the spectrum is not computed, 20 Lanczos products estimate it, and
    lambda_min is then an overestimate.

    The result is `singular` where the voltages are not finite. A derivative of the solution is
    another solve on the device, with the same noise.

    Raises ValueError for an operator that is not tagged positive semidefinite, for bad arguments
    and a missing key. While it runs, a `ValueError` (JAX may
    make it a `JaxRuntimeError`) tells of an operator that is
    unsymmetric or indefinite after all (quantized too coarsely, say), and of a `dt` over the limit,
    which its message names.

    Donatella et al., Thermodynamic Natural Gradient Descent, arXiv:2405.13817, eqs. 13-19; Aifer et
    al., Thermodynamic Linear Algebra, arXiv:2308.05660.
    """

    time: Real[ArrayLike, ""]
    temperature: Real[ArrayLike, ""] = 0.0
    simulation: str = eqx.field(static=True, default="exact")
    read_out: str = eqx.field(static=True, default="end")
    burn_in: Real[ArrayLike, ""] = 0.0
    dt: Real[ArrayLike, ""] | None = None
    products: int = eqx.field(static=True, default=40)
    device: Device = Device()
    cost: DeviceCost = DeviceCost()

    def __check_init__(self):
        for name in ("time", "temperature", "burn_in"):
            check_at_least(name, getattr(self, name), 0, "a scalar that is not negative")
        check_at_least("products", self.products, 1, "a number of products")
        self._check_names()
        self._check_window()
        dt: Any = self.dt
        if dt is not None and not isinstance(dt, Tracer) and not dt > 0:
            msg = f"`dt` is {dt}; pass a positive step, or None for a tenth of the limit."
            raise ValueError(msg)
        lacking = self.device.unsupported(self.simulation)
        if lacking:
            msg = f"`simulation` is {self.simulation!r}, but of `device` {lacking}."
            raise ValueError(msg)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> _State:
        del options
        check_tagged(operator)
        factored = as_gram(operator)
        operator = self.device.program(operator if factored is None else factored)
        operator = lx.linearise(operator)
        frozen = eqxi.Static(freeze(operator.in_structure()))
        elements = eqxi.Static(count_elements(operator))
        process, measure = self._process(operator)
        return _State(process, measure, frozen, elements)

    def compute(
        self, state: _State, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        structure = thaw(state.frozen.value)
        dtype = dtype_of(structure)
        b = ravel(vector, dtype)
        start = self.device.load(ravel(options["y0"], dtype) if "y0" in options else b)
        b = self.device.feed(b)
        value, end = state.process.run(start, b, self._schedule(), self._key(options))
        finite = jnp.all(jnp.isfinite(value))
        result = lx.RESULTS.where(finite, lx.RESULTS.successful, lx.RESULTS.singular)
        stats = {**self._stats(state, dtype), "state": unravel(end, structure)}
        return unravel(self.device.read(value), structure), result, stats

    def transpose(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        return state, options

    def conj(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        return state, options

    def assume_full_rank(self) -> bool:
        return True

    def _process(self, operator: lx.AbstractLinearOperator) -> tuple[Any, Measure]:
        if self.simulation == "exact":
            spectrum = spectrum_of(operator)
            measure = check_definite(operator, spectrum.measure())
            return SpectralProcess(spectrum, operator), measure
        measure = check_definite(operator, probe(operator))
        if self.simulation == "lanczos":
            spectrum = KrylovSpectrum(operator, min(self.products, operator.in_size()))
            return SpectralProcess(spectrum, operator), measure
        dt = self._dt(measure)
        operator = self.device.distort(operator)
        if self.simulation == "euler-maruyama":
            return EulerMaruyama(operator, self.device, dt), measure
        from .diffusion import DiffraxProcess

        return DiffraxProcess(operator, self.device, dt, self.dt is None), measure

    def _dt(self, measure: Measure) -> Inexact[Array, ""]:
        limit = _dt_limit(measure)
        if self.dt is None:
            return limit / 10
        dt = jnp.asarray(self.dt, limit.dtype)
        return check_step(dt, limit) if self.simulation == "euler-maruyama" else dt

    def _schedule(self) -> Schedule:
        average = self.read_out == "average"
        return Schedule(self.time, self.burn_in, self.temperature, average)

    def _key(self, options: dict[str, Any]) -> PRNGKeyArray | None:
        if is_zero(self.temperature):
            return None
        if options.get("key") is None:
            msg = (
                f"`options` hold no 'key', but `temperature` is {self.temperature}: pass"
                " options={'key': jax.random.key(0)}, or temperature=0.0 for no noise."
            )
            raise ValueError(msg)
        return options["key"]

    def _stats(self, state: _State, dtype: Any) -> dict[str, Array]:
        values, weights = state.measure
        largest, smallest = jnp.max(values), jnp.maximum(jnp.min(values), 0)
        time = jnp.asarray(self.time, dtype)
        elements, frozen = state.elements.value, state.frozen.value
        unknowns = sum(x.size for x in frozen[0])
        seconds, joules = self.cost.solve(elements, unknowns, time)
        average = self.read_out == "average"
        values = jnp.maximum(values, 0)
        variance = jnp.sum(weights * read_out_variance(values, time, self.burn_in, average))
        dt = getattr(state.process, "dt", None)
        return {
            "time": time,
            "relaxation_time": 1 / smallest,
            "settled": -jnp.expm1(-time * smallest),
            "condition": largest / smallest,
            "standard_error": jnp.sqrt(jnp.asarray(self.temperature, dtype) * variance),
            "dt_limit": _dt_limit(state.measure),
            "num_steps": jnp.asarray(0) if dt is None else num_steps(time, dt, dtype),
            "device_seconds": seconds,
            "device_joules": joules,
        }

    def _check_names(self) -> None:
        for name, known in (("simulation", SIMULATIONS), ("read_out", READ_OUTS)):
            value = getattr(self, name)
            if value not in known:
                msg = f"`{name}` is {value!r}; choose one of {', '.join(map(repr, known))}."
                raise ValueError(msg)

    def _check_window(self) -> None:
        time, burn_in = cast(Any, self.time), cast(Any, self.burn_in)
        known = not (isinstance(time, Tracer) or isinstance(burn_in, Tracer))
        if self.read_out == "average" and known and not burn_in < time:
            msg = (
                f"`burn_in` is {burn_in} and `time` {time}: a time average needs a"
                " window; pass a burn_in below the time, or read_out='end'."
            )
            raise ValueError(msg)
        if self.read_out == "end" and not is_zero(self.burn_in):
            msg = f"`burn_in` is {self.burn_in}, which only read_out='average' knows: leave it out."
            raise ValueError(msg)
        if is_zero(self.temperature) and not is_zero(self.device.correlation_time):
            msg = "`temperature` is 0, but `device` has colored noise: pass a positive temperature."
            raise ValueError(msg)


def _dt_limit(measure: Measure) -> Inexact[Array, ""]:
    largest = jnp.max(measure[0])
    return jnp.where(largest > 0, 2 / jnp.where(largest > 0, largest, 1), jnp.inf)
