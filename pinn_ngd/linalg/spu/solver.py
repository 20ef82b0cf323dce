"""The stochastic processing unit as a Lineax solver."""

from typing import Any

import equinox as eqx
import equinox.internal as eqxi
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Bool, Inexact, Int, PRNGKeyArray, PyTree, Real

from .._ravel import all_finite, dtype_of, freeze, ravel, thaw, unravel
from ..spectral import is_zero
from .arrays import ResistorArrays
from .checks import (
    check_settled,
    check_start,
    check_tagged,
    is_negative,
    is_unsymmetric,
    warn_if_hopeless,
)
from .device import Device, DeviceCost, is_absent
from .failures import Failure, first, is_indefinite, result_of, when
from .processes import EulerMaruyama, Schedule, SpectralProcess, num_steps
from .settings import check_settings
from .spectra import (
    KrylovSpectrum,
    Measure,
    as_gram,
    is_symmetric_product,
    measure_of,
    spectrum_of,
)
from .stats import dt_limit, is_bounded, law_stats

GROWTH = 0.1  # of a voltage, in units of itself, that is no divergence yet
_CONJUGATE = "conjugate"
NO_DERIVATIVE = (
    "What is read is no linear map of b because of {}, so that its derivative is not another solve"
    " on the device: differentiate without it, or use a digital solver."
)


