"""Optimizers: natural gradients, baselines, and adapters to Optax.

`deterministic` holds the methods for losses that are evaluated exactly, `minibatch` those for
losses of which a step sees a random part, `presets` the names and their settings.
"""

from .._settings import SHARED as SHARED
from .adapters import OptaxOptimizer as OptaxOptimizer
from .base import STOP_REASONS as STOP_REASONS
from .base import AbstractOptimizer as AbstractOptimizer
from .base import StepInfo as StepInfo
from .by_size import Choice as Choice
from .by_size import suited as suited
from .cost import Cost as Cost
from .deterministic import AbstractAcceleration as AbstractAcceleration
from .deterministic import Armijo as Armijo
from .deterministic import Chord as Chord
from .deterministic import FixedStep as FixedStep
from .deterministic import Geodesic as Geodesic
from .deterministic import GridLineSearch as GridLineSearch
from .deterministic import NaturalGradient as NaturalGradient
from .deterministic import Plain as Plain
from .deterministic import ScipyLevenbergMarquardt as ScipyLevenbergMarquardt
from .deterministic import TrustRegion as TrustRegion
from .deterministic import bfgs as bfgs
from .deterministic import scale_by_bfgs as scale_by_bfgs
from .deterministic import scale_by_self_scaled as scale_by_self_scaled
from .deterministic import ssbfgs as ssbfgs
from .deterministic import ssbroyden as ssbroyden
from .forms import system_for as system_for
from .links import as_optax as as_optax
from .links import scale_by_natural_gradient as scale_by_natural_gradient
from .minibatch import AbstractBasePoint as AbstractBasePoint
from .minibatch import AbstractDirection as AbstractDirection
from .minibatch import AuxiliaryDescent as AuxiliaryDescent
from .minibatch import Averaged as Averaged
from .minibatch import Clocks as Clocks
from .minibatch import ConjugateGradients as ConjugateGradients
from .minibatch import Exact as Exact
from .minibatch import Filtered as Filtered
from .minibatch import FixedDamping as FixedDamping
from .minibatch import Iterate as Iterate
from .minibatch import LayerwiseNaturalGradient as LayerwiseNaturalGradient
from .minibatch import LevenbergMarquardt as LevenbergMarquardt
from .minibatch import MeanIterate as MeanIterate
from .minibatch import MinibatchNaturalGradient as MinibatchNaturalGradient
from .minibatch import RelativeNoise as RelativeNoise
from .minibatch import RunningStatistics as RunningStatistics
from .minibatch import Stale as Stale
from .minibatch import SubsampledTrustRegion as SubsampledTrustRegion
from .minibatch import Thermodynamic as Thermodynamic
from .minibatch import TwoPhase as TwoPhase
from .minibatch import Undamped as Undamped
from .minibatch import clipped as clipped
from .minibatch import schedule as schedule
from .presets import AbstractPreset as AbstractPreset
from .presets import citation as citation
from .presets import get as get
from .presets import name_of as name_of
from .presets import names as names
from .presets import register as register
from .presets import registry as registry
from .presets import settings as settings
from .presets import shared_settings as shared_settings
from .presets import uses_metric as uses_metric
from .presets import uses_solver as uses_solver
