"""Natural-gradient training of neural networks for PDEs, posed as linear least squares."""

import importlib.metadata

from . import linalg as linalg
from . import metrics as metrics
from . import models as models
from . import optimizers as optimizers
from .calculus import divergence as divergence
from .calculus import gradient as gradient
from .calculus import laplacian as laplacian
from .calculus import normal_derivative as normal_derivative
from .calculus import spatial_gradient as spatial_gradient
from .calculus import spatial_laplacian as spatial_laplacian
from .calculus import time_derivative as time_derivative
from .classify import classification_problem as classification_problem
from .domains import Box as Box
from .domains import Interval as Interval
from .domains import SpaceTime as SpaceTime
from .evaluation import relative_h1 as relative_h1
from .evaluation import relative_l2 as relative_l2
from .grids import Grid as Grid
from .objectives import AbstractObjective as AbstractObjective
from .objectives import Batch as Batch
from .objectives import ClassificationObjective as ClassificationObjective
from .objectives import Energy as Energy
from .objectives import EnergyObjective as EnergyObjective
from .objectives import ExplicitState as ExplicitState
from .objectives import Generated as Generated
from .objectives import ImplicitState as ImplicitState
from .objectives import PointwiseState as PointwiseState
from .objectives import Residual as Residual
from .objectives import ResidualObjective as ResidualObjective
from .objectives import SampleObjective as SampleObjective
from .objectives import Shuffled as Shuffled
from .objectives import Smoothness as Smoothness
from .objectives import StateMisfit as StateMisfit
from .objectives import StateObjective as StateObjective
from .objectives import TotalVariation as TotalVariation
from .optimizers import citation as citation
from .problem import Problem as Problem
from .problem import list_problems as list_problems
from .problem import load_problem as load_problem
from .quadrature import AbstractRule as AbstractRule
from .quadrature import Equispaced as Equispaced
from .quadrature import GaussLegendre as GaussLegendre
from .quadrature import MonteCarlo as MonteCarlo
from .quadrature import Quadrature as Quadrature
from .quadrature import Sobol as Sobol
from .quadrature import Trapezoid as Trapezoid
from .runs import LoadedRun as LoadedRun
from .runs import load_run as load_run
from .scores import classifier_scores as classifier_scores
from .training import FolderError as FolderError
from .training import TrainResult as TrainResult
from .training import train as train
from .validation import ErrorEstimate as ErrorEstimate
from .validation import estimate_error as estimate_error

__version__ = importlib.metadata.version("pinn-ngd")
