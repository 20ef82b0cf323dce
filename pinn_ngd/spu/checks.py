"""What a device needs of its operator and of its step, checked while it runs."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Bool, Inexact, PyTree

from ..linalg._ravel import dtype_of
from ..linalg.operators import is_real
from .arrays import ResistorArrays
from .failures import fail_if
from .spectra import Measure, flat_product, is_symmetric_product

HOPELESS = 1e6  # the condition number above which the device is told to be out of its depth
PROGRESS = 1e-3  # of the slowest mode, below which it is not on the way either


class UnsettledWarning(UserWarning):
    """The device was read long before its result could be the solution."""


def check_tagged(operator: lx.AbstractLinearOperator) -> None:
    """ValueError for an operator that is complex or not declared to be positive semidefinite."""
    if not is_real(operator):
        msg = (
            "`operator` is complex, but voltages are real: solve the real system of twice the size"
            " [[Re A, -Im A], [Im A, Re A]], or take a digital solver."
        )
        raise ValueError(msg)
    if operator.in_size() == 0:
        msg = "`operator` has no unknowns, so that nothing settles: ask linalg.solve instead."
        raise ValueError(msg)
    if lx.is_positive_semidefinite(operator):
        return
    msg = (
        "`operator` is not known to be positive semidefinite, and voltages would grow without"
        " bound along a negative eigenvalue: build it with the tag"
        " lineax.positive_semidefinite_tag, or solve least squares with lineax.Normal(SPU(...))."
    )
    raise ValueError(msg)


def is_unsymmetric(operator: lx.AbstractLinearOperator) -> Bool[Array, ""]:
    """Whether an operator shows to be unsymmetric, by half of the digits."""
    asymmetry = _asymmetry(operator)
    return asymmetry > float(jnp.finfo(asymmetry.dtype).eps) ** 0.5


def symmetry(operator: lx.AbstractLinearOperator) -> Inexact[Array, ""]:
    """One, or an error where an operator shows to be unsymmetric.

    Multiply a result by it: what does not reach a result is removed under jit, check and all.
    """
    asymmetry = _asymmetry(operator)

    def unsymmetric(asymmetry: Any) -> str:
        return (
            f"`operator` is unsymmetric (by {asymmetry:.1e} of its size) in spite of its tag: solve"
            " the normal equations with lineax.Normal(SPU(...))."
        )

    return fail_if(is_unsymmetric(operator), jnp.ones_like(asymmetry), unsymmetric, asymmetry)


def check_start(start: PyTree[Array], structure: PyTree) -> None:
    """ValueError unless the start has the tree and the shapes of what the device solves for."""
    shapes = [
        (jax.tree.structure(x), [leaf.shape for leaf in jax.tree.leaves(x)])
        for x in (start, structure)
    ]
    if shapes[0] != shapes[1]:
        msg = (
            f"`options` hold a 'y0' of shapes {shapes[0][1]}, but the unknown of the device has"
            f" {shapes[1][1]}: pass a PyTree like the solution; lineax.Normal of a wide operator"
            " solves for the dual unknown, linalg.solve for the parameters."
        )
        raise ValueError(msg)


def warn_if_hopeless(
    values: Inexact[Array, " k"],
    damping: Inexact[Array, ""],
    time: Inexact[Array, ""],
    failed: Bool[Array, ""],
) -> None:
    """UnsettledWarning where the condition number is out of reach of that time; also under jit.

    `values` are the eigenvalues of A^T A + damping, or of a plain operator with damping 0. Modes
    whose eigenvalue without the damping is below rounding do not count: a gradient A^T y has no
    part in them. So single precision, where rounding begins at a condition number of a million, is
    never warned about; nor is time 0, which asks for b itself. The text has no changing number, so
    that Python's default filter shows it once. Where the device has `failed` nothing is said.
    """
    largest = jnp.max(values)
    level = 10 * values.size * float(jnp.finfo(values.dtype).eps) * largest
    smallest = jnp.min(jnp.where(values - damping > level, values, jnp.inf))
    hopeless = (largest > HOPELESS * smallest) & (time * smallest < PROGRESS) & (time > 0) & ~failed

    def warn(hopeless: Any, time: Any) -> None:
        if np.any(hopeless):
            msg = (
                f"the device was read at time {float(np.max(time)):g}, at which its slowest modes"
                f" have not come a thousandth of their way (condition number over {HOPELESS:g}):"
                " the result is not the solution of the system. Add damping, wait longer, or take a"
                " digital solver; `stats` hold 'settled' and 'condition'."
            )
            warnings.warn(msg, UnsettledWarning, stacklevel=2)

    hopeless, time = jax.lax.stop_gradient((hopeless, time))
    jax.lax.cond(hopeless, lambda: jax.debug.callback(warn, hopeless, time), lambda: None)


def check_settled(measure: Measure, time: Any, sound: Array) -> Array:
    """`sound`, or an error where the slowest mode has not settled to half of the digits."""
    values = measure[0]
    smallest = jnp.maximum(jnp.min(values), 0)
    left = jnp.exp(-jnp.asarray(time, values.dtype) * smallest)

    def unsettled(left: Any) -> str:
        return (
            "The derivative in `operator` is that of A^-1 b, but the slowest mode is still"
            f" {left:.1e} of its way from there: pass a longer `time`, or differentiate a digital"
            " solver."
        )

    return fail_if(left > float(jnp.finfo(values.dtype).eps) ** 0.5, sound, unsettled, left)


def check_regular(values: Inexact[Array, " n"], sound: Array) -> Array:
    """`sound`, or an error where the smallest of all eigenvalues is lost in rounding."""
    smallest, largest = jnp.min(values), jnp.max(values)

    def singular(smallest: Any, largest: Any) -> str:
        return (
            f"`operator` is singular: its eigenvalues are between {smallest:.3g} and"
            f" {largest:.3g}, and its log determinant is minus infinity. Add damping."
        )

    tolerance = 10 * values.size * float(jnp.finfo(values.dtype).eps)
    return fail_if(smallest <= tolerance * largest, sound, singular, smallest, largest)


def check_covariance(noise: Inexact[Array, "n n"], sound: Array) -> Array:
    """`sound`, or an error unless the noise is symmetric positive semidefinite."""
    scale = jnp.max(jnp.abs(noise))
    tolerance = 10 * noise.shape[0] * float(jnp.finfo(noise.dtype).eps)
    asymmetry = jnp.max(jnp.abs(noise - noise.T))
    smallest = jnp.linalg.eigvalsh((noise + noise.T) / 2)[0]

    def wrong(asymmetry: Any, smallest: Any) -> str:
        return (
            f"`noise` is no covariance: it differs from its transpose by {asymmetry:.1e} and its"
            f" smallest eigenvalue is {smallest:.3g}; pass a symmetric positive semidefinite"
            " matrix."
        )

    bad = (asymmetry > tolerance * scale) | (smallest < -tolerance * noise.shape[0] * scale)
    return fail_if(bad, sound, wrong, asymmetry, smallest)


def _asymmetry(operator: lx.AbstractLinearOperator) -> Inexact[Array, ""]:
    """|u.A v - v.A u| / sqrt(|A u| |A v| |u| |v|) for two random vectors, or zero."""
    dtype = dtype_of(operator.in_structure())
    if isinstance(operator, ResistorArrays):
        return operator.asymmetry()
    if is_symmetric_product(operator):
        return jnp.zeros((), dtype)
    u, v = jax.random.normal(jax.random.key(1), (2, operator.in_size()), dtype)
    product, norm = flat_product(operator), jnp.linalg.norm
    au, av = product(u), product(v)
    size = jnp.sqrt(norm(au) * norm(av) * norm(u) * norm(v))
    return jnp.abs(u @ av - v @ au) / jnp.where(size > 0, size, 1)
