"""What a device is programmed with: the factors of its operator, where it has factors."""

from typing import NamedTuple

import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact

from ..linalg._ravel import real_dtype_of
from ..linalg.damped import Damped, Gram, gram
from ..linalg.operators import Transposed


class Factors(NamedTuple):
    """B^T F + damping I; F and B are one object where they are known to be one operator."""

    forth: lx.AbstractLinearOperator
    back: lx.AbstractLinearOperator
    damping: Inexact[Array, ""]


def factors_of(operator: lx.AbstractLinearOperator) -> Factors | None:
    """The factors of a Gram operator or of any composition; None for an operator without factors.

    The classes of the factors do not matter, nor whether they are known to be each other's
    transposes. A damping that is stacked below A, as in `linalg.damped_primal`, is taken out: it
    is no part of an array.
    """
    operator, known = _untagged(operator), as_gram(operator)
    if known is not None:
        return Factors(known.operator, known.operator, known.damping)
    if not isinstance(operator, lx.ComposedLinearOperator):
        return None
    forth, back = operator.operator2, operator.operator1.transpose()
    if isinstance(forth, Damped) and isinstance(back, Damped):
        damping = jnp.sqrt(forth.damping) * jnp.sqrt(back.damping)
        return Factors(forth.operator, back.operator, damping)
    return Factors(forth, back, jnp.zeros((), real_dtype_of(operator.in_structure())))


def as_gram(operator: lx.AbstractLinearOperator) -> Gram | None:
    """A^T A + damping I where the operator is known to have this form, as in `lineax.Normal`."""
    operator = _untagged(operator)
    if isinstance(operator, Gram):
        return operator
    if not isinstance(operator, lx.ComposedLinearOperator):
        return None
    # Two factors are known to be each other's transpose only if one holds the very other.
    left, right = operator.operator1, operator.operator2
    if isinstance(right, Transposed) and right.operator is left:  # A A^T
        return gram(right)
    if not (isinstance(left, Transposed) and left.operator is right):
        return None
    return gram(right.operator, right.damping) if isinstance(right, Damped) else gram(right)


def _untagged(operator: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
    while isinstance(operator, lx.TaggedLinearOperator):
        operator = operator.operator
    return operator
