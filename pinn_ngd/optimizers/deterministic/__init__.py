"""Optimizers for losses that can be evaluated exactly: each step is judged by the loss itself."""

from .acceleration import AbstractAcceleration as AbstractAcceleration
from .acceleration import Chord as Chord
from .acceleration import Geodesic as Geodesic
from .acceleration import Plain as Plain
from .hessian_free import HessianFree as HessianFree
from .line_search import AbstractLineSearch as AbstractLineSearch
from .line_search import Armijo as Armijo
from .line_search import FixedStep as FixedStep
from .line_search import GridLineSearch as GridLineSearch
from .natural_gradient import NaturalGradient as NaturalGradient
from .newton import NystromNewton as NystromNewton
from .quasi_newton import bfgs as bfgs
from .quasi_newton import scale_by_bfgs as scale_by_bfgs
from .quasi_newton import scale_by_self_scaled as scale_by_self_scaled
from .quasi_newton import ssbfgs as ssbfgs
from .quasi_newton import ssbroyden as ssbroyden
from .scipy_lm import ScipyLevenbergMarquardt as ScipyLevenbergMarquardt
from .trust_region import TrustRegion as TrustRegion
