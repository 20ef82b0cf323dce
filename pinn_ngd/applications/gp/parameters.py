"""Positive numbers of kernels and likelihoods: trained, or frozen."""

from typing import Any

from jaxtyping import Array, Float

from ...models import AbstractUnknown, Frozen, Positive

Unknown = AbstractUnknown | Frozen


def positive(start: Any) -> Unknown:
    """A positive number or array that is trained from `start`; an unknown is taken as it is.

    `Frozen(Positive(0.1))` stays at 0.1. Raises ValueError for a start that is not positive.
    """
    return start if isinstance(start, AbstractUnknown | Frozen) else Positive(start)


def value_of(unknown: Unknown) -> Float[Array, "..."]:
    """The number or array that an unknown, frozen or not, stands for."""
    return (unknown.thaw() if isinstance(unknown, Frozen) else unknown).value
