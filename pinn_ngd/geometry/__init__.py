"""Where equations live: domains, points and weights on them, grids, differential operators."""

from .calculus import divergence as divergence
from .calculus import gradient as gradient
from .calculus import laplacian as laplacian
from .calculus import normal_derivative as normal_derivative
from .calculus import spatial_gradient as spatial_gradient
from .calculus import spatial_laplacian as spatial_laplacian
from .calculus import time_derivative as time_derivative
from .domains import Boundary as Boundary
from .domains import Box as Box
from .domains import Domain as Domain
from .domains import Face as Face
from .domains import Interval as Interval
from .domains import Region as Region
from .domains import SpaceTime as SpaceTime
from .grids import Edges as Edges
from .grids import Grid as Grid
from .quadrature import AbstractRule as AbstractRule
from .quadrature import Cells as Cells
from .quadrature import Equispaced as Equispaced
from .quadrature import GaussLegendre as GaussLegendre
from .quadrature import Given as Given
from .quadrature import MonteCarlo as MonteCarlo
from .quadrature import Quadrature as Quadrature
from .quadrature import Sobol as Sobol
from .quadrature import Trapezoid as Trapezoid
