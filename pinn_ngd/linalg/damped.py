"""Damped stacks and Gram matrices of an operator."""

from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Inexact, PyTree, Real

from ._ravel import real_dtype_of
from .operators import (
    AbstractTransposable,
    Transposed,
    adjoint,
    conjugate,
    register_operator,
)
from .tall import gram_matrix

_PSD = frozenset({lx.positive_semidefinite_tag})


class Damped(AbstractTransposable):
    """The tall operator x -> (A x, sqrt(damping) x)."""

    operator: lx.AbstractLinearOperator
    damping: Inexact[Array, ""]

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        return self.operator.mv(vector), self._scaled(vector)

    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """A^T y + sqrt(damping) x for the pair (y, x)."""
        y, x = vector
        return jax.tree.map(jnp.add, self.operator.transpose().mv(y), self._scaled(x))

    def as_matrix(self) -> Inexact[Array, "n p"]:
        matrix = self.operator.as_matrix()
        identity = jnp.eye(matrix.shape[1], dtype=matrix.dtype)
        return jnp.concatenate([matrix, self._scaled(identity)])

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operator.in_structure()

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operator.out_structure(), self.operator.in_structure()

    def _scaled(self, tree: PyTree[Array]) -> PyTree[Array]:
        root = jnp.sqrt(self.damping)
        return jax.tree.map(lambda x: root.astype(x.dtype) * x, tree)


# Materialising keeps the identity block implicit, so that the normal equations of the stack cost
# no more than those of A.
register_operator(
    Damped,
    linearise=lambda op: Damped(lx.linearise(op.operator), op.damping),
    materialise=lambda op: Damped(lx.materialise(op.operator), op.damping),
    conj=lambda op: Damped(conjugate(op.operator), op.damping),
)


class Gram(lx.AbstractLinearOperator):
    """A^H A + damping I, Hermitian and positive semidefinite."""

    operator: lx.AbstractLinearOperator
    damping: Inexact[Array, ""]

    # Lineax 0.1.1 loses the tag of a sum with a traced factor: this property states it.
    @property
    def tags(self) -> frozenset[object]:
        return _PSD

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        product = adjoint(self.operator).mv(self.operator.mv(vector))
        return jax.tree.map(lambda y, x: y + self.damping.astype(x.dtype) * x, product, vector)

    def as_matrix(self) -> Inexact[Array, "p p"]:
        own = getattr(adjoint(self.operator), "kernel_matrix", None)
        product = own() if own else gram_matrix(self.operator.as_matrix())
        shift = self.damping.astype(product.dtype)
        return product + shift * jnp.eye(len(product), dtype=product.dtype)

    def transpose(self) -> "Gram":
        conjugated = conjugate(self.operator)  # (A^H A)^T is that of the conjugate
        return self if conjugated is self.operator else Gram(conjugated, self.damping)

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operator.in_structure()

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operator.in_structure()


register_operator(
    Gram,
    linearise=lambda op: Gram(lx.linearise(op.operator), op.damping),
    conj=lambda op: op.transpose(),
)


def damped_primal(operator: lx.AbstractLinearOperator, damping: Real[ArrayLike, ""]) -> Damped:
    """The tall [A; sqrt(damping) I]: least squares with target (b, 0) is damped least squares."""
    return Damped(operator, _as_scalar(operator, damping))


def damped_dual(operator: lx.AbstractLinearOperator, damping: Real[ArrayLike, ""]) -> Transposed:
    """The wide [A, sqrt(damping) I]: x of its minimum-norm solution (x, y) is the damped one."""
    return Damped(operator.transpose(), _as_scalar(operator, damping)).transpose()


def gram(operator: lx.AbstractLinearOperator, damping: Real[ArrayLike, ""] = 0.0) -> Gram:
    """A^H A + damping I, tagged positive semidefinite."""
    return Gram(operator, _as_scalar(operator, damping))


def dual_gram(operator: lx.AbstractLinearOperator, damping: Real[ArrayLike, ""] = 0.0) -> Gram:
    """A A^H + damping I, tagged positive semidefinite."""
    return gram(adjoint(operator), damping)


def _as_scalar(operator: lx.AbstractLinearOperator, damping: Any) -> Inexact[Array, ""]:
    return jnp.asarray(damping, dtype=real_dtype_of(operator.in_structure()))
