"""Gaussian processes: kernels, likelihoods, variational posteriors and their evidence bound.

docs/gaussian-processes.md tells what they are for. The optimizer is `ngd-gp`.
"""

from .collocation import Conditioned as Conditioned
from .collocation import Observation as Observation
from .collocation import condition as condition
from .exact import GPR as GPR
from .exact import SGPR as SGPR
from .kernels import RBF as RBF
from .kernels import AbstractKernel as AbstractKernel
from .kernels import AbstractStationary as AbstractStationary
from .kernels import Matern12 as Matern12
from .kernels import Matern32 as Matern32
from .kernels import Matern52 as Matern52
from .kernels import OfCoordinates as OfCoordinates
from .kernels import Product as Product
from .kernels import Sum as Sum
from .kernels import cholesky_factor as cholesky_factor
from .kernels import cross_covariance as cross_covariance
from .likelihoods import AbstractLikelihood as AbstractLikelihood
from .likelihoods import Bernoulli as Bernoulli
from .likelihoods import GaussianNoise as GaussianNoise
from .likelihoods import HeteroskedasticGaussian as HeteroskedasticGaussian
from .likelihoods import Poisson as Poisson
from .likelihoods import StudentT as StudentT
from .model import GPModel as GPModel
from .objective import EvidenceLowerBound as EvidenceLowerBound
from .pictures import plot_classes as plot_classes
from .processes import SVGP as SVGP
from .processes import VGP as VGP
from .processes import AbstractProcess as AbstractProcess
from .processes import Points as Points
from .scores import predictive_scores as predictive_scores
