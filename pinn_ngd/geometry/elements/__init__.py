"""Test functions: piecewise polynomials on cells, their values, and their dual norm."""

from .rule import FiniteElements as FiniteElements
from .tested import Tested as Tested
