"""The judgement of a run that has ended: whether it is solved, and how wrong it may be."""

import math
from typing import Any

from ..objectives import AbstractObjective, is_data
from ..validation import ROUNDING, Rounding, Watch, rounding_level
from ..validation.watch import SOLVED
from .result import Ending, Record

CUT = ("failed", "interrupted")
INTERRUPTED = Ending("interrupted", "interrupted from the keyboard; the results so far are kept")
OVERFITTED_GAP = 100.0
ENERGY_GAP = 1e-3  # of the energy
ENERGY_ERROR = 1.5e-8  # the root of the rounding error: an energy is quadratic in the error


def judged(
    ending: Ending, history: list[Record], watch: Watch, fitted: tuple[Any, Any, Any]
) -> Ending:
    """The `verdict` on a run that has held-out points or that its optimizer has stopped.

    `fitted` are objective, model and batch. An objective that is no `AbstractObjective` has nothing
    but a loss and is not judged.
    """
    known = watch.held is not None or ending.status == "stalled"
    judgeable = known and history and isinstance(fitted[0], AbstractObjective)
    if ending.status in CUT or not judgeable:
        return ending
    return verdict(ending, history[-1], watch, rounding_level(*fitted))


def verdict(ending: Ending, last: Record, watch: Watch, rounding: Rounding) -> Ending:
    """The end of a run, judged by its held-out residuals.

    `last` is its last history line, `rounding` what rounding the parameters makes of it.

    * A run that failed or was interrupted stays what it was, and so does one that `converged` to
      its tolerance.
    * One whose held-out loss is far above its training loss is `overfitted`, unless the held-out
      loss fell to a millionth of its start (1000 times smaller residuals) and the error estimate
      is reliable, or both losses are rounding errors.
    * One that its optimizer stopped has `converged` at rounding level, or where the held-out
      residual has fallen by ten orders of magnitude; otherwise it is `stalled`.
    """
    if ending.status in (*CUT, "converged"):
        return ending
    if is_overfitted(last, watch, rounding):
        return Ending("overfitted", f"{_overfitted(last)} {estimate_in_words(watch)}".strip())
    if ending.status == "stalled":
        ending = _at_rest(ending, last, watch, rounding)
    words = estimate_in_words(watch)
    if words and _is_rounding(last, watch, rounding):
        size = f"{last['held_out_loss']:.1e}"
        words = f"Between the points too the loss is rounding error ({size}), which tells no error."
    return Ending(ending.status, f"{ending.message}. {words}" if words else ending.message)


def _is_rounding(last: Record, watch: Watch, rounding: Rounding) -> bool:
    """Whether nothing but rounding errors is left, which no estimate explains."""
    unknown = watch.estimate is not None and not watch.estimate.known
    losses = (last["loss"], last.get("held_out_loss", math.inf))
    return unknown and rounding.of_residuals and max(losses) <= ROUNDING * rounding.level


def is_overfitted(last: Record, watch: Watch, rounding: Rounding) -> bool:
    """Whether the model fits its training points and not the equation between them."""
    held_out, loss = last.get("held_out_loss"), last.get("loss", float("nan"))
    if held_out is None:
        return False
    if not rounding.of_residuals:  # the zero of an energy is arbitrary: only the difference counts
        return not held_out - loss <= ENERGY_GAP * max(abs(held_out), abs(loss))
    if held_out <= max(OVERFITTED_GAP * loss, ROUNDING * rounding.level):
        return False
    doubtful = watch.estimate is not None and not watch.estimate.reliable
    # Where residuals are small a gap between the losses is harmless.
    return doubtful or not held_out < SOLVED * watch.start_loss


