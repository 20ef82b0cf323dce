"""How good is a model, measured against the truth: relative errors and scores of classifiers."""

from .errors import evaluator as evaluator
from .errors import norms as norms
from .errors import relative_h1 as relative_h1
from .errors import relative_l2 as relative_l2
from .plane_series import PlaneSeries as PlaneSeries
from .reference import SpectralReference as SpectralReference
from .reference import shipped_reference as shipped_reference
from .scores import calibration_error as calibration_error
from .scores import classifier_scores as classifier_scores
from .scores import learning_scores as learning_scores
from .scores import logits_of as logits_of
from .stokes_flow import StokesFlow as StokesFlow
from .sweep import at_parameter as at_parameter
from .sweep import sweep as sweep
