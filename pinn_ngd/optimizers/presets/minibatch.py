"""Named optimizers of minibatches: natural gradients and the baselines they are held against."""

import abc
from typing import ClassVar

import optax

from ..._settings import Count, Fraction, NonNegative, Positive, Share
from ...linalg import (
    Cholesky,
    KroneckerFactored,
    LayerwiseWoodbury,
    Normal,
    StaleKronecker,
    Staleness,
)
from ...spu import SPU, Device, named_simulation
from ..adapters import OptaxOptimizer
from ..base import AbstractOptimizer
from ..damping import FixedDamping
from ..minibatch.directions import (
    AbstractDirection,
    ConjugateGradients,
    Exact,
    Filtered,
    clipped,
)
from ..minibatch.layerwise import Clocks, Fisher, LayerwiseNaturalGradient
from ..minibatch.natural_gradient import MinibatchNaturalGradient
from ..minibatch.stale import StaleNaturalGradient
from ..minibatch.thermodynamic import RelativeNoise, Thermodynamic
from .citations import cited
from .preset import AbstractDamped, AbstractDescent, AbstractScheduled, Solver, solver_of


class AbstractNatural(AbstractDamped):
    """A direction of a minibatch, which an Optax transformation turns into an update."""

    bibtex: ClassVar[tuple[str, ...]] = cited("natural", "lineax")

    @abc.abstractmethod
    def direction(self) -> AbstractDirection:
        """How the direction (A^T A + damping)^-1 g is found."""

    @abc.abstractmethod
    def transformation(self) -> optax.GradientTransformation:
        """What makes an update of the direction."""

    def build(self) -> AbstractOptimizer:
        parts = self.direction(), self.transformation(), self.damping_rule()
        return MinibatchNaturalGradient(*parts)


class NGD(AbstractDescent, AbstractNatural):
    """Natural gradient of a minibatch by a dense solver, for small networks."""

    solver: Solver = "spectral-gram"
    momentum: Fraction = 0.0
    damping: Positive = 1e-2

    def direction(self) -> AbstractDirection:
        return Exact(solver_of(self.solver))


class NGDWoodbury(AbstractDescent, AbstractNatural):
    """Natural gradient of a minibatch by Woodbury's identity: a matrix of rows x rows."""

    def direction(self) -> AbstractDirection:
        return Exact(Normal(Cholesky()), "dual")


class NGDCG(AbstractDescent, AbstractNatural):
    """Natural gradient of a minibatch by a few warm-started conjugate-gradient iterations."""

    iterations: Count = 10

    def direction(self) -> AbstractDirection:
        return ConjugateGradients(self.iterations)


class AbstractKronecker(AbstractScheduled, AbstractDamped):
    """Kronecker factors of the Fisher matrix `fisher` ("exact", "mc", "empirical" or "ggn").

    The factors are measured every `measure_every` steps, averaged with `decay`, and decomposed
    every `refresh_every` steps; `sharing` is "expand" or "reduce", for convolutions. With `rescale`
    the quadratic model of the batch's loss chooses step length and momentum (no momentum where
    that is 0), times `rate`. `clip` bounds 1/2 |A u|^2. `factor_share` and `model_share` of a
    batch's examples serve for the factors and the quadratic model. See `LayerwiseNaturalGradient`.
    """

    rate: Positive = 1.0
    damping: Positive = 1.0
    adaption: str = "levenberg-marquardt"
    fisher: Fisher = "mc"
    momentum: Fraction = 0.9
    rescale: bool = True
    decay: Fraction = 0.95
    measure_every: Count = 1
    refresh_every: Count = 10
    clip: NonNegative | None = None
    factor_share: Share = 1.0
    model_share: Share = 1.0
    sharing: str = "expand"

    @abc.abstractmethod
    def solver(self) -> KroneckerFactored:
        """How the factors are made and damped."""

    def build(self) -> AbstractOptimizer:
        clocks = Clocks(self.decay, self.measure_every, self.refresh_every)
        return LayerwiseNaturalGradient(
            self.solver(),
            self.damping_rule(),
            fisher=self.fisher,
            clocks=clocks,
            rate=self.learning_rate(),
            momentum=self.momentum,
            rescale=self.rescale,
            clip=self.clip,
            factor_share=self.factor_share,
            model_share=self.model_share,
        )


class KFAC(AbstractKronecker):
    """K-FAC: Kronecker factors of layer inputs and output gradients, kept for several steps."""

    bibtex: ClassVar[tuple[str, ...]] = cited("kfac", "kfc", "natural", "lineax")
    factored: bool = True  # damping of the two factors, not of their product

    def solver(self) -> KroneckerFactored:
        return KroneckerFactored("factored" if self.factored else "exact", self.sharing)


class EKFAC(AbstractKronecker):
    """EKFAC: the eigenbasis of K-FAC with the second moments of gradients in it."""

    bibtex: ClassVar[tuple[str, ...]] = cited("ekfac", "kfac", "natural", "lineax")

    def solver(self) -> KroneckerFactored:
        return KroneckerFactored(sharing=self.sharing, corrected=True)


