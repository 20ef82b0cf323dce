"""What is minimized: squared PDE residuals and variational energies."""

from .base import AbstractObjective as AbstractObjective
from .base import Evaluation as Evaluation
from .energy import Energy as Energy
from .energy import EnergyObjective as EnergyObjective
from .residual import Residual as Residual
from .residual import ResidualObjective as ResidualObjective
