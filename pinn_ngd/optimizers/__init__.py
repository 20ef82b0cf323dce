"""Optimizers: natural gradients, baselines, and adapters to Optax."""

from .acceleration import AbstractAcceleration as AbstractAcceleration
from .acceleration import Chord as Chord
from .acceleration import Geodesic as Geodesic
from .acceleration import Plain as Plain
from .adapters import OptaxOptimizer as OptaxOptimizer
from .adapters import as_optax as as_optax
from .base import STOP_REASONS as STOP_REASONS
from .base import AbstractOptimizer as AbstractOptimizer
from .base import StepInfo as StepInfo
from .bfgs import bfgs as bfgs
from .bfgs import scale_by_bfgs as scale_by_bfgs
from .citations import citation as citation
from .forms import system_for as system_for
from .line_search import Armijo as Armijo
from .line_search import FixedStep as FixedStep
from .line_search import GridLineSearch as GridLineSearch
from .natural_gradient import NaturalGradient as NaturalGradient
from .registry import get as get
from .registry import names as names
from .registry import settings as settings
from .scipy_lm import ScipyLevenbergMarquardt as ScipyLevenbergMarquardt
from .trust_region import TrustRegion as TrustRegion
