"""A stochastic processing unit: the Ornstein-Uhlenbeck process of an analog linear solver."""

from .algebra import Estimate as Estimate
from .algebra import gaussian_samples as gaussian_samples
from .algebra import inverse as inverse
from .algebra import log_determinant as log_determinant
from .algebra import lyapunov as lyapunov
from .algebra import matrix_exponential as matrix_exponential
from .checks import UnsettledWarning as UnsettledWarning
from .device import Device as Device
from .device import DeviceCost as DeviceCost
from .device import quantize as quantize
from .failures import Failure as Failure
from .failures import explain as explain
from .solver import SPU as SPU
