"""Quadrature: points and weights on domains, faces and boundaries.

Every rule approximates the integral of f over a region by sum_i w_i f(x_i), with weights which
sum to the measure of the region. Rules are Equinox modules without arrays; `rule.quadrature(key)`
makes the points. On a boundary every rule works face by face, and a face of an interval is one
point with weight 1.

`rule.resampled` says whether each call draws new points from its `key`; other rules ignore the
key. Draw points outside `jax.jit`: Sobol points are made by SciPy on the host.
"""

from .base import AbstractRule as AbstractRule
from .base import Quadrature as Quadrature
from .cells import Cells as Cells
from .points import Points as Points
from .points import as_rule as as_rule
from .regions import halves as halves
from .regions import pieces as pieces
from .sampled import Halton as Halton
from .sampled import LatinHypercube as LatinHypercube
from .sampled import MonteCarlo as MonteCarlo
from .sampled import Sobol as Sobol
from .tensor import Equispaced as Equispaced
from .tensor import GaussLegendre as GaussLegendre
from .tensor import Trapezoid as Trapezoid
