"""What is minimized: squared PDE residuals, energies, functionals of a state, losses of data."""

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
from .eigenvalues import orthonormal as orthonormal
from .eigenvalues import rayleigh_ritz as rayleigh_ritz
from .energy import Energy as Energy
from .energy import EnergyObjective as EnergyObjective
from .losses import AbstractLoss as AbstractLoss
from .losses import BinaryCrossEntropy as BinaryCrossEntropy
from .losses import SoftmaxCrossEntropy as SoftmaxCrossEntropy
from .losses import SquaredError as SquaredError
from .observations import Data as Data
from .observations import chi_squared as chi_squared
from .observations import is_data as is_data
from .observations import split_data as split_data
from .residual import Residual as Residual
from .residual import ResidualObjective as ResidualObjective
from .terms import check_indices as check_indices
from .terms import explained as explained