def _at_rest(ending: Ending, last: Record, watch: Watch, rounding: Rounding) -> Ending:
    left = last["loss"] if rounding.of_residuals else last["predicted"]
    if abs(left) <= ROUNDING * rounding.level:
        return Ending("converged", f"converged to rounding error ({ending.message})")
    if rounding.of_residuals and watch.is_negligible:
        message = f"converged: the residual is smaller than at the start by 1e10 ({ending.message})"
        return Ending("converged", message)
    if not rounding.of_residuals and _is_sharp(watch.estimate):
        message = f"converged: no energy tells its minimizer more sharply ({ending.message})"
        return Ending("converged", message)
    size, slope = f"{last['loss']:.2e}", f"{last['gradient_norm']:.1e}"
    return Ending(
        "stalled",
        f"stationary point with residual left (loss {size}, gradient {slope}{_of_system(last)}): "
        "right for noisy data; an equation needs a larger network, a smoother activation or "
        f"another seed ({ending.message})",
    )


def _of_system(last: Record) -> str:
    """Rank and condition of the last linear system, where its solver knows them: a rank far below
    the number of parameters says that most of them change nothing, as after dead units."""
    if "rank" not in last or "condition" not in last:
        return ""
    return f", last system of rank {last['rank']:.0f} and condition {last['condition']:.0e}"


def _is_sharp(estimate: Any) -> bool:
    """Whether an estimated error is as small as differences of an energy can show."""
    return estimate is not None and estimate.reliable and estimate.relative_l2 <= ENERGY_ERROR


def _overfitted(last: Record) -> str:
    return (
        f"the network interpolates its points: the loss is {last['loss']:.1e} on them and "
        f"{last['held_out_loss']:.1e} between them. Not solved: take more points or time, "
        "or fewer parameters."
    )


def estimate_in_words(watch: Watch) -> str:
    """The error estimate as a sentence, or an empty text where there is none."""
    estimate: Any = watch.estimate
    if estimate is None:
        return ""
    if estimate.reliable:
        corrected = estimate.corrected_l2
        better = f", {corrected:.1e} corrected" if corrected < 0.5 * estimate.relative_l2 else ""
        return f"Estimated relative L2 error {estimate.relative_l2:.1e}{better}."
    if any(is_data(term) for term in getattr(watch.objective, "terms", ())):
        return (
            "Measurements with noise leave a residual that no correction explains, so that it "
            "does not tell the error: `validation.posterior` has error bars."
        )
    left = f"{100 * min(1.0, estimate.unexplained):.0f} % of the held-out residual unexplained"
    if not estimate.known:
        return (
            f"Not known to be solved: a correction of the network leaves {left}, so that its error "
            "cannot be estimated. Cures: a larger network, more points, inputs and outputs of "
            "order one."
        )
    return (
        f"Estimated relative L2 error at least {estimate.relative_l2:.1e}: a correction of the "
        f"network leaves {left}."
    )


def interrupted(error: BaseException) -> Ending:
    """The end that the keyboard sets, or the loss of another process, which says more."""
    keyboard = isinstance(error, KeyboardInterrupt)
    return INTERRUPTED if keyboard else Ending("interrupted", str(error))


def has_stalled(ending: Ending | None) -> bool:
    """Whether a run ends because its optimizer found no better step."""
    return ending is not None and ending.status == "stalled"


def refused(step: int, why: str) -> Ending:
    """The end of a run whose next step was refused at run time."""
    return Ending("failed", f"step {step} is refused and the last model kept: {why}")


def not_finite(step: int, loss: float, where: str | None = None) -> Ending:
    """The end of a run whose step gave a loss or parameters that are not finite.

    `where` names the term and the point, if they are known.
    """
    what = "parameters that are" if math.isfinite(loss) else f"a loss ({loss}) that is"
    blamed = "" if where is None else f": {where}"
    return Ending(
        "failed",
        f"step {step} gave {what} not finite{blamed}; the last finite model is kept. Likely "
        "causes: a learning rate or step too large, too little damping, a residual that "
        "divides by zero or takes the root or logarithm of a negative number, or float32. "
        "Cures: a smaller step, more damping, float64, and JAX_DEBUG_NANS=1 to find the line.",
    )
