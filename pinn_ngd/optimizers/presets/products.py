"""Named optimizers that need products with the curvature and no matrix of it."""

from typing import ClassVar

from ..._settings import Count, Fraction, NonNegative, Positive
from ...linalg import Form, NystromDual, Truncated
from ..base import AbstractOptimizer
from ..damping import AbstractDamping, LevenbergMarquardt, damping_rule
from ..deterministic.hessian_free import HessianFree
from ..deterministic.line_search import Armijo, FixedStep, GridLineSearch
from ..deterministic.natural_gradient import NaturalGradient
from ..deterministic.newton import NystromNewton
from .citations import cited
from .preset import AbstractPreset


def by_ratio(adaption: str, damping: float, factor: float = 0.7) -> AbstractDamping:
    """A rule for residuals, which fall by many orders of magnitude: the damping has to follow."""
    rule = damping_rule(adaption, damping)
    if isinstance(rule, LevenbergMarquardt):
        return LevenbergMarquardt(damping, factor=factor, smallest=1e-14)
    return rule


class EngdNystrom(AbstractPreset):
    """ENGD-W by a randomized Nystrom approximation of A A^T, in the form without QR, for GPUs.

    It takes `rank` products with A A^T, which is not formed (`linalg.NystromDual`). What it misses
    of A A^T is taken for zero. The step has the length `rate`, or that of the grid line search.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("engd", "spring", "nystrom", "lineax")
    rank: Count = 256
    damping: Positive = 1e-6
    rate: Positive | None = None
    momentum: Fraction = 0.0
    form: Form = "auto"

    def build(self) -> AbstractOptimizer:
        return NaturalGradient(
            solver=NystromDual(self.rank),
            search=GridLineSearch() if self.rate is None else FixedStep(rate=self.rate),
            damping=self.damping,
            momentum=self.momentum,
            form=self.form,
        )


class NNCG(AbstractPreset):
    """NysNewton-CG: damped Newton, its conjugate gradients preconditioned by random products.

    `rank` and `refresh_every` are those of the approximation, `iterations` and `tolerance`
    (relative) those of conjugate gradients, `fraction` that of Armijo's condition. `adaption`
    "levenberg-marquardt" lets the `damping` follow the quadratic model. See `NystromNewton`.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("nncg", "nystrom", "lineax")
    rank: Count = 60
    refresh_every: Count = 20
    damping: Positive = 1e-2
    adaption: str = "fixed"
    iterations: Count = 1000
    tolerance: NonNegative = 1e-16
    fraction: Fraction = 0.1

    def build(self) -> AbstractOptimizer:
        return NystromNewton(
            rank=self.rank,
            refresh_every=self.refresh_every,
            damping=by_ratio(self.adaption, self.damping),
            inner=Truncated(most=self.iterations, tolerance=self.tolerance),
            search=Armijo(fraction=self.fraction, expand=False),
        )


class MartensHF(AbstractPreset):
    """Hessian-free: Gauss-Newton products, conjugate gradients cut short by their progress.

    `iterations` and `progress` end conjugate gradients, which start at `decay` times their last
    iterate; the first `damping` follows the ratio of true and predicted reduction, or stays where
    `adaption` is "fixed". See `HessianFree`.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("hessianfree", "lineax")
    damping: Positive = 1.0
    adaption: str = "levenberg-marquardt"
    iterations: Count = 250
    progress: NonNegative = 5e-4
    decay: Fraction = 0.95
    form: Form = "auto"

    def build(self) -> AbstractOptimizer:
        return HessianFree(
            damping=by_ratio(self.adaption, self.damping, factor=2 / 3),
            inner=Truncated(most=self.iterations, progress=self.progress, keep=True),
            decay=self.decay,
            form=self.form,
        )
