"""The stochastic processing unit as a Lineax solver."""

from typing import Any, ClassVar

import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Bool, Inexact, Int, PRNGKeyArray, PyTree, Real

from ..linalg import AbstractSystemSolver, LeastSquaresSystem, Solution, gram
from ..linalg._ravel import all_finite, dtype_of, hashable, ravel, structure_of, unravel
from ..linalg.calling import linear_solve, nondifferentiable
from ..linalg.spectral import is_zero
from .arguments import check_at_least, is_absent, is_negative
from .arrays import ResistorArrays
from .checks import (
    check_settled,
    check_start,
    check_tagged,
    is_unsymmetric,
    warn_if_hopeless,
)
from .device import Device
from .factors import as_gram
from .failures import Failure, first, is_indefinite, result_of, when
from .read_out import AbstractReadOut, FinalState, Schedule, read_out_of
from .simulations import AbstractSimulation, Exact, Started, simulation_of
from .stats import is_bounded, law_stats

GROWTH = 0.1  # of a voltage, in units of itself, that is no divergence yet
_CONJUGATE = "conjugate"
NO_DERIVATIVE = (
    "What is read is no linear map of b because of {}, so that its derivative is not another solve"
    " on the device: differentiate without it, or use a digital solver."
)
NO_OPERATOR_DERIVATIVE = (
    "What an SPU reads at a time cannot be differentiated in the operator or the damping: use a"
    " digital solver."
)


class _State(eqx.Module):
    simulated: Started
    failure: Int[Array, ""]
    sound: Inexact[Array, ""]  # one; multiplies results, so that its checks are not removed
    damping: Inexact[Array, ""]
    frozen: eqxi.Static


