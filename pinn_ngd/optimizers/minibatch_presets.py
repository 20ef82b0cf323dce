"""Named optimizers of minibatches: natural gradients and the baselines they are held against."""

from collections.abc import Callable

import lineax as lx
import optax

from .._settings import Count, Fraction, NonNegative, Positive
from ..linalg import Cholesky, Normal, get_solver
from ..spu import SPU, Device, named_simulation
from .adapters import OptaxOptimizer
from .base import AbstractOptimizer
from .damping import damping_rule
from .directions import AbstractDirection, ConjugateGradients, Exact, Filtered, clipped
from .minibatch import MinibatchNaturalGradient
from .schedules import schedule as rate_of
from .thermodynamic import RelativeNoise, Thermodynamic


def descent(
    rate: Positive, momentum: Fraction, schedule: str, decay_steps: int
) -> optax.GradientTransformation:
    """-rate times the accumulated direction: plain or heavy-ball descent with a schedule."""
    return optax.sgd(rate_of(schedule, rate, decay_steps), momentum=momentum or None)


def _natural(
    direction: AbstractDirection,
    transformation: optax.GradientTransformation,
    damping: float,
    adaption: str,
) -> AbstractOptimizer:
    rule = damping_rule(adaption, damping)
    return MinibatchNaturalGradient(direction, transformation, rule)


def ngd(
    *,
    solver: lx.AbstractLinearSolver | str = "spectral-gram",
    rate: Positive = 0.1,
    momentum: Fraction = 0.0,
    damping: Positive = 1e-2,
    adaption: str = "fixed",
    schedule: str = "constant",
    decay_steps: Count = 1000,
) -> AbstractOptimizer:
    """Natural gradient of a minibatch by a dense solver, for small networks."""
    chosen = get_solver(solver) if isinstance(solver, str) else solver
    transformation = descent(rate, momentum, schedule, decay_steps)
    return _natural(Exact(chosen), transformation, damping, adaption)


def ngd_woodbury(
    *,
    rate: Positive = 0.1,
    momentum: Fraction = 0.9,
    damping: Positive = 1.0,
    adaption: str = "fixed",
    schedule: str = "constant",
    decay_steps: Count = 1000,
) -> AbstractOptimizer:
    """Natural gradient of a minibatch by Woodbury's identity: a matrix of rows x rows."""
    transformation = descent(rate, momentum, schedule, decay_steps)
    return _natural(Exact(Normal(Cholesky()), "dual"), transformation, damping, adaption)


def ngd_cg(
    *,
    iterations: Count = 10,
    rate: Positive = 0.1,
    momentum: Fraction = 0.9,
    damping: Positive = 1.0,
    adaption: str = "fixed",
    schedule: str = "constant",
    decay_steps: Count = 1000,
) -> AbstractOptimizer:
    """Natural gradient of a minibatch by a few warm-started conjugate-gradient iterations."""
    transformation = descent(rate, momentum, schedule, decay_steps)
    return _natural(ConjugateGradients(iterations), transformation, damping, adaption)


def _device(
    time: float,
    temperature: float,
    simulation: str,
    delay: float,
    carry: bool,
    noise: float,
    bits: int | None,
    curvature_bits: int | None,
    factored: bool,
    mismatch: float,
) -> AbstractDirection:
    device = Device(
        bits=bits,
        curvature_bits=curvature_bits,
        factored=factored,
        input_bits=bits,
        read_out_bits=bits,
    )
    erring = named_simulation(simulation, **({"mismatch": mismatch} if mismatch else {}))
    solver = SPU(time, temperature, erring, device=device)
    direction = Thermodynamic(solver, delay, carry)
    return RelativeNoise(direction, noise) if noise else direction


