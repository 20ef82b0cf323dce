"""What is minimized: squared PDE residuals, energies, functionals of a state, losses of data."""

from .base import AbstractObjective as AbstractObjective
from .base import Evaluation as Evaluation
from .batches import AbstractBatches as AbstractBatches
from .batches import Batch as Batch
from .batches import Generated as Generated
from .batches import Shuffled as Shuffled
from .classification import ClassificationObjective as ClassificationObjective
from .energy import Energy as Energy
from .energy import EnergyObjective as EnergyObjective
from .losses import AbstractLoss as AbstractLoss
from .losses import BinaryCrossEntropy as BinaryCrossEntropy
from .losses import SoftmaxCrossEntropy as SoftmaxCrossEntropy
from .losses import SquaredError as SquaredError
from .misfit import StateMisfit as StateMisfit
from .penalty import AbstractPenalty as AbstractPenalty
from .penalty import Smoothness as Smoothness
from .penalty import TotalVariation as TotalVariation
from .residual import Residual as Residual
from .residual import ResidualObjective as ResidualObjective
from .samples import SampleObjective as SampleObjective
from .span import SpanCrossEntropy as SpanCrossEntropy
from .state import AbstractState as AbstractState
from .state import ExplicitState as ExplicitState
from .state import ImplicitState as ImplicitState
from .state import PointwiseState as PointwiseState
from .state import StateObjective as StateObjective
