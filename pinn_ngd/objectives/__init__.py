"""What is minimized: squared PDE residuals, variational energies, functionals of a state."""

from .base import AbstractObjective as AbstractObjective
from .base import Evaluation as Evaluation
from .energy import Energy as Energy
from .energy import EnergyObjective as EnergyObjective
from .misfit import StateMisfit as StateMisfit
from .penalty import AbstractPenalty as AbstractPenalty
from .penalty import Smoothness as Smoothness
from .penalty import TotalVariation as TotalVariation
from .residual import Residual as Residual
from .residual import ResidualObjective as ResidualObjective
from .samples import SampleObjective as SampleObjective
from .state import AbstractState as AbstractState
from .state import ExplicitState as ExplicitState
from .state import ImplicitState as ImplicitState
from .state import PointwiseState as PointwiseState
from .state import StateObjective as StateObjective
