"""Networks, how they meet boundary conditions, and which parts of them are trained."""

from .cnn import CNN as CNN
from .constraints import HardDirichlet as HardDirichlet
from .embedding import Embedded as Embedded
from .embedding import FourierFeatures as FourierFeatures
from .embedding import NeumannFeatures as NeumannFeatures
from .embedding import PeriodicFeatures as PeriodicFeatures
from .embedding import knows_its_domain as knows_its_domain
from .frozen import Frozen as Frozen
from .frozen import freeze as freeze
from .gated import ModifiedMLP as ModifiedMLP
from .gated import PirateNet as PirateNet
from .mlp import MLP as MLP
from .mlp import Linear as Linear
from .multivariate_normal import MultivariateNormal as MultivariateNormal
from .normalized import Normalized as Normalized
from .sums import Separable as Separable
from .sums import Stages as Stages
from .unknowns import AbstractUnknown as AbstractUnknown
from .unknowns import Bounded as Bounded
from .unknowns import Positive as Positive
from .unknowns import WithUnknowns as WithUnknowns
