"""Optimizers by name: records of settings, and the registry that knows them."""

from .preset import AbstractPreset as AbstractPreset
from .registry import citation as citation
from .registry import get as get
from .registry import name_of as name_of
from .registry import names as names
from .registry import register as register
from .registry import settings as settings
from .registry import shared_settings as shared_settings
from .registry import uses_metric as uses_metric
from .registry import uses_solver as uses_solver
