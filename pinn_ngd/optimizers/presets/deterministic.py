"""Named optimizers of PDE residuals and energies: natural gradients and their baselines."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import lineax as lx
import optax

from ... import metrics
from ..._names import choose
from ..._settings import SHARED, Count, Fraction, NonNegative, Positive, Whole
from ...linalg import (
    QLP,
    ByLayer,
    Form,
    KroneckerFactored,
    Spectral,
    get_solver,
)
from ...metrics import AbstractMetric, EnergyMetric, Euclidean, Sketched
from ..adapters import OptaxOptimizer
from ..base import AbstractOptimizer
from ..deterministic.acceleration import AbstractAcceleration, Chord, Geodesic, Plain
from ..deterministic.candidates import Search
from ..deterministic.line_search import AbstractLineSearch, Armijo, FixedStep, GridLineSearch
from ..deterministic.natural_gradient import NaturalGradient
from ..deterministic.quasi_newton import bfgs, ssbfgs, ssbroyden
from ..deterministic.scipy_lm import ScipyLevenbergMarquardt
from ..deterministic.trust_region import TrustRegion
from ..minibatch.residual_kfac import ResidualKFAC
from ..minibatch.subsampled import SubsampledTrustRegion
from ..minibatch.two_phase import TwoPhase
from .citations import cited
from .preset import AbstractPreset, AbstractScheduled, Solver, solver_of
from .products import by_ratio

ACCELERATIONS: dict[str, AbstractAcceleration] = {
    "chord": Chord(),
    "geodesic": Geodesic(),
    "none": Plain(),
}
SEARCHES: dict[str, Callable[[float | None, float], AbstractLineSearch]] = {
    "armijo": lambda rate, limit: Armijo(initial=1.0 if rate is None else rate, norm_limit=limit),
    "grid": lambda rate, limit: GridLineSearch(largest=1.0 if rate is None else rate),  # noqa: ARG005
    "fixed": lambda rate, limit: FixedStep(0.1 if rate is None else rate, limit),
}
# Of optimizers that keep the length of their last step.
KEEPING = SEARCHES | {"warm": lambda rate, limit: Armijo(rate or 1.0, limit, warm=True)}


def _metric_of(metric: str | AbstractMetric) -> AbstractMetric:
    return metrics.get(metric) if isinstance(metric, str) else metric


class EngdTR(AbstractPreset):
    """Energy natural gradient, ratio-controlled damping, curvature-corrected candidates.

    The correction is the energy metric's; other metrics go without. `corrections` is the number of
    iterations of the chord method. `search` says how the damping of a step is found among ten: by
    "climb" or "grid" the smallest good one, by "walk" mostly that one too, in fewer trials from
    a little below the last one. "auto" walks on CPUs and is the grid elsewhere.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("engd", "radius", "geodesic", "lineax")
    metric: str | AbstractMetric = "energy"
    solver: Solver | None = None
    form: Form = "auto"
    acceleration: str | AbstractAcceleration | None = None
    acceptance: Fraction = 0.1
    corrections: Count | None = None
    search: Search = "auto"

    def build(self) -> AbstractOptimizer:
        metric = _metric_of(self.metric)
        return TrustRegion(
            metric=metric,
            solver=QLP() if self.solver is None else solver_of(self.solver),
            form=self.form,
            acceleration=self._acceleration_for(metric),
            acceptance=self.acceptance,
            search=self.search,
        )

    def _acceleration_for(self, metric: AbstractMetric) -> AbstractAcceleration:
        chosen: Any = self.acceleration
        if chosen is None:
            chosen = "chord" if isinstance(metric, EnergyMetric) else "none"
        if isinstance(chosen, str):
            chosen = choose(chosen, ACCELERATIONS, "`acceleration`")
        return chosen if self.corrections is None else Chord(iterations=self.corrections)