class _State(eqx.Module):
    process: Any
    measure: Measure
    rounding: Inexact[Array, ""]
    products: Array
    failure: Int[Array, ""]
    sound: Inexact[Array, ""]  # one; multiplies results, so that its checks are not removed
    damping: Inexact[Array, ""]
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
    `options={"y0": solution.stats["state"]}`. In `lineax.Normal` of a wide operator the device
    solves for the dual unknown y, x = A^T y: `y0`, "state" and "standard_error" are those of y.
    Use `linalg.solve`, which works in the space of x, for a start or a noise of x.

    `stats`: "time", "relaxation_time" (1 / lambda_min), "settled" (1 - exp(-time lambda_min), the
    progress of the slowest mode; far below one, the result is not the solution), "condition" (of
    the operator that was given, damping and all; infinite if singular), "standard_error" (root mean
    square of the read-out's noise per coordinate, of the device without non-idealities and, in
    Euler-Maruyama, of its finite steps), "dt_limit", "num_steps" (zero for the filters), "products"
    (made with the operator: 0 for "exact", which works on stored eigenvalues, -1 for "diffrax",
    which does not tell), "device_seconds", "device_joules", "failure" and "state" (x at the end).

    But for "exact", the spectrum of more than 64 unknowns is estimated by 20 Lanczos products:
    lambda_min is then an overestimate, and "standard_error" right to about a tenth for condition
    numbers up to a thousand, and too small beyond.

    Nothing is raised while it runs: `result` tells of an operator that is unsymmetric or indefinite
    after all (quantized too coarsely, say; `singular`), of voltages that have grown as those of no
    stable device do (mismatch may do it; `singular` too), of a `dt` over the limit (`breakdown`)
    and of traced arguments out of range (`nonfinite_input`), and `stats["failure"]` which of them
    it was: `spu.explain` says it in a sentence. But for grown voltages the value then is NaN. An
    `UnsettledWarning` tells, under `jit` too, of a condition number that makes a solution at `time`
    hopeless.

    A derivative is another solve on the device with the same options. In b it is right at any time
    where the device is noiseless, starts at b and has none of input or read-out bits, mismatch,
    offset and saturation; else reverse mode raises NotImplementedError, but forward mode through
    plain `lineax.linear_solve` is silently *wrong*: its rule for tangents asks the solver nothing.
    `linalg.solve` refuses it, or has it right. In the operator it is that of A^-1 b, and an error
    unless the device has settled.

    Raises ValueError for an operator that is complex or not tagged positive semidefinite, for bad
    arguments, a `y0` of another shape and a missing key.

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
        check_settings(self)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> _State:
        del options
        check_tagged(operator)
        factored = as_gram(operator)
        operator = self.device.program(operator if factored is None else factored)
        operator = lx.linearise(operator)
        frozen = eqxi.Static(freeze(operator.in_structure()))
        elements = eqxi.Static(self.device.elements(operator))
        zero = jnp.zeros((), dtype_of(operator.in_structure()))
        damping = zero if factored is None else factored.damping.astype(zero.dtype)
        process, measure, rounding, products, unstable = self._process(operator)
        failure = first(when(is_unsymmetric(operator), Failure.UNSYMMETRIC), unstable)
        sound = jnp.ones((), zero.dtype)
        state = process, measure, rounding, products, failure, sound
        return _State(*state, damping, frozen, elements)

    def at_damping(self, state: _State, damping: Inexact[Array, ""]) -> _State:
        """The state of A^T A with another damping: a shift of eigenvalues, for "exact" only."""
        process = eqx.tree_at(lambda p: p.spectrum.damping, state.process, damping)
        failure = first(state.failure, when(is_negative(damping), Failure.INVALID))
        new = process, process.spectrum.measure(), failure, damping.astype(state.damping.dtype)
        return eqx.tree_at(lambda s: (s.process, s.measure, s.failure, s.damping), state, new)

    def compute(
        self, state: _State, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        return self.read(state, vector, options)

    def read(
        self,
        state: _State,
        vector: PyTree[Array],
        options: dict[str, Any],
        target: PyTree[Array] | None = None,
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        """Value, result and stats; with "exact" b may be told to be A^T target, A the factor.

        Where A is wide, the device then stays in its row space, with no rounding in the flat
        directions, which the inverse of a small damping would multiply.
        """
        structure = thaw(state.frozen.value)
        dtype = dtype_of(structure)
        raw = ravel(vector, dtype)
        b, start = self.device.feed(raw), self._start(raw, structure, options)
        row_space = {}
        if target is not None and b is raw and not self.device.rounds:
            row_space["target"] = ravel(target, dtype)
        key = self._key(options)
        value, end = state.process.run(start, b, self._schedule(), key, **row_space)
        # Of the operator alone: a batch of keys shares it, and then one warning.
        unsound = is_indefinite(state.measure[0], state.rounding)
        unsound = first(state.failure, when(unsound, Failure.INDEFINITE))
        failure = self._failure(unsound, b, b if start is None else start, end)
        meaningless = (failure != 0) & (failure != int(Failure.DIVERGED))
        sound = jnp.where(meaningless, jnp.nan, state.sound)
        value, end = sound * self.device.read(value), sound * end
        time = jnp.asarray(self.time, dtype)
        warn_if_hopeless(state.measure[0], state.damping, time, unsound != 0)
        products = self._products(state, start is not None, key is not None)
        last = {"products": products, "state": unravel(end, structure), "failure": failure}
        stats = {**self._stats(state, dtype), **last}
        return unravel(value, structure), result_of(failure), stats

    def _failure(
        self, unsound: Int[Array, ""], b: Array, start: Array, end: Array
    ) -> Int[Array, ""]:
        time, temperature = (jnp.asarray(x, b.dtype) for x in (self.time, self.temperature))
        variance = 2 * temperature * time * b.size
        wild = ~is_bounded(start, b, end, time, variance)
        # Lanczos projects on more than the probe has seen; its filters alone cannot diverge.
        reason = Failure.INDEFINITE if self.simulation == "lanczos" else Failure.DIVERGED
        return first(when(self._invalid(b, start), Failure.INVALID), unsound, when(wild, reason))

    def transpose(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        # Lineax transposes a conjugate only to differentiate in the operator.
        if options.get(_CONJUGATE):
            sound = check_settled(state.measure, self.time, state.sound)
            return eqx.tree_at(lambda s: s.sound, state, sound), options
        self._check_linear(options)
        return state, options

    def conj(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        self._check_linear(options)  # of real operators only derivatives ask for the conjugate
        return state, {**options, _CONJUGATE: True}

    @property
    def matrix_free(self) -> bool:
        """Whether products are all that the simulation needs."""
        return self.simulation != "exact" and not self.device.needs_arrays

    def assume_full_rank(self) -> bool:
        return False  # Lineax then calls `conj`, so that an unsettled derivative is seen

    def _check_linear(self, options: dict[str, Any]) -> None:
        obstacle = self.not_linear(options)
        if obstacle is not None:
            raise NotImplementedError(NO_DERIVATIVE.format(obstacle))

    def not_linear(self, options: dict[str, Any]) -> str | None:
        """Why what is read is no symmetric linear map of b, whose derivative is another solve."""
        if not is_zero(self.temperature):
            return "`temperature`"
        return "options['y0']" if "y0" in options else self.device.falsifies()

    def _process(
        self, operator: lx.AbstractLinearOperator
    ) -> tuple[Any, Measure, Array, Array, Array]:
        """Process, measure, uncertainty of its eigenvalues, products spent on it, and failure."""
        known, slack = is_symmetric_product(operator), self._slack(operator)
        if self.simulation == "exact":
            spectrum = spectrum_of(operator if known else lx.materialise(operator), slack)
            rounding = jnp.maximum(spectrum.rounding, slack)
            fine = when(jnp.asarray(False), Failure.NONE)
            return SpectralProcess(spectrum), spectrum.measure(), rounding, jnp.asarray(0), fine
        measure, spent = measure_of(operator)
        spent = jnp.asarray(spent + 2 * (not known))
        rounding = float(jnp.finfo(measure[0].dtype).eps) ** 0.5 * jnp.max(jnp.abs(measure[0]))
        rounding = jnp.maximum(rounding, slack)
        process = self._simulation(operator, measure)
        stepped = self.dt is not None and self.simulation == "euler-maruyama"
        unstable = self._dt(measure) > dt_limit(measure) if stepped else jnp.asarray(False)
        return process, measure, rounding, spent, when(unstable, Failure.UNSTABLE)

    def _slack(self, operator: lx.AbstractLinearOperator) -> Inexact[Array, ""]:
        """How far below zero rounding may carry an eigenvalue: until `time` it adds a tenth."""
        dtype = dtype_of(operator.in_structure())
        if not isinstance(operator, ResistorArrays):
            return jnp.zeros((), dtype)
        return GROWTH / jnp.maximum(jnp.asarray(self.time, dtype), jnp.finfo(dtype).tiny)

    def _simulation(self, operator: lx.AbstractLinearOperator, measure: Measure) -> Any:
        if self.simulation == "lanczos":
            products = min(self.products, operator.in_size())
            return SpectralProcess(KrylovSpectrum(operator, products, self._slack(operator)))
        dt = self._dt(measure)
        operator = self.device.distort(operator)
        if self.simulation == "euler-maruyama":
            return EulerMaruyama(operator, self.device, dt)
        from .diffusion import DiffraxProcess

        return DiffraxProcess(operator, self.device, dt, self.dt is None)

    def _start(
        self, b: Array, structure: PyTree, options: dict[str, Any]
    ) -> Inexact[Array, " n"] | None:
        """x(0); None where it is the b that is fed."""
        if "y0" not in options:
            return None if is_absent(self.device.offset) else self.device.load(b)
        check_start(options["y0"], structure)
        return self.device.load(ravel(options["y0"], b.dtype))

    def _products(self, state: _State, started: bool, noisy: bool) -> Array:
        if self.simulation == "exact":
            return state.products
        if self.simulation == "lanczos":
            used = state.process.vectors_used(started, noisy, self._schedule())
            return state.products + used * state.process.spectrum.products
        if self.simulation == "euler-maruyama":
            dtype = dtype_of(thaw(state.frozen.value))
            steps = num_steps(self.time, state.process.dt, dtype)
            return state.products + steps.astype(state.products.dtype)
        return jnp.full_like(state.products, -1)

    def _invalid(self, b: Array, start: Array) -> Bool[Array, ""]:
        """Whether traced arguments are out of range, or vectors not finite."""
        bad = ~all_finite((b, start))
        for value in (self.time, self.temperature, self.burn_in):
            bad = bad | is_negative(value)
        if self.read_out == "average":
            bad = bad | ~(jnp.asarray(self.burn_in) < jnp.asarray(self.time))
        return bad

    def _dt(self, measure: Measure) -> Inexact[Array, ""]:
        limit = dt_limit(measure)
        if self.dt is None:
            return limit / 10
        return jnp.asarray(self.dt, limit.dtype)

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
        elements, frozen = state.elements.value, state.frozen.value
        unknowns = sum(x.size for x in frozen[0])
        time = jnp.asarray(self.time, dtype)
        seconds, joules = self.cost.solve(elements, unknowns, time, self.device)
        law = law_stats(state.measure, self._schedule(), state.process, dtype)
        return {**law, "device_seconds": seconds, "device_joules": joules}
