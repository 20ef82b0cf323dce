"""A stochastic processing unit: the Ornstein-Uhlenbeck process of an analog linear solver."""

from .device import Device as Device
from .device import DeviceCost as DeviceCost
from .device import quantize as quantize
from .solver import SPU as SPU
