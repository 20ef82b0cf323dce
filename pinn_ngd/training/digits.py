"""The precision of float32 products in an accelerator, where digits matter."""

import contextlib
from typing import Any

import jax


def all_digits(optimizer: Any) -> contextlib.AbstractContextManager:
    """Products of float32 numbers with all of their digits, for optimizers that need them.

    Accelerators multiply float32 matrices with 10 bits (TF32) or 8 (bfloat16) unless told
    otherwise: a relative error of 1e-3, with which a residual, a small difference of derivatives of
    a network, cannot become small. The linear algebra of this package asks for all digits itself;
    here the network and its derivatives do, for optimizers with `wants_float64`. Others keep what
    the user has set. CPUs always use all digits.
    """
    if jax.default_backend() == "cpu" or not getattr(optimizer, "wants_float64", False):
        return contextlib.nullcontext()
    return jax.default_matmul_precision("highest")
