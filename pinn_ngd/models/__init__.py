"""Networks and how they meet boundary conditions."""

from .constraints import HardDirichlet as HardDirichlet
from .mlp import MLP as MLP
from .mlp import Linear as Linear