class SENG(AbstractScheduled, AbstractDamped):
    """SENG: Woodbury's identity layer by layer on the gradients of a batch, sketched and kept.

    The rows of every `refresh_every`-th batch, those of the Fisher matrix `fisher`, serve until the
    next ones. `columns`, `sketch`, `scaling`, `implicit_above`, `rank`, `products` and `shards` are
    those of `linalg.LayerwiseWoodbury`.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("seng", "natural", "lineax")
    rate: Positive = 0.05
    damping: Positive = 2.0
    fisher: Fisher = "empirical"
    momentum: Fraction = 0.9
    refresh_every: Count = 20
    columns: Count | None = None
    sketch: str = "uniform"
    scaling: str = "unbiased"
    implicit_above: Count | None = None
    rank: Count = 16
    products: str = "exact"
    shards: Count = 1

    def build(self) -> AbstractOptimizer:
        solver = LayerwiseWoodbury(
            self.columns, self.sketch, self.scaling, self.implicit_above, self.rank, self.products,
            self.shards,
        )  # fmt: skip
        return LayerwiseNaturalGradient(
            solver,
            self.damping_rule(),
            fisher=self.fisher,
            clocks=Clocks(0.0, self.refresh_every, self.refresh_every),
            rate=self.learning_rate(),
            momentum=self.momentum,
            rescale=False,
        )


class SPNGD(AbstractScheduled):
    """SP-NGD: K-FAC for large batches, every statistic as old as it may be, 2 x 2 blocks of norms.

    A statistic is measured again after an interval that grows while it changes by less than `alpha`
    (relative, Frobenius) and is at most `longest` steps; `alpha` = 0 measures in every step, and
    0.1 is enough for batches of thousands. Sums are taken in the precision `accumulation`. See
    `StaleNaturalGradient` for the others.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("sp-ngd", "kfac", "kfc", "natural", "lineax")
    rate: Positive = 0.05
    damping: Positive = 1e-2
    fisher: Fisher = "empirical"
    momentum: Fraction = 0.9
    alpha: NonNegative = 0.3
    longest: Count = 20
    factored: bool = True
    sharing: str = "expand"
    accumulation: str = "float32"
    microbatches: Count = 1
    rescale_weights: bool = False
    mixup: NonNegative = 0.0

    def build(self) -> AbstractOptimizer:
        return StaleNaturalGradient(
            StaleKronecker(
                "factored" if self.factored else "exact", self.sharing, self.accumulation,
                Staleness(self.alpha, longest=self.longest),
            ),
            self.damping,
            rate=self.learning_rate(),
            momentum=self.momentum,
            fisher=self.fisher,
            microbatches=self.microbatches,
            rescale_weights=self.rescale_weights,
            mixup=self.mixup,
        )  # fmt: skip


class AbstractThermodynamic(AbstractNatural):
    """A simulated analog device that is read after `time` time constants.

    `noise` is relative to the direction's norm, `temperature` absolute. `bits` are those of the
    arrays, the input and the read-out. `mismatch` is that of the arrays and needs
    simulation="euler-maruyama". The arrays are J, H (of `curvature_bits`, if given) and J^T, or,
    where the device is `factored`, S^T J and its transpose (see `spu.Device`).
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("thermodynamic", "natural", "lineax")
    time: NonNegative = 10.0
    temperature: NonNegative = 0.0
    simulation: str = "exact"
    delay: NonNegative = 0.0
    carry: bool = False
    noise: NonNegative = 0.0
    bits: Count | None = None
    curvature_bits: Count | None = None
    factored: bool = False
    mismatch: NonNegative = 0.0

    def solver(self) -> SPU:
        """The simulation of a device with its arrays, its converters and its temperature."""
        device = Device(
            bits=self.bits,
            curvature_bits=self.curvature_bits,
            factored=self.factored,
            input_bits=self.bits,
            read_out_bits=self.bits,
        )
        erring = {"mismatch": self.mismatch} if self.mismatch else {}
        simulation = named_simulation(self.simulation, **erring)
        return SPU(self.time, self.temperature, simulation, device=device)

    def direction(self) -> AbstractDirection:
        direction = Thermodynamic(self.solver(), self.delay, self.carry)
        return RelativeNoise(direction, self.noise) if self.noise else direction


class TNGD(AbstractDescent, AbstractThermodynamic):
    """Thermodynamic natural gradient: a simulated analog device read at a time, 0 being SGD."""


class TNGDAdam(AbstractScheduled, AbstractThermodynamic):
    """Thermodynamic natural gradient handed to Adam; with both betas zero, its sign."""

    bibtex: ClassVar[tuple[str, ...]] = cited("thermodynamic", "adam", "natural", "lineax")
    rate: Positive = 1e-3
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999

    def transformation(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate(), b1=self.beta1, b2=self.beta2)


class SpectralClipping(AbstractDescent):
    """Gradient descent with curvature modes above 1 scaled down to 1: the filter min(1, 1/a)."""

    bibtex: ClassVar[tuple[str, ...]] = cited("natural", "lineax")
    damping: Positive = 1e-6

    def build(self) -> AbstractOptimizer:
        direction, damping = Filtered(clipped), FixedDamping(self.damping)
        return MinibatchNaturalGradient(direction, self.transformation(), damping)


class SGD(AbstractDescent):
    """Stochastic gradient descent with momentum, that of Nesterov where `nesterov` says so."""

    bibtex: ClassVar[tuple[str, ...]] = cited("momentum")
    nesterov: bool = False

    def transformation(self) -> optax.GradientTransformation:
        return optax.sgd(self.learning_rate(), self.momentum or None, self.nesterov)

    def build(self) -> AbstractOptimizer:
        return OptaxOptimizer(self.transformation())


class SignSGD(AbstractScheduled):
    """Descent along the sign of the gradient: what Adam is when both its betas are zero."""

    bibtex: ClassVar[tuple[str, ...]] = cited("sign")
    rate: Positive = 1e-3

    def build(self) -> AbstractOptimizer:
        return OptaxOptimizer(optax.sign_sgd(self.learning_rate()))
