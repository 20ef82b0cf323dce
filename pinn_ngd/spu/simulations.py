"""How a device is simulated: each way with what it alone can represent.

A simulation is a small object of settings. `start` puts it before a programmed operator, and what
comes out holds the process that runs.
"""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Inexact, Int, Real

from .._names import choose
from .._settings import settings_of
from .arguments import check_at_least, check_count, check_positive, is_absent
from .device import Device
from .diffusion import DiffraxProcess
from .failures import Failure, when
from .processes import SpectralProcess, SteppedProcess
from .spectra import KrylovSpectrum, Measure, is_symmetric_product, measure_of, spectrum_of
from .stats import dt_limit


class Started(eqx.Module):
    """A simulation before an operator.

    `measure` is that of the spectrum, whose eigenvalues are known up to `rounding`; `products` were
    spent on it.
    """

    process: Any
    measure: Measure
    rounding: Inexact[Array, ""]
    products: Array
    failure: Int[Array, ""]


class AbstractSimulation(eqx.Module):
    """A way to simulate the device.

    - `growth`: what grown voltages tell of.
    - `keeps_eigenvalues`: whether one start serves every damping of A^T A + damping I.
    """

    growth: ClassVar[Failure] = Failure.DIVERGED
    keeps_eigenvalues: ClassVar[bool] = False

    @abc.abstractmethod
    def start(
        self, operator: lx.AbstractLinearOperator, device: Device, slack: Inexact[Array, ""]
    ) -> Started:
        """The simulation of that operator, which the device has programmed already.

        Eigenvalues down to -`slack` are no failure.
        """

    @property
    def matrix_free(self) -> bool:
        """Whether products with the operator are all that is needed."""
        return True

    @property
    def full_scale(self) -> Any:
        """The largest voltage there can be, or None."""
        return None

    def nonlinearity(self) -> str | None:
        """The name of a setting that makes what is read no symmetric linear map of b."""
        return None

    def check(self, temperature: Any) -> None:
        """ValueError for a temperature that makes no sense with these settings."""
        del temperature


class Exact(AbstractSimulation):
    """Draws from the law of x(time) by eigenvalues.

    Those of A A^T, rows x rows, where the operator is a `gram` of a wide A, else those of the
    dense operator.
    """

    keeps_eigenvalues: ClassVar[bool] = True

    def start(
        self, operator: lx.AbstractLinearOperator, device: Device, slack: Inexact[Array, ""]
    ) -> Started:
        del device
        known = is_symmetric_product(operator)
        spectrum = spectrum_of(operator if known else lx.materialise(operator), slack)
        rounding = jnp.maximum(spectrum.rounding, slack)
        process, measure = SpectralProcess(spectrum), spectrum.measure()
        return Started(process, measure, rounding, jnp.asarray(0), _fine())

    @property
    def matrix_free(self) -> bool:
        return False


class Lanczos(AbstractSimulation):
    """The law of x(time) from `products` products with the operator.

    So many for the mean and as many for each vector of noise and a start that is not b; as many
    vectors are stored. Raises ValueError unless `products` is a positive integer.
    """

    growth: ClassVar[Failure] = Failure.INDEFINITE  # the filters alone cannot diverge
    products: int = eqx.field(static=True, default=40)

    def __check_init__(self):
        check_count("products", self.products, "a number of products")

    def start(
        self, operator: lx.AbstractLinearOperator, device: Device, slack: Inexact[Array, ""]
    ) -> Started:
        del device
        measure, rounding, spent = _probed(operator, slack)
        spectrum = KrylovSpectrum(operator, min(self.products, operator.in_size()), slack)
        return Started(SpectralProcess(spectrum), measure, rounding, spent, _fine())


class EulerMaruyama(AbstractSimulation):
    """Steps of at most `dt` in a memory of a few vectors.

    - `dt`: default a tenth of the stability limit 2 / lambda_max, of which `stats["dt_limit"]`
      holds an estimate; a longer one than the limit ends as a `breakdown`.
    - `mismatch`: standard deviation of the static relative error of each array element. All arrays
      err independently, so that the drift is no longer symmetric; `Device.seed` draws them.
    - `saturation`: the voltages cannot leave [-saturation, saturation], in the units of x.
    - `correlation_time`: of the noise, an Ornstein-Uhlenbeck force with the intensity of the white
      one; a colored noise warms stiff modes less.

    Raises ValueError for negative amounts and for a `dt` or a `saturation` that is not positive.
    """

    dt: Real[ArrayLike, ""] | None = None
    mismatch: Real[ArrayLike, ""] = 0.0
    saturation: Real[ArrayLike, ""] | None = None
    correlation_time: Real[ArrayLike, ""] = 0.0

    def __check_init__(self):
        _check_steps(self)
        check_positive("saturation", self.saturation, "a positive voltage, or None for no limit")

    def start(
        self, operator: lx.AbstractLinearOperator, device: Device, slack: Inexact[Array, ""]
    ) -> Started:
        measure, rounding, spent = _probed(operator, slack)
        dt = _step(self.dt, measure)
        unstable = jnp.asarray(False) if self.dt is None else dt > dt_limit(measure)
        drift = device.distort(operator, self.mismatch)
        process = SteppedProcess(drift, dt, self.saturation, self.correlation_time)
        return Started(process, measure, rounding, spent, when(unstable, Failure.UNSTABLE))

    @property
    def matrix_free(self) -> bool:
        return is_absent(self.mismatch)

    @property
    def full_scale(self) -> Any:
        return self.saturation

    def nonlinearity(self) -> str | None:
        for name in ("mismatch", "saturation"):
            if not is_absent(getattr(self, name)):
                return f"`{name}`"
        return None

    def check(self, temperature: Any) -> None:
        _check_color(temperature, self.correlation_time)


