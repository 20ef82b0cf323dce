"""Networks and how they meet boundary conditions."""

from pinn_ngd.models.constraints import HardDirichlet as HardDirichlet
from pinn_ngd.models.mlp import MLP as MLP
from pinn_ngd.models.mlp import Linear as Linear
