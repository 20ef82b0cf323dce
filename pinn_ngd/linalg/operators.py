"""Linear operators between PyTrees: Jacobian rows, products, transposes, conjugates and stacks.

All are ordinary Lineax operators, usable with plain `lineax.linear_solve`.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Inexact, PyTree

from ._ravel import (
    HashableStructure,
    check_one_field,
    dtype_of,
    hashable,
    is_complex,
    ravel,
    size,
    structure_of,
    unravel,
)

_Operator = TypeVar("_Operator", bound=lx.AbstractLinearOperator)
HIGHEST = jax.lax.Precision.HIGHEST
_SEMIDEFINITE = (lx.positive_semidefinite_tag, lx.negative_semidefinite_tag)

# Predicates of Lineax with the tags that make them true. `is_symmetric` is not that simple: a
# complex semidefinite operator is Hermitian, not symmetric.
_PREDICATES = {
    lx.is_diagonal: (lx.diagonal_tag,),
    lx.is_tridiagonal: (lx.tridiagonal_tag, lx.diagonal_tag),
    lx.has_unit_diagonal: (lx.unit_diagonal_tag,),
    lx.is_lower_triangular: (lx.lower_triangular_tag, lx.diagonal_tag),
    lx.is_upper_triangular: (lx.upper_triangular_tag, lx.diagonal_tag),
    lx.is_positive_semidefinite: (lx.positive_semidefinite_tag,),
    lx.is_negative_semidefinite: (lx.negative_semidefinite_tag,),
}


def matvec(matrix: Inexact[Array, "n p"], vector: Inexact[Array, " p"]) -> Inexact[Array, " n"]:
    """Matrix times vector in full precision: some accelerators default to 10-bit mantissas."""
    return jnp.matmul(matrix, vector, precision=HIGHEST)


def adjoint_matvec(
    matrix: Inexact[Array, "n p"], vector: Inexact[Array, " n"]
) -> Inexact[Array, " p"]:
    """A^H y as (y^H A)^H."""
    return vecmat(vector.conj(), matrix).conj()


def vecmat(vector: Inexact[Array, " n"], matrix: Inexact[Array, "n p"]) -> Inexact[Array, " p"]:
    """y^T A in full precision. XLA's CPU code for `matvec` of the transposed array takes several
    times as long."""
    return jnp.matmul(vector, matrix, precision=HIGHEST)


def register_operator(
    cls: type[_Operator],
    *,
    linearise: Callable[[Any], lx.AbstractLinearOperator] | None = None,
    materialise: Callable[[Any], lx.AbstractLinearOperator] | None = None,
    conj: Callable[[Any], lx.AbstractLinearOperator] | None = None,
) -> type[_Operator]:
    """Register an operator class with all of Lineax's dispatch functions.

    The class then needs only its five methods. A field or attribute `tags` (a frozenset of Lineax
    tags) answers the predicates; without one they are all false. By default `linearise` returns
    the operator itself, `materialise` its dense `JacobianRows`, and `conj` a `Conjugated` operator,
    or the operator itself where it is real. Usable as a decorator.
    """

    def tagged(*wanted: object) -> Callable[[Any], bool]:
        return lambda operator: any(tag in getattr(operator, "tags", ()) for tag in wanted)

    for predicate, tags in _PREDICATES.items():
        predicate.register(cls)(tagged(*tags))
    symmetric = tagged(lx.symmetric_tag, lx.diagonal_tag)
    semidefinite = tagged(*_SEMIDEFINITE)
    lx.is_symmetric.register(cls)(lambda op: symmetric(op) or (semidefinite(op) and is_real(op)))
    lx.linearise.register(cls)(linearise or (lambda operator: operator))
    lx.materialise.register(cls)(materialise or _dense)
    lx.diagonal.register(cls)(lambda operator: jnp.diagonal(operator.as_matrix()))
    lx.tridiagonal.register(cls)(_tridiagonal)
    conj = conj or Conjugated
    lx.conj.register(cls)(lambda op: op if is_real(op) else conj(op))
    return cls


def is_real(operator: lx.AbstractLinearOperator) -> bool:
    """Whether an operator maps real vectors to real vectors."""
    return not (is_complex(operator.in_structure()) or is_complex(operator.out_structure()))


def conjugate(operator: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
    """The complex conjugate of an operator; a real operator itself, not a copy of it."""
    return operator if is_real(operator) else lx.conj(operator)


def adjoint(operator: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
    """A^H, the transpose of a real operator."""
    return conjugate(operator).transpose()


def _dense(operator: lx.AbstractLinearOperator) -> "JacobianRows":
    tags = getattr(operator, "tags", frozenset())
    structures = operator.in_structure(), operator.out_structure()
    return JacobianRows(operator.as_matrix(), *structures, tags=tags)


def _tridiagonal(operator: lx.AbstractLinearOperator) -> tuple[Array, Array, Array]:
    matrix = operator.as_matrix()
    return jnp.diagonal(matrix), jnp.diagonal(matrix, -1), jnp.diagonal(matrix, 1)


class AbstractTransposable(lx.AbstractLinearOperator):
    """An operator that knows the products of its transpose, `transpose_mv`."""

    @abc.abstractmethod
    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """The transpose applied to a vector of the operator's output structure."""

    def transpose(self) -> "Transposed":
        return Transposed(self)


