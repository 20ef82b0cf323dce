"""What becomes of an error in the initial value: the linearized equation carries it on."""

from jaxtyping import PyTree

from .. import _tree
from ..linalg import LeastSquaresSystem, Spectral, prepare
from ..objectives import AbstractObjective
from .estimate import Estimator
from .rows import held_out_system
from .spaces import Tangent

DAMPING = 1e-16  # relative to s_max^2: two digits are enough here, and rounding is kept out


def propagated(
    objective: AbstractObjective, perturbed: AbstractObjective, model: PyTree
) -> Tangent:
    """How the solution changes when the data of one objective become those of another.

    Let r and r' be the residuals of the model in the two objectives, which have the same operator,
    at held-out points, of which a part serves where they are many, and J their Jacobian. The change
    is that of the model along the step argmin |J d - (r - r')|^2, in the tangent space of the model
    as in `estimate_error`.
    """
    system, other = (
        held_out_system(Estimator(one).factored(model), model) for one in (objective, perturbed)
    )
    target = _tree.subtract(system.target, other.target)
    prepared = prepare(
        LeastSquaresSystem(system.operator, target), Spectral(method="qr", refine=False)
    )
    scale = prepared.state.factor.singular_values[0] ** 2
    return Tangent(model, prepared.solve(damping=DAMPING * scale).value)
