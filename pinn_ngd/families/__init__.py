"""Exponential families, which are dually flat: natural and expectation coordinates."""

from .continuous import Exponential as Exponential
from .continuous import Gaussian as Gaussian
from .continuous import GaussianKnownVariance as GaussianKnownVariance
from .continuous import MultivariateGaussian as MultivariateGaussian
from .discrete import Categorical as Categorical
from .discrete import Poisson as Poisson
from .distribution import Distribution as Distribution
from .distribution import GenerativeClassifier as GenerativeClassifier
from .family import AbstractExponentialFamily as AbstractExponentialFamily
from .joint import Independent as Independent
from .joint import JointCoordinates as JointCoordinates
from .joint import NaiveBayes as NaiveBayes
from .values import check_values as check_values
