"""Metrics: from an objective at a model to the linear system of a natural-gradient step."""

from .base import AbstractMetric as AbstractMetric
from .energy import EnergyMetric as EnergyMetric
from .euclidean import Euclidean as Euclidean