def tngd(
    *,
    time: NonNegative = 10.0,
    temperature: NonNegative = 0.0,
    simulation: str = "exact",
    delay: NonNegative = 0.0,
    carry: bool = False,
    noise: NonNegative = 0.0,
    bits: Count | None = None,
    curvature_bits: Count | None = None,
    factored: bool = False,
    mismatch: NonNegative = 0.0,
    rate: Positive = 0.1,
    momentum: Fraction = 0.9,
    damping: Positive = 1.0,
    adaption: str = "fixed",
    schedule: str = "constant",
    decay_steps: Count = 1000,
) -> AbstractOptimizer:
    """Thermodynamic natural gradient: a simulated analog device read at a time, 0 being SGD.

    `noise` is relative to the direction's norm, `temperature` absolute. `bits` are those of arrays,
    input and read-out, `mismatch` that of the arrays, which needs simulation="euler-maruyama"; the
    arrays are J, H (of `curvature_bits`, if given) and J^T, or, `factored`, S^T J and its transpose
    (see `spu.Device`).
    """
    parts = bits, curvature_bits, factored, mismatch
    direction = _device(time, temperature, simulation, delay, carry, noise, *parts)
    transformation = descent(rate, momentum, schedule, decay_steps)
    return _natural(direction, transformation, damping, adaption)


def tngd_adam(
    *,
    time: NonNegative = 10.0,
    temperature: NonNegative = 0.0,
    simulation: str = "exact",
    delay: NonNegative = 0.0,
    carry: bool = False,
    noise: NonNegative = 0.0,
    bits: Count | None = None,
    curvature_bits: Count | None = None,
    factored: bool = False,
    mismatch: NonNegative = 0.0,
    rate: Positive = 1e-3,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    damping: Positive = 1.0,
    adaption: str = "fixed",
    schedule: str = "constant",
    decay_steps: Count = 1000,
) -> AbstractOptimizer:
    """Thermodynamic natural gradient handed to Adam; with both betas zero, its sign."""
    parts = bits, curvature_bits, factored, mismatch
    direction = _device(time, temperature, simulation, delay, carry, noise, *parts)
    adam = optax.adam(rate_of(schedule, rate, decay_steps), b1=beta1, b2=beta2)
    return _natural(direction, adam, damping, adaption)


def spectral_clipping(
    *,
    rate: Positive = 0.1,
    momentum: Fraction = 0.9,
    damping: Positive = 1e-6,
    schedule: str = "constant",
    decay_steps: Count = 1000,
) -> AbstractOptimizer:
    """Gradient descent with curvature modes above 1 scaled down to 1: the filter min(1, 1/a)."""
    transformation = descent(rate, momentum, schedule, decay_steps)
    return _natural(Filtered(clipped), transformation, damping, "fixed")


def sgd(
    *,
    rate: Positive = 0.1,
    momentum: Fraction = 0.9,
    schedule: str = "constant",
    decay_steps: Count = 1000,
) -> AbstractOptimizer:
    """Stochastic gradient descent with momentum."""
    return OptaxOptimizer(descent(rate, momentum, schedule, decay_steps))


def signsgd(
    *, rate: Positive = 1e-3, schedule: str = "constant", decay_steps: Count = 1000
) -> AbstractOptimizer:
    """Descent along the sign of the gradient: what Adam is when both its betas are zero."""
    return OptaxOptimizer(optax.sign_sgd(rate_of(schedule, rate, decay_steps)))


# Each with the keys of what it cites.
PRESETS: dict[str, tuple[Callable[..., AbstractOptimizer], tuple[str, ...]]] = {
    "ngd": (ngd, ("natural", "lineax")),
    "ngd-woodbury": (ngd_woodbury, ("natural", "lineax")),
    "ngd-cg": (ngd_cg, ("natural", "lineax")),
    "tngd": (tngd, ("thermodynamic", "natural", "lineax")),
    "tngd-adam": (tngd_adam, ("thermodynamic", "adam", "natural", "lineax")),
    "spectral-clipping": (spectral_clipping, ("natural", "lineax")),
    "sgd": (sgd, ("momentum",)),
    "signsgd": (signsgd, ("sign",)),
}
