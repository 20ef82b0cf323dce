"""The Jacobian of a map whose inverse is known: solving with it is one Jacobian-vector product."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jax.core import Tracer
from jaxtyping import Array, Inexact, PyTree

from ._ravel import dtype_of, ravel, unravel
from .least_squares import LeastSquaresSystem, Solution
from .operators import AbstractTransposable, Transposed, matvec, register_operator
from .spectral import is_zero
from .system_solver import AbstractSystemSolver

_PSD = frozenset({lx.positive_semidefinite_tag})
_INVERTIBLE = _PSD | {
    lx.negative_semidefinite_tag, lx.symmetric_tag, lx.diagonal_tag, lx.lower_triangular_tag,
    lx.upper_triangular_tag,
}  # fmt: skip
_NO_INVERSE = (
    "InverseJacobian() solves with a `DualMap`, or a system with `SquareRoot(DualMap(...))`; this"
    " operator is a {}, of which no inverse is known: take another solver, such as Spectral()."
)
_DAMPED = (
    "`damping` is {}, and InverseJacobian() knows the inverse of the undamped matrix only: give the"
    " damping 0, or take another solver, such as Normal(Cholesky())."
)


class DualMap(AbstractTransposable):
    """d forward / d point, where `inverse` undoes `forward`.

    Both map PyTrees to PyTrees and may capture arrays. The inverse operator is the Jacobian of
    `inverse` at the image, so that `lineax.linear_solve` with `InverseJacobian()` takes one
    Jacobian-vector product. By default `tags` say that the Jacobian is symmetric and positive
    semidefinite, as is that of the gradient of a convex function, such as the map from natural to
    expectation coordinates of an exponential family; without tags it may be any bijection. The
    inverse has the same ones, so that tags of which this is not true are refused with a ValueError.
    `image` is forward(point), computed where it is not given.
    """

    forward: Callable[[PyTree], PyTree]
    backward: Callable[[PyTree], PyTree]
    point: PyTree[Array]
    image: PyTree[Array]
    tags: frozenset[object] = eqx.field(static=True)

    def __init__(
        self,
        forward: Callable[[PyTree], PyTree],
        inverse: Callable[[PyTree], PyTree],
        point: PyTree[Array],
        *,
        image: PyTree[Array] | None = None,
        tags: frozenset[object] = _PSD,
    ):
        others = frozenset(tags) - _INVERTIBLE
        if others:
            names = ", ".join(sorted(map(str, others)))
            msg = f"`tags` hold {names}, which the inverse does not share: leave it out."
            raise ValueError(msg)
        self.point, self.image = point, forward(point) if image is None else image
        self.forward = eqx.filter_closure_convert(forward, self.point)
        self.backward = eqx.filter_closure_convert(inverse, self.image)
        self.tags = frozenset(tags)

    def inverse(self) -> "DualMap":
        """The inverse operator: the Jacobian of the inverse map, at the image."""
        return eqx.tree_at(
            lambda d: (d.forward, d.backward, d.point, d.image),
            self,
            (self.backward, self.forward, self.image, self.point),
        )

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        return jax.jvp(self.forward, (self.point,), (vector,))[1]

    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """The transposed Jacobian times a vector, by one reverse sweep."""
        return jax.vjp(self.forward, self.point)[1](vector)[0]

    def transpose(self) -> Any:
        return self if lx.is_symmetric(self) else Transposed(self)

    def as_matrix(self) -> Inexact[Array, "n n"]:
        structure = self.in_structure()
        basis = jnp.eye(self.in_size(), dtype=dtype_of(structure))

        def column(e: Array) -> Array:
            return ravel(self.mv(unravel(e, structure)), e.dtype)

        return jax.vmap(column, out_axes=1)(basis)

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return jax.eval_shape(lambda: self.point)

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return jax.eval_shape(lambda: self.image)


register_operator(DualMap)


class SquareRoot(AbstractTransposable):
    """An operator A with A^T A = `gram`, a symmetric positive definite operator that is known.

    It poses a system whose Gram matrix is known and whose rows are not. Solvers that need no rows
    (`InverseJacobian`) never form it; for others A is the transposed Cholesky factor of the dense
    matrix.
    """

    gram: lx.AbstractLinearOperator

    def mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        structure = self.in_structure()
        return unravel(matvec(self.as_matrix(), ravel(vector, dtype_of(structure))), structure)

    def transpose_mv(self, vector: PyTree[Array]) -> PyTree[Array]:
        """A^T w."""
        structure = self.in_structure()
        return unravel(matvec(self.as_matrix().T, ravel(vector, dtype_of(structure))), structure)

    def as_matrix(self) -> Inexact[Array, "n n"]:
        matrix = self.gram.as_matrix()
        return jnp.linalg.cholesky(0.5 * (matrix + matrix.T)).T

    def in_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.gram.in_structure()

    def out_structure(self) -> PyTree[jax.ShapeDtypeStruct]:
        return self.gram.in_structure()


register_operator(SquareRoot)


class InverseJacobian(AbstractSystemSolver):
    """x = F^-1 g for a `DualMap` F, or for a system with the Gram matrix F: one product.

    As a solver of `lineax.linear_solve` it takes a `DualMap`, its transpose or its inverse; as one
    of `pinn_ngd.linalg.solve` a system with `SquareRoot(DualMap(...))` and no damping. Raises
    ValueError for another operator and for a damping; inside of a compiled function, where a
    damping is not known, the solution is then not a number and the result not successful.
    """

    matrix_free = True
    semidefinite = False

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> Any:
        del options
        return _inverse(operator)

    def compute(
        self, state: Any, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        del options
        return state.mv(vector), lx.RESULTS.successful, {}

    def transpose(self, state: Any, options: dict[str, Any]) -> Any:
        return state.transpose(), options

    def conj(self, state: Any, options: dict[str, Any]) -> Any:
        return lx.conj(state), options

    def assume_full_rank(self) -> bool:
        return True

    def check_system(self, system: LeastSquaresSystem) -> None:
        if not isinstance(system.operator, SquareRoot):
            raise ValueError(_NO_INVERSE.format(type(system.operator).__name__))
        _inverse(system.operator.gram)
        if not isinstance(system.damping, Tracer) and not is_zero(system.damping):
            raise ValueError(_DAMPED.format(system.damping))

    def solve_system(
        self, system: LeastSquaresSystem, options: dict[str, Any], state: PyTree = None
    ) -> Solution:
        self.check_system(system)
        gradient = system.gradient
        if gradient is None:
            gradient = system.operator.transpose().mv(system.target)
        damping = options.get("damping", system.damping)
        exact = damping == 0
        root: Any = system.operator  # `check_system` says so
        inverse = _inverse(root.gram) if state is None else state
        value = jax.tree.map(lambda x: jnp.where(exact, x, jnp.nan), inverse.mv(gradient))
        result = lx.RESULTS.where(exact, lx.RESULTS.successful, lx.RESULTS.breakdown)
        return Solution(value, result, {})


def _inverse(operator: lx.AbstractLinearOperator) -> lx.AbstractLinearOperator:
    """The inverse operator of a map, or of its transpose; ValueError for another operator."""
    if isinstance(operator, DualMap):
        return operator.inverse()
    if isinstance(operator, Transposed) and isinstance(operator.operator, DualMap):
        return operator.operator.inverse().transpose()
    raise ValueError(_NO_INVERSE.format(type(operator).__name__))
