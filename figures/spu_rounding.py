"""Beating the rounding of an analog device: an ensemble of devices, or digital refinement."""

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PRNGKeyArray

from figures.recipes import Job, Made, recorded
from pinn_ngd.experiments.plotting import Curves, plot_curves, save
from pinn_ngd.spu import SPU

TIME = 2000.0  # long past the slowest mode


def make(job: Job) -> Made:
    """Ensembles of rounded devices against digital refinement."""
    panels = []
    for bits in (8, 12):
        curves = rounding_errors(bits, 4 if job.quick else 32)
        panels.append(Curves(curves, "solves", "relative error", f"{bits} bits"))
    save(plot_curves(panels), job.folder / job.name)
    results = {panel.title: panel.curves for panel in panels}
    return recorded(job, [job.name], seeds=[0], results=results)


def rounding_errors(
    bits: int, solves: int, *, size: int = 100, condition: float = 30.0, seed: int = 0
) -> dict[str, tuple[list[float], list[float]]]:
    """Relative error of A x = b after 1, 2, ... solves on devices of so many bits.

    "ensemble": the mean of solutions of devices that were rounded differently, up or down at random
    with the right mean (after Aifer et al., arXiv:2401.16231); "refinement": one device, which
    solves for the residual that was computed in full precision. A has eigenvalues from 1/condition
    to 1 and random eigenvectors.
    """
    first, second, third = jax.random.split(jax.random.key(seed), 3)
    vectors, _ = jnp.linalg.qr(jax.random.normal(first, (size, size)))
    matrix = (vectors * jnp.geomspace(1 / condition, 1.0, size)) @ vectors.T
    matrix, exact = (matrix + matrix.T) / 2, jax.random.normal(second, (size,))
    right = matrix @ exact
    keys = jax.random.split(third, solves)
    counts = [float(count) for count in range(1, solves + 1)]

    def error(x: Array) -> Array:
        return jnp.linalg.norm(x - exact) / jnp.linalg.norm(exact)

    answers = jax.lax.map(lambda key: _on_device(rounded(matrix, bits, key), right), keys)
    means = jnp.cumsum(answers, axis=0) / jnp.arange(1.0, solves + 1.0)[:, None]
    device = rounded(matrix, bits, keys[0])

    def refine(x: Array, _: None) -> tuple[Array, Array]:
        better = x + _on_device(device, right - matrix @ x)
        return better, error(better)

    _, refined = jax.lax.scan(refine, jnp.zeros(size), None, length=solves)
    return {
        "ensemble": (counts, jax.vmap(error)(means).tolist()),
        "refinement": (counts, refined.tolist()),
    }


def rounded(matrix: Float[Array, "n n"], bits: int, key: PRNGKeyArray) -> Float[Array, "n n"]:
    """Each entry to a multiple of max|A| / (2^(bits-1) - 1), up or down at random, unbiased."""
    step = jnp.max(jnp.abs(matrix)) / (2 ** (bits - 1) - 1)
    dice = jnp.triu(jax.random.uniform(key, matrix.shape, matrix.dtype))
    dice = dice + jnp.triu(dice, 1).T  # A and its rounding are symmetric
    return step * jnp.floor(matrix / step + dice)


def _on_device(matrix: Float[Array, "n n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    operator = lx.MatrixLinearOperator(matrix, lx.positive_semidefinite_tag)
    device = SPU(time=TIME)
    return device.compute(device.init(operator, {}), right, {})[0]