class SPU(AbstractSystemSolver[_State]):
    """Solve A x = b, A positive semidefinite, by waiting: a simulated analog device.

    The device's voltages follow dx = -(A x - b) dt + N(0, 2 temperature dt) from x(0) = b and are
    read at `time`. Their mean is x* + exp(-A time)(b - x*), x* = A^-1 b: b itself at time 0, the
    solution in the limit. Around it lies noise of covariance temperature A^-1 (I - exp(-2 A time)).
    `time` is measured in the unit in which A has its entries (RC times of a device whose unit
    conductance is 1); a mode of eigenvalue a settles in a time 1/a.

        lx.linear_solve(operator, b, SPU(time=200.0)).value        # operator tagged semidefinite
        lx.linear_solve(rows, b, lx.Normal(SPU(time=200.0)))       # least squares

    It is made of

    - `time`, `temperature` (1/beta, the strength of the noise): scalars >= 0, may be traced.
    - `simulation`: `Exact()` (default), `Lanczos(products)`, `EulerMaruyama(dt, ...)` or
      `Diffrax(dt, ...)`, each with the non-idealities that it alone can represent.
    - `read_out`: `FinalState()` (default), x(time), or `TimeAverage(burn_in)`.
    - `device`: a `Device`, the non-idealities of what is programmed, fed and read.

    A name stands for a simulation ("exact", "lanczos", "euler-maruyama", "diffrax") or a read-out
    ("end", "average") with its defaults. What a solve would cost is no part of it: ask
    `DeviceCost`.

    Options: `key`, needed where temperature > 0 (under `vmap` pass a key each, or all share their
    noise), and `y0`, the start x(0), shaped like the solution: state carries over as
    `options={"y0": solution.stats["state"]}`. In `lineax.Normal` of a wide operator the device
    solves for the dual unknown y, x = A^T y: `y0`, "state" and "standard_error" are those of y.
    Use `linalg.solve` for a start or a noise of x: it gives the whole damped system to this
    solver, bare or in `Normal`, which then runs in the space of the parameters x, solves
    (A^T A + damping I) x = A^T b (or g) in any form, and scales nothing. With `Exact` and a target
    of a wide A it stays in the row space of A, which a small damping needs: pass the target, not
    its gradient, where it is known. `linalg.prepare` with `Exact` keeps the eigenvalues.

    `stats`: "time", "relaxation_time" (1 / lambda_min), "settled" (1 - exp(-time lambda_min), the
    progress of the slowest mode; far below one, the result is not the solution), "condition" (of
    the operator that was given, damping and all; infinite if singular), "standard_error" (root mean
    square of the read-out's noise per coordinate, of the device without non-idealities and, in
    Euler-Maruyama, of its finite steps), "dt_limit", "num_steps" (zero for the filters), "products"
    (made with the operator: 0 for `Exact`, which works on stored eigenvalues, -1 for `Diffrax`,
    which does not tell), "failure" and "state" (x at the end).

    But for `Exact`, the spectrum of more than 64 unknowns is estimated by 20 Lanczos products:
    lambda_min is then an overestimate, and "standard_error" right to about a tenth for condition
    numbers up to a thousand, and too small beyond.

    Nothing is raised while it runs: `result` tells of an operator that is unsymmetric or indefinite
    after all (quantized too coarsely, say; `singular`), of voltages that have grown as those of no
    stable device do (mismatch may do it; `singular` too), of a `dt` over the limit (`breakdown`)
    and of traced arguments out of range (`nonfinite_input`), and `stats["failure"]` which of them
    it was: `spu.explain` says it in a sentence. But for grown voltages the value then is NaN. The
    check of growth sees voltages ten times beyond the reach of a stable device. A mismatch that
    has made a mode unstable is not seen before that mode has grown so far: until then the result
    is wrong and called a success, as it would be on hardware. An `UnsettledWarning` tells, under
    `jit` too, of a condition number that makes a solution at `time` hopeless.

    A derivative is another solve on the device with the same options. In b it is right at any time
    where the device is noiseless, starts at b and has none of input or read-out bits, mismatch,
    offset and saturation. Otherwise `linalg.solve` raises an error in both modes, or, with `Exact`,
    has it right for noise and start; and plain `lineax.linear_solve` raises NotImplementedError in
    reverse mode. Only forward mode (`jax.jvp`) through plain `lineax.linear_solve` is silently
    *wrong* then: its rule for tangents asks the solver nothing, so that no solver can refuse. In
    the operator the derivative is that of A^-1 b, and an error unless the device has settled; in
    `lineax.Normal`, which does not ask, it is wrong then.

    Raises ValueError for an operator that is complex or not tagged positive semidefinite, for bad
    arguments, a `y0` of another shape and a missing key.

    Donatella et al., Thermodynamic Natural Gradient Descent, arXiv:2405.13817, eqs. 13-19; Aifer et
    al., Thermodynamic Linear Algebra, arXiv:2308.05660.
    """

    semidefinite: ClassVar[bool] = True
    takes_key: ClassVar[bool] = True

    time: Real[ArrayLike, ""]
    temperature: Real[ArrayLike, ""] = 0.0
    simulation: AbstractSimulation = eqx.field(converter=simulation_of, default=Exact())
    read_out: AbstractReadOut = eqx.field(converter=read_out_of, default=FinalState())
    device: Device = Device()

    def __check_init__(self):
        for name in ("time", "temperature"):
            check_at_least(name, getattr(self, name), 0, "a scalar that is not negative")
        self.read_out.check(self.time)
        self.simulation.check(self.temperature)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> _State:
        del options
        check_tagged(operator)
        factored = as_gram(operator)
        operator = self.device.program(operator if factored is None else factored)
        operator = lx.linearise(operator)
        frozen = eqxi.Static(hashable(operator.in_structure()))
        zero = jnp.zeros((), dtype_of(operator.in_structure()))
        damping = zero if factored is None else factored.damping.astype(zero.dtype)
        simulated = self.simulation.start(operator, self.device, self._slack(operator))
        unsymmetric = when(is_unsymmetric(operator), Failure.UNSYMMETRIC)
        failure = first(unsymmetric, simulated.failure)
        return _State(simulated, failure, jnp.ones((), zero.dtype), damping, frozen)

    def prepare_system(
        self, system: LeastSquaresSystem, smallest_damping: Real[ArrayLike, ""] | None = None
    ) -> _State | None:
        """The eigenvalues, which serve every damping; None for simulations that keep none."""
        del smallest_damping
        if not self.simulation.keeps_eigenvalues:
            return None
        return self.init(gram(system.operator, system.damping), {})

    def solve_system(
        self, system: LeastSquaresSystem, options: dict[str, Any], state: PyTree = None
    ) -> Solution:
        """(A^T A + damping I) x = A^T b, or g, on the device; derivatives are right or errors."""
        gradient = system.gradient
        if system.target is not None:
            gradient = system.operator.transpose().mv(system.target)
        if self.simulation.keeps_eigenvalues:
            return self._by_eigenvalues(system, gradient, options, state)
        return linear_solve(gram(system.operator, system.damping), gradient, self, options)

    def _by_eigenvalues(
        self,
        system: LeastSquaresSystem,
        gradient: PyTree[Array],
        options: dict[str, Any],
        state: _State | None,
    ) -> Solution:
        # Not through `linear_solve`, which has no place for the target. JAX then differentiates the
        # filters themselves, correctly in all but the eigenvectors.
        parts = system.operator, system.damping
        operator, damping = eqxi.nondifferentiable(parts, msg=NO_OPERATOR_DERIVATIVE)
        if state is None:
            state = self.init(gram(operator, damping), options)
        else:
            state = self._at_damping(state, damping)
        value, result, stats = self._read(state, gradient, options, system.target)
        value = nondifferentiable(value, _sentence(self._false_map()))
        return Solution(value, result, jax.lax.stop_gradient(stats))

    def _at_damping(self, state: _State, damping: Inexact[Array, ""]) -> _State:
        """The state of A^T A with another damping: a shift of eigenvalues that are kept."""
        old = state.simulated
        process = eqx.tree_at(lambda p: p.spectrum.damping, old.process, damping)
        simulated = eqx.tree_at(
            lambda s: (s.process, s.measure), old, (process, process.spectrum.measure())
        )
        failure = first(state.failure, when(is_negative(damping), Failure.INVALID))
        new = simulated, failure, damping.astype(state.damping.dtype)
        return eqx.tree_at(lambda s: (s.simulated, s.failure, s.damping), state, new)

    def compute(
        self, state: _State, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        return self._read(state, vector, options)

    def _read(
        self,
        state: _State,
        vector: PyTree[Array],
        options: dict[str, Any],
        target: PyTree[Array] | None = None,
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        """Value, result and stats; with `Exact` b may be told to be A^T target, A the factor.

        Where A is wide, the device then stays in its row space, with no rounding in the flat
        directions, which the inverse of a small damping would multiply.
        """
        structure, simulated = structure_of(state.frozen.value), state.simulated
        dtype = dtype_of(structure)
        raw = ravel(vector, dtype)
        b, start = self.device.feed(raw), self._start(raw, structure, options)
        row_space = {}
        if target is not None and b is raw and not self.device.rounds:
            row_space["target"] = ravel(target, dtype)
        key = self._key(options)
        value, end = simulated.process.run(start, b, self._schedule(), key, **row_space)
        # Of the operator alone: a batch of keys shares it, and then one warning.
        unsound = is_indefinite(simulated.measure[0], simulated.rounding)
        unsound = first(state.failure, when(unsound, Failure.INDEFINITE))
        failure = self._failure(unsound, b, b if start is None else start, end)
        meaningless = (failure != 0) & (failure != int(Failure.DIVERGED))
        sound = jnp.where(meaningless, jnp.nan, state.sound)
        value = sound * self.device.read(value, self.simulation.full_scale)
        time = jnp.asarray(self.time, dtype)
        warn_if_hopeless(simulated.measure[0], state.damping, time, unsound != 0)
        last = {"state": unravel(sound * end, structure), "failure": failure}
        stats = {**self._stats(simulated, start is not None, key is not None, dtype), **last}
        return unravel(value, structure), result_of(failure), stats

    def _stats(
        self, simulated: Started, started: bool, noisy: bool, dtype: Any
    ) -> dict[str, Array]:
        """What is known without looking at the voltages."""
        process, schedule = simulated.process, self._schedule()
        products = process.products(simulated.products, started, noisy, schedule)
        return {**law_stats(simulated.measure, schedule, process, dtype), "products": products}

    def _failure(
        self, unsound: Int[Array, ""], b: Array, start: Array, end: Array
    ) -> Int[Array, ""]:
        time, temperature = (jnp.asarray(x, b.dtype) for x in (self.time, self.temperature))
        variance = 2 * temperature * time * b.size
        wild = when(~is_bounded(start, b, end, time, variance), self.simulation.growth)
        return first(when(self._invalid(b, start), Failure.INVALID), unsound, wild)

    def transpose(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        # Lineax transposes a conjugate only to differentiate in the operator.
        if options.get(_CONJUGATE):
            sound = check_settled(state.simulated.measure, self.time, state.sound)
            return eqx.tree_at(lambda s: s.sound, state, sound), options
        self._check_linear(options)
        return state, options

    def conj(self, state: _State, options: dict[str, Any]) -> tuple[_State, dict[str, Any]]:
        self._check_linear(options)  # of real operators only derivatives ask for the conjugate
        return state, {**options, _CONJUGATE: True}

    @property
    def matrix_free(self) -> bool:
        """Whether products are all that the simulation needs."""
        return self.simulation.matrix_free and not self.device.rounds

    def assume_full_rank(self) -> bool:
        return False  # Lineax then calls `conj`, so that an unsettled derivative is seen

    def refusal_of_derivatives(self, options: dict[str, Any]) -> str | None:
        """Why what is read is no symmetric linear map of b, whose derivative is another solve."""
        if not is_zero(self.temperature):
            return _sentence("`temperature`")
        return _sentence("options['y0']" if "y0" in options else self._false_map())

    def _false_map(self) -> str | None:
        """The non-ideality of device or simulation that spoils the map of b."""
        return self.device.nonlinearity() or self.simulation.nonlinearity()

    def _check_linear(self, options: dict[str, Any]) -> None:
        refusal = self.refusal_of_derivatives(options)
        if refusal is not None:
            raise NotImplementedError(refusal)

    def _slack(self, operator: lx.AbstractLinearOperator) -> Inexact[Array, ""]:
        """How far below zero rounding may carry an eigenvalue: until `time` it adds a tenth."""
        dtype = dtype_of(operator.in_structure())
        if not isinstance(operator, ResistorArrays):
            return jnp.zeros((), dtype)
        return GROWTH / jnp.maximum(jnp.asarray(self.time, dtype), jnp.finfo(dtype).tiny)

    def _start(
        self, b: Array, structure: PyTree, options: dict[str, Any]
    ) -> Inexact[Array, " n"] | None:
        """x(0); None where it is the b that is fed."""
        if "y0" not in options:
            return None if is_absent(self.device.offset) else self.device.load(b)
        check_start(options["y0"], structure)
        return self.device.load(ravel(options["y0"], b.dtype))

    def _invalid(self, b: Array, start: Array) -> Bool[Array, ""]:
        """Whether traced arguments are out of range, or vectors not finite."""
        bad = ~all_finite((b, start)) | is_negative(self.time) | is_negative(self.temperature)
        return bad | self.read_out.is_invalid(self.time)

    def _schedule(self) -> Schedule:
        return self.read_out.schedule(self.time, self.temperature)

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


def _sentence(obstacle: str | None) -> str | None:
    return None if obstacle is None else NO_DERIVATIVE.format(obstacle)
