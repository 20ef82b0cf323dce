"""Fields that depend on parameters, functionals of them, and penalties on them."""

from .misfit import StateMisfit as StateMisfit
from .penalty import AbstractPenalty as AbstractPenalty
from .penalty import Smoothness as Smoothness
from .penalty import TotalVariation as TotalVariation
from .samples import SampleObjective as SampleObjective
from .state import AbstractState as AbstractState
from .state import ExplicitState as ExplicitState
from .state import Field as Field
from .state import ImplicitState as ImplicitState
from .state import PointwiseState as PointwiseState
from .state import StateObjective as StateObjective