class Engd(AbstractPreset):
    """Energy natural gradient as published: pseudo-inverse of the Gram matrix, grid line search.

    `rcond` cuts singular values of J; its default is sqrt(eps p) for a few hundred parameters, the
    cut-off of their `lstsq` on J^T J. `largest_step` is 2 in their scaling (a loss without 1/2
    against a Gram matrix without 2) and 1 in that of their 5-d script. Their search takes the best
    of its steps even where it raises the loss; here that is `always`, and by default such a step is
    refused.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("engd", "lineax")
    solver: Solver | None = None
    form: Form = "auto"
    rcond: NonNegative = 2e-7
    largest_step: Positive = 2.0
    always: bool = False

    def build(self) -> AbstractOptimizer:
        published = Spectral(method="gram", rcond=self.rcond)
        return NaturalGradient(
            solver=published if self.solver is None else solver_of(self.solver),
            search=GridLineSearch(largest=self.largest_step, always=self.always),
            form=self.form,
        )


class Wngd(AbstractPreset):
    """Natural gradient in a metric of the state (default: Wasserstein), Armijo line search.

    `damping` is relative to |Y|_F^2. `sketch` is the number of adjoint solves of Hutchinson's
    estimate of the metric, none by default. `search` is "armijo", "warm" (Armijo's, from twice the
    last step length), "grid" or "fixed", `rate` its first (or only) step length; `norm_limit`
    bounds the length of a step, `bounds` the parameters: (lower, upper) all of them,
    {"sigma": (0, 20)} some by the names of their leaves.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("state", "lineax")
    metric: str | AbstractMetric = "wasserstein"
    solver: Solver | None = None
    form: Form = "auto"
    sketch: Count | None = None
    damping: NonNegative = 1e-5
    search: str = "armijo"
    rate: Positive | None = None
    norm_limit: Positive = float("inf")
    bounds: Any = None

    def build(self) -> AbstractOptimizer:
        search = choose(self.search, KEEPING, "`search`")
        metric = _metric_of(self.metric)
        return NaturalGradient(
            metric=metric if self.sketch is None else Sketched(metric, self.sketch),
            solver=Spectral() if self.solver is None else solver_of(self.solver),
            search=search(self.rate, self.norm_limit),
            damping=self.damping,
            relative=True,
            form=self.form,
            bounds=self.bounds,
        )


class AbstractDual(AbstractPreset):
    """The step A^T (A A^T + damping)^-1 b, of length `rate` or by the grid line search."""

    bibtex: ClassVar[tuple[str, ...]] = cited("engd", "spring", "lineax")
    solver: Solver = "cholesky"
    damping: NonNegative = 1e-10
    rate: Positive | None = None

    def _with(self, momentum: float) -> AbstractOptimizer:
        return NaturalGradient(
            solver=solver_of(self.solver),
            search=GridLineSearch() if self.rate is None else FixedStep(rate=self.rate),
            damping=self.damping,
            momentum=momentum,
            form="dual",
        )


class EngdW(AbstractDual):
    """Damped energy natural gradient in the dual (kernel) form: A^T (A A^T + damping)^-1 b."""

    def build(self) -> AbstractOptimizer:
        return self._with(momentum=0.0)


class NgdExact(AbstractPreset):
    """Exact natural gradient of a wide network: the minimum-norm step, undamped, at a fixed rate.

    theta <- theta - rate J^+ r. Where the network is wide enough (`validation.kernel_conditions`),
    a step multiplies the residual r by 1 - rate, whatever the condition of J J^T (Zhang, Martens
    and Grosse, NeurIPS 2019). With `by_layer` every layer makes its own minimum-norm step, divided
    by the number of layers, which has the same rate there (`linalg.ByLayer`). `rcond` cuts singular
    values of J.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("exact", "lineax")
    rate: Positive = 0.5
    by_layer: bool = False
    rcond: NonNegative | None = None

    def build(self) -> AbstractOptimizer:
        solver = Spectral("qr", rcond=self.rcond)
        return NaturalGradient(
            solver=ByLayer(solver) if self.by_layer else solver,
            search=FixedStep(rate=self.rate),
        )


class Spring(AbstractDual):
    """ENGD-W with the Kaczmarz-style momentum of SPRING."""

    momentum: Fraction = 0.3

    def build(self) -> AbstractOptimizer:
        return self._with(self.momentum)


class EngdSub(AbstractPreset):
    """Energy natural gradient of a random part of the rows, judged by another: large networks.

    `rows` points make a step and as many others judge it; `momentum` keeps what earlier steps saw.
    After `full_after` of them come steps of all rows, those of `engd-tr`; never where that is 0.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("engd", "spring", "radius", "lineax")
    rows: Count = 512
    momentum: Fraction = 0.98
    acceptance: Fraction = 0.1
    full_after: Whole = 0

    def build(self) -> AbstractOptimizer:
        part = SubsampledTrustRegion(
            rows=self.rows, momentum=self.momentum, acceptance=self.acceptance
        )
        return TwoPhase(part, first=self.full_after) if self.full_after else part


