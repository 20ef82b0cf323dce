"""Networks, how they meet boundary conditions, and which parts of them are trained."""

from .cnn import CNN as CNN
from .constraints import HardDirichlet as HardDirichlet
from .frozen import Frozen as Frozen
from .frozen import freeze as freeze
from .mlp import MLP as MLP
from .mlp import Linear as Linear
from .normalized import Normalized as Normalized
