"""Metrics: from an objective at a model to the linear system of a natural-gradient step."""

from .base import AbstractMetric as AbstractMetric
from .dually_flat import DuallyFlat as DuallyFlat
from .energy import EnergyMetric as EnergyMetric
from .euclidean import Euclidean as Euclidean
from .fisher_rao import FisherRao as FisherRao
from .kernel_wasserstein import KernelWasserstein as KernelWasserstein
from .normal import COORDINATES as COORDINATES
from .normal import AbstractCoordinates as AbstractCoordinates
from .registry import METRICS as METRICS
from .registry import get as get
from .registry import names as names
from .registry import needs_state as needs_state
from .registry import register as register
from .registry import settings as settings
from .sketched import Sketched as Sketched
from .sobolev import Sobolev as Sobolev
from .state import AbstractStateMetric as AbstractStateMetric
from .wasserstein import Wasserstein as Wasserstein
