"""A stochastic processing unit: the Ornstein-Uhlenbeck process of an analog linear solver."""

from ..linalg import register_solver
from .algebra import Estimate as Estimate
from .algebra import gaussian_samples as gaussian_samples
from .algebra import inverse as inverse
from .algebra import log_determinant as log_determinant
from .algebra import lyapunov as lyapunov
from .algebra import matrix_exponential as matrix_exponential
from .checks import UnsettledWarning as UnsettledWarning
from .cost import Cost as Cost
from .cost import DeviceCost as DeviceCost
from .device import Device as Device
from .device import quantize as quantize
from .failures import Failure as Failure
from .failures import explain as explain
from .read_out import READ_OUTS as READ_OUTS
from .read_out import AbstractReadOut as AbstractReadOut
from .read_out import FinalState as FinalState
from .read_out import TimeAverage as TimeAverage
from .simulations import SIMULATIONS as SIMULATIONS
from .simulations import AbstractSimulation as AbstractSimulation
from .simulations import Diffrax as Diffrax
from .simulations import EulerMaruyama as EulerMaruyama
from .simulations import Exact as Exact
from .simulations import Lanczos as Lanczos
from .simulations import named_simulation as named_simulation
from .solver import SPU as SPU


def settled(eps: float) -> SPU:
    """a simulated analog device, without noise, after 1e6 time constants; exact by eigenvalues"""
    del eps
    return SPU(time=1e6)


register_solver("spu", settled)
