"""What a solve on a device would cost, asked for by whoever wants to know."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array

from ..linalg._ravel import dtype_of
from .arguments import check_count
from .device import Device

_PERFECT = Device()


class Cost(NamedTuple):
    """Of one solve."""

    seconds: Array
    joules: Array


class DeviceCost(eqx.Module):
    """A *model*, not a measurement, of the time and energy that one solve takes on a device.

    seconds = (bits to program + to feed + to read) / bandwidth + time * time_constant
    joules  = energy_per_bit * bits + elements * power_per_element * settling seconds

    `bits` are those of every number where the device does not round it; H is charged like J.
    Defaults: 16 bits, 50 Gb/s and an RC time of 1 us, the timing model of Donatella et al. (2024,
    arXiv:2405.13817); 10 mV over 1 kOhm in every element (1e-7 W) and 1 pJ a converted bit are our
    own round numbers. `time` of a solve is in units of `time_constant`, where an array element of 1
    is the reference conductance.
    """

    bits: int = eqx.field(static=True, default=16)
    bandwidth: float = 50e9
    time_constant: float = 1e-6
    power_per_element: float = 1e-7
    energy_per_bit: float = 1e-12

    def __check_init__(self):
        check_count("bits", self.bits, "a number of bits")

    def solve(self, elements: int, unknowns: int, time: Any, device: Device = _PERFECT) -> Cost:
        """Of one solve on a device with so many programmable elements."""
        array, fed, read = (
            float(bits or self.bits)
            for bits in (device.bits, device.input_bits, device.read_out_bits)
        )
        moved = array * elements + (fed + read) * unknowns
        settling = jnp.asarray(time, dtype_of(jnp.zeros(()))) * self.time_constant
        joules = self.energy_per_bit * moved + elements * self.power_per_element * settling
        return Cost(moved / self.bandwidth + settling, joules)

    def of(self, operator: lx.AbstractLinearOperator, time: Any, device: Device = _PERFECT) -> Cost:
        """Of one solve with an operator that is programmed as `Device` describes.

        For damped least squares with A that is `linalg.gram(A, damping)`.
        """
        return self.solve(device.elements(operator), operator.in_size(), time, device)
