"""Optimizers for losses of which a step sees a random part: no step is judged by one batch."""

from .averaging import Averaged as Averaged
from .base_points import AbstractBasePoint as AbstractBasePoint
from .base_points import AuxiliaryDescent as AuxiliaryDescent
from .base_points import Iterate as Iterate
from .base_points import MeanIterate as MeanIterate
from .base_points import Renewed as Renewed
from .base_points import RunningStatistics as RunningStatistics
from .directions import AbstractDirection as AbstractDirection
from .directions import ConjugateGradients as ConjugateGradients
from .directions import Exact as Exact
from .directions import Filtered as Filtered
from .directions import clipped as clipped
from .layerwise import Clocks as Clocks
from .layerwise import LayerwiseNaturalGradient as LayerwiseNaturalGradient
from .natural_gradient import MinibatchNaturalGradient as MinibatchNaturalGradient
from .residual_kfac import ResidualKFAC as ResidualKFAC
from .schedules import schedule as schedule
from .stale import StaleNaturalGradient as StaleNaturalGradient
from .subsampled import SubsampledTrustRegion as SubsampledTrustRegion
from .thermodynamic import RelativeNoise as RelativeNoise
from .thermodynamic import Thermodynamic as Thermodynamic
from .two_phase import TwoPhase as TwoPhase
from .variational import VariationalNaturalGradient as VariationalNaturalGradient
from .variational import ramp as ramp