class Diffrax(AbstractSimulation):
    """Steps of a higher order, by Diffrax (the extra `spu`): also circuits with inertia.

    - `dt`: the step, default a tenth of the stability limit of Euler-Maruyama with noise, and
      chosen by Diffrax without. Steps are not checked for stability.
    - `mismatch`, `correlation_time`: as in `EulerMaruyama`.
    - `inertia` L: the circuit L x'' + x' + A x - b = noise of coils and capacitors. Its
      equilibrium is that of L = 0.

    Raises ValueError for negative amounts and a `dt` that is not positive.
    """

    dt: Real[ArrayLike, ""] | None = None
    mismatch: Real[ArrayLike, ""] = 0.0
    inertia: Real[ArrayLike, ""] = 0.0
    correlation_time: Real[ArrayLike, ""] = 0.0

    def __check_init__(self):
        _check_steps(self)
        check_at_least("inertia", self.inertia, 0, "an amount that is not negative")

    def start(
        self, operator: lx.AbstractLinearOperator, device: Device, slack: Inexact[Array, ""]
    ) -> Started:
        measure, rounding, spent = _probed(operator, slack)
        drift = device.distort(operator, self.mismatch)
        settings = self.inertia, self.correlation_time, self.dt is None
        process = DiffraxProcess(drift, _step(self.dt, measure), *settings)
        return Started(process, measure, rounding, spent, _fine())

    @property
    def matrix_free(self) -> bool:
        return is_absent(self.mismatch)

    def nonlinearity(self) -> str | None:
        return None if is_absent(self.mismatch) else "`mismatch`"

    def check(self, temperature: Any) -> None:
        _check_color(temperature, self.correlation_time)


SIMULATIONS: dict[str, type[AbstractSimulation]] = {
    "exact": Exact,
    "lanczos": Lanczos,
    "euler-maruyama": EulerMaruyama,
    "diffrax": Diffrax,
}


def simulation_of(given: AbstractSimulation | str) -> AbstractSimulation:
    """A simulation, or that of a name with its defaults; ValueError for anything else."""
    return given if isinstance(given, AbstractSimulation) else named_simulation(given)


def named_simulation(name: str, **settings: Any) -> AbstractSimulation:
    """The simulation of a name with settings.

    Raises ValueError for an unknown name, and for a setting that this simulation cannot represent,
    with the simulations that can.
    """
    chosen = choose(name, SIMULATIONS, "`simulation`")
    for setting in settings:
        able = [known for known, made in SIMULATIONS.items() if setting in settings_of(made)]
        if name not in able:
            raise ValueError(f"`{setting}` needs simulation={' or '.join(map(repr, able))}.")
    return chosen(**settings)


def _fine() -> Int[Array, ""]:
    return when(jnp.asarray(False), Failure.NONE)


def _probed(
    operator: lx.AbstractLinearOperator, slack: Inexact[Array, ""]
) -> tuple[Measure, Array, Array]:
    """Measure of the spectrum, uncertainty of its eigenvalues, and products spent on both."""
    measure, spent = measure_of(operator)
    spent = jnp.asarray(spent + 2 * (not is_symmetric_product(operator)))  # see `is_unsymmetric`
    rounding = float(jnp.finfo(measure[0].dtype).eps) ** 0.5 * jnp.max(jnp.abs(measure[0]))
    return measure, jnp.maximum(rounding, slack), spent


def _step(dt: Any, measure: Measure) -> Inexact[Array, ""]:
    limit = dt_limit(measure)
    return limit / 10 if dt is None else jnp.asarray(dt, limit.dtype)


def _check_steps(simulation: Any) -> None:
    check_positive("dt", simulation.dt, "a positive step, or None for a tenth of the limit")
    for name in ("mismatch", "correlation_time"):
        check_at_least(name, getattr(simulation, name), 0, "an amount that is not negative")


def _check_color(temperature: Any, correlation_time: Any) -> None:
    if is_absent(temperature) and not is_absent(correlation_time):
        msg = (
            "`temperature` is 0, but the noise has a `correlation_time`: pass a positive"
            " temperature."
        )
        raise ValueError(msg)
