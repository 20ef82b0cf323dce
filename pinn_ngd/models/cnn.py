"""A small convolution network for pictures."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class CNN(eqx.Module):
    """Picture (c, h, w) -> logits: one strided convolution, one hidden dense layer, tanh.

    The sizes are this package's own choice, small enough for a laptop; with the defaults and 28 x
    28 pixels it has 74,650 parameters. Tanh, because Gauss-Newton likes smooth networks.
    """

    convolution: eqx.nn.Conv2d
    hidden: eqx.nn.Linear
    out: eqx.nn.Linear

    def __init__(
        self,
        shape: Sequence[int],
        classes: int,
        *,
        channels: int = 8,
        kernel: int = 5,
        stride: int = 2,
        width: int = 64,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        """Arguments: `shape` (c, h, w) of a picture, the number of `classes`, and sizes.

        Raises ValueError where the picture is smaller than the kernel.
        """
        if len(shape) != 3 or min(shape[1:]) < kernel:
            msg = (
                f"`shape` is {tuple(shape)}; give (channels, height, width), both at least"
                f" `kernel` = {kernel} pixels."
            )
            raise ValueError(msg)
        first, second, third = jax.random.split(key, 3)
        c, height, width_in = shape
        pixels = ((height - kernel) // stride + 1) * ((width_in - kernel) // stride + 1)
        self.convolution = eqx.nn.Conv2d(c, channels, kernel, stride, key=first, dtype=dtype)
        self.hidden = eqx.nn.Linear(channels * pixels, width, key=second, dtype=dtype)
        self.out = eqx.nn.Linear(width, classes, key=third, dtype=dtype)

    def __call__(self, x: Float[Array, "c h w"]) -> Float[Array, " classes"]:
        x = jnp.tanh(self.convolution(x)).reshape(-1)
        return self.out(jnp.tanh(self.hidden(x)))