class KFACPinn(AbstractPreset):
    """K-FAC for PDE residuals: Kronecker factors of each term, steps from the quadratic model.

    The direction is the iterate number `iterations` of conjugate gradients that K-FAC
    preconditions; with 1 it is that of K-FAC. Without `search` step length and momentum are those
    of the quadratic model: with one iteration the K-FAC* of the paper. `search` "grid" or "armijo"
    takes heavy-ball `momentum` and a line search, as its K-FAC does. `adaption` "fixed" keeps the
    `damping`. See `ResidualKFAC`.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("kfacpinn", "kfac", "lineax")
    damping: Positive = 0.1
    adaption: str = "levenberg-marquardt"
    decay: Fraction = 0.95
    momentum: Fraction = 0.9
    iterations: Count = 10
    search: str | None = None
    factored: bool = True

    def build(self) -> AbstractOptimizer:
        search = self.search and choose(self.search, SEARCHES, "`search`")(None, float("inf"))
        return ResidualKFAC(
            KroneckerFactored("factored" if self.factored else "exact"),
            by_ratio(self.adaption, self.damping),
            decay=self.decay,
            momentum=self.momentum,
            iterations=self.iterations,
            search=search or None,
        )


class GradientDescent(AbstractPreset):
    """Gradient descent with the 31-point grid line search.

    That is the search of the ENGD paper. `search` "warm" starts at twice the last step length, so
    that a step takes two losses in the place of 31; "armijo" and "fixed" are those of `wngd`.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("numerical")
    search: str = "grid"
    rate: Positive | None = None

    def build(self) -> AbstractOptimizer:
        search = choose(self.search, KEEPING, "`search`")(self.rate, float("inf"))
        cg: lx.AbstractLinearSolver = get_solver("cg")
        return NaturalGradient(metric=Euclidean(), solver=cg, search=search)


class Adam(AbstractScheduled):
    """Adam, by default with the schedule of the ENGD paper.

    That is called "drops": `rate` for 15,000 steps, then a tenth of it, and a tenth of that every
    10,000 steps, not below 1e-7; whatever `decay_steps`. The others are those of `schedule`.
    """

    bibtex: ClassVar[tuple[str, ...]] = cited("adam")
    rate: Positive = 1e-3
    schedule: Annotated[str, SHARED] = "drops"

    def build(self) -> AbstractOptimizer:
        return OptaxOptimizer(optax.adam(self.learning_rate()))


class LBFGS(AbstractPreset):
    """L-BFGS with the zoom line search, from Optax."""

    bibtex: ClassVar[tuple[str, ...]] = cited("lbfgs")
    memory: Count = 10

    def build(self) -> AbstractOptimizer:
        return OptaxOptimizer(optax.lbfgs(memory_size=self.memory), steps_per_call=10)


class BFGS(AbstractPreset):
    """BFGS with a dense inverse Hessian and a zoom line search."""

    bibtex: ClassVar[tuple[str, ...]] = cited("numerical")

    def build(self) -> AbstractOptimizer:
        return OptaxOptimizer(bfgs(), steps_per_call=10)


class SSBroyden(AbstractPreset):
    """Self-scaled Broyden with a dense inverse Hessian and a zoom line search."""

    bibtex: ClassVar[tuple[str, ...]] = cited("numerical", "selfscaled", "urban")

    def build(self) -> AbstractOptimizer:
        return OptaxOptimizer(ssbroyden(), steps_per_call=10)


class SSBFGS(AbstractPreset):
    """Self-scaled BFGS with a dense inverse Hessian and a zoom line search."""

    bibtex: ClassVar[tuple[str, ...]] = cited("numerical", "selfscaled", "urban")

    def build(self) -> AbstractOptimizer:
        return OptaxOptimizer(ssbfgs(), steps_per_call=10)


class Muon(AbstractScheduled):
    """Muon for the matrices of a network, Adam for the rest, from Optax."""

    bibtex: ClassVar[tuple[str, ...]] = cited("muon", "adam")
    rate: Positive = 1e-2

    def build(self) -> AbstractOptimizer:
        from optax.contrib import muon

        return OptaxOptimizer(muon(self.learning_rate()))


class ScipyLM(AbstractPreset):
    """MINPACK's Levenberg-Marquardt through SciPy, with this package's Jacobian."""

    bibtex: ClassVar[tuple[str, ...]] = cited("minpack")
    evaluations: Count = 50

    def build(self) -> AbstractOptimizer:
        return ScipyLevenbergMarquardt(evaluations=self.evaluations)