class Transposed(lx.AbstractLinearOperator):
    """The transpose of an operator that offers `transpose_mv`."""

    operator: AbstractTransposable

    @property
    def tags(self) -> frozenset[object]:
        return lx.transpose_tags(getattr(self.operator, "tags", frozenset()))

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        return self.operator.transpose_mv(vector)

    def as_matrix(self) -> Inexact[Array, "n p"]:
        return self.operator.as_matrix().T

    def transpose(self) -> lx.AbstractLinearOperator:
        return self.operator

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operator.out_structure()

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operator.in_structure()


register_operator(
    Transposed,
    linearise=lambda op: lx.linearise(op.operator).transpose(),
    materialise=lambda op: lx.materialise(op.operator).transpose(),
    conj=lambda op: lx.conj(op.operator).transpose(),
)


class JacobianRows(AbstractTransposable):
    """A dense matrix between PyTrees, such as the Jacobian (n, p) of n residuals.

    `in_structure` and `out_structure` are PyTrees of arrays or of `jax.ShapeDtypeStruct`s (as
    from `jax.eval_shape`); Equinox modules with None leaves are allowed. Columns and rows follow
    the order of `jax.flatten_util.ravel_pytree`. Raises ValueError where the shapes disagree.
    """

    matrix: Inexact[Array, "n p"]
    frozen_in: HashableStructure = eqx.field(static=True)
    frozen_out: HashableStructure = eqx.field(static=True)
    tags: frozenset[object] = eqx.field(static=True)

    def __init__(
        self,
        matrix: Inexact[Array, "n p"],
        in_structure: PyTree,
        out_structure: PyTree,
        *,
        tags: frozenset[object] = frozenset(),
    ):
        expected = (size(out_structure), size(in_structure))
        if matrix.shape != expected:
            msg = (
                f"`matrix` has shape {matrix.shape}, but the structures have (rows, parameters) ="
                f" {expected}: pass the structures of the residuals and of the parameters."
            )
            raise ValueError(msg)
        if jnp.iscomplexobj(matrix):
            check_one_field(in_structure, out_structure)
        self.matrix = matrix
        self.frozen_in, self.frozen_out = hashable(in_structure), hashable(out_structure)
        self.tags = tags

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        product = matvec(self.matrix, ravel(vector, self.matrix.dtype))
        return unravel(product, self.out_structure())

    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """A^T w, with A read as it lies in memory."""
        product = vecmat(ravel(vector, self.matrix.dtype), self.matrix)
        return unravel(product, self.in_structure())

    def as_matrix(self) -> Inexact[Array, "n p"]:
        return self.matrix

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return structure_of(self.frozen_in)

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return structure_of(self.frozen_out)


