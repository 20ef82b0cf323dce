"""What is minimized: squared residuals, energies, functionals of a state, losses of data."""

from .balance import balanced as balanced
from .balance import term_sizes as term_sizes
from .base import AbstractObjective as AbstractObjective
from .base import Evaluation as Evaluation
from .base import distinct_names as distinct_names
from .batches import AbstractBatches as AbstractBatches
from .batches import Batch as Batch
from .batches import Generated as Generated
from .batches import Shuffled as Shuffled
from .classification import ClassificationObjective as ClassificationObjective
from .coverage import Coverage as Coverage
from .coverage import coverage as coverage
from .energy import Energy as Energy
from .energy import EnergyObjective as EnergyObjective
from .losses import AbstractLoss as AbstractLoss
from .losses import BinaryCrossEntropy as BinaryCrossEntropy
from .losses import SoftmaxCrossEntropy as SoftmaxCrossEntropy
from .losses import SquaredError as SquaredError
from .residual import Residual as Residual
from .residual import ResidualObjective as ResidualObjective
from .terms import check_indices as check_indices
from .terms import explained as explained
from .weak import WeakResidual as WeakResidual
