"""How wrong is a model? Held-out residuals, an error estimate, and points that grow."""

from .eigenvalues import EigenvalueBounds as EigenvalueBounds
from .eigenvalues import eigenvalue_bounds as eigenvalue_bounds
from .estimate import Corrected as Corrected
from .estimate import ErrorEstimate as ErrorEstimate
from .estimate import Estimator as Estimator
from .estimate import estimate_error as estimate_error
from .held_out import HeldOut as HeldOut
from .held_out import Look as Look
from .kernel import KernelConditions as KernelConditions
from .kernel import kernel_conditions as kernel_conditions
from .mesh import Mesh as Mesh
from .mesh import refined as refined
from .mesh import rules_of as rules_of
from .mesh import starting_mesh as starting_mesh
from .posterior import Posterior as Posterior
from .posterior import posterior as posterior
from .rounding import ROUNDING as ROUNDING
from .rounding import Rounding as Rounding
from .rounding import rounding_level as rounding_level
from .scaling import scaling_remarks as scaling_remarks
from .spaces import Tangent as Tangent
from .spaces import TangentSum as TangentSum
from .watch import Watch as Watch