register_operator(
    JacobianRows,
    conj=lambda op: eqx.tree_at(lambda rows: rows.matrix, op, op.matrix.conj()),
)


class Conjugated(AbstractTransposable):
    """The complex conjugate v -> conj(A conj(v)) of an operator."""

    operator: lx.AbstractLinearOperator

    @property
    def tags(self) -> frozenset[object]:
        return getattr(self.operator, "tags", frozenset())

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        return _conj(self.operator.mv(_conj(vector)))

    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """conj(A)^T w."""
        return _conj(self.operator.transpose().mv(_conj(vector)))

    def as_matrix(self) -> Inexact[Array, "n p"]:
        return self.operator.as_matrix().conj()

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operator.in_structure()

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operator.out_structure()


register_operator(
    Conjugated,
    linearise=lambda op: lx.conj(lx.linearise(op.operator)),
    materialise=lambda op: lx.conj(lx.materialise(op.operator)),
    conj=lambda op: op.operator,
)


def _conj(tree: PyTree[Array]) -> PyTree[Array]:
    return jax.tree.map(jnp.conj, tree)


class ProductOperator(AbstractTransposable):
    """An operator known by its products v -> A v and w -> A^T w, which may capture arrays.

    `as_matrix` takes one product for every column.
    """

    forward: Callable[[PyTree], PyTree]
    backward: Callable[[PyTree], PyTree]
    frozen_in: HashableStructure = eqx.field(static=True)
    frozen_out: HashableStructure = eqx.field(static=True)

    def __init__(
        self,
        forward: Callable[[PyTree], PyTree],
        backward: Callable[[PyTree], PyTree],
        in_structure: PyTree,
    ):
        out = jax.eval_shape(forward, in_structure)
        self.forward = eqx.filter_closure_convert(forward, in_structure)
        self.backward = eqx.filter_closure_convert(backward, out)
        self.frozen_in, self.frozen_out = hashable(in_structure), hashable(out)

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        return self.forward(vector)

    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """A^T w."""
        return self.backward(vector)

    def as_matrix(self) -> Inexact[Array, "n p"]:
        structure = self.in_structure()
        basis = jnp.eye(size(structure), dtype=dtype_of(structure))

        def column(e: Array) -> Array:
            return ravel(self.forward(unravel(e, structure)), e.dtype)

        return jax.vmap(column, out_axes=1)(basis)

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return structure_of(self.frozen_in)

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return structure_of(self.frozen_out)


register_operator(ProductOperator)


class StackedOperator(AbstractTransposable):
    """Operators with the same input, stacked: the output is the tuple of their outputs."""

    operators: tuple[lx.AbstractLinearOperator, ...]

    def __init__(self, operators: Sequence[lx.AbstractLinearOperator]):
        self.operators = tuple(operators)
        domains = {hashable(operator.in_structure()) for operator in self.operators}
        if len(domains) != 1:
            msg = (
                f"`operators` have {len(domains)} different input structures; a StackedOperator"
                " needs at least one operator and the same structure for all."
            )
            raise ValueError(msg)

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        return tuple(operator.mv(vector) for operator in self.operators)

    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """sum_i A_i^T y_i."""
        products = [op.transpose().mv(y) for op, y in zip(self.operators, vector, strict=True)]
        return jax.tree.map(lambda *leaves: sum(leaves[1:], start=leaves[0]), *products)

    def as_matrix(self) -> Inexact[Array, "n p"]:
        return jnp.concatenate([operator.as_matrix() for operator in self.operators])

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.operators[0].in_structure()

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return tuple(operator.out_structure() for operator in self.operators)


register_operator(
    StackedOperator,
    linearise=lambda op: StackedOperator([lx.linearise(part) for part in op.operators]),
    conj=lambda op: StackedOperator([conjugate(part) for part in op.operators]),
)
