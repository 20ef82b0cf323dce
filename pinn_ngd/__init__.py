"""Natural-gradient training of neural networks for PDEs, posed as linear least squares."""

import importlib.metadata

from . import linalg as linalg
from . import metrics as metrics
from . import models as models
from . import optimizers as optimizers
from . import spu as spu
from .evaluation.errors import relative_h1 as relative_h1
from .evaluation.errors import relative_l2 as relative_l2
from .evaluation.scores import classifier_scores as classifier_scores
from .experiments import LoadedRun as LoadedRun
from .experiments import load_run as load_run
from .experiments.problem import Problem as Problem
from .experiments.problem import load_problem as load_problem
from .experiments.problem_file import list_problems as list_problems
from .geometry.calculus import divergence as divergence
from .geometry.calculus import gradient as gradient
from .geometry.calculus import laplacian as laplacian
from .geometry.calculus import normal_derivative as normal_derivative
from .geometry.calculus import spatial_gradient as spatial_gradient
from .geometry.calculus import spatial_laplacian as spatial_laplacian
from .geometry.calculus import time_derivative as time_derivative
from .geometry.domains import Box as Box
from .geometry.domains import Interval as Interval
from .geometry.domains import SpaceTime as SpaceTime
from .geometry.grids import Grid as Grid
from .geometry.quadrature import AbstractRule as AbstractRule
from .geometry.quadrature import Equispaced as Equispaced
from .geometry.quadrature import GaussLegendre as GaussLegendre
from .geometry.quadrature import MonteCarlo as MonteCarlo
from .geometry.quadrature import Quadrature as Quadrature
from .geometry.quadrature import Sobol as Sobol
from .geometry.quadrature import Trapezoid as Trapezoid
from .objectives import AbstractObjective as AbstractObjective
from .objectives import Batch as Batch
from .objectives import ClassificationObjective as ClassificationObjective
from .objectives import Energy as Energy
from .objectives import EnergyObjective as EnergyObjective
from .objectives import Generated as Generated
from .objectives import Residual as Residual
from .objectives import ResidualObjective as ResidualObjective
from .objectives import Shuffled as Shuffled
from .optimizers import citation as citation
from .states import ExplicitState as ExplicitState
from .states import ImplicitState as ImplicitState
from .states import PointwiseState as PointwiseState
from .states import SampleObjective as SampleObjective
from .states import Smoothness as Smoothness
from .states import StateMisfit as StateMisfit
from .states import StateObjective as StateObjective
from .states import TotalVariation as TotalVariation
from .storage import FolderError as FolderError
from .training import TrainResult as TrainResult
from .training import train as train
from .validation import ErrorEstimate as ErrorEstimate
from .validation import estimate_error as estimate_error

__version__ = importlib.metadata.version("pinn-ngd")
