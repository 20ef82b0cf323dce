"""A Cholesky factor that is spread over several GPUs, by the package JAXMg."""

import importlib
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Inexact, PyTree

from .._settings import Count, check_fields
from ._ravel import HashableStructure, all_finite, hashable, ravel, structure_of, unravel

_AXIS = "rows"


class JAXMgState(eqx.Module):
    """The matrix, and the structure of the vectors that it maps."""

    matrix: Inexact[Array, "n n"]
    frozen: HashableStructure = eqx.field(static=True)


class JAXMg(lx.AbstractLinearSolver[JAXMgState]):
    """Solves A x = b, A dense and positive definite, by a Cholesky factor over several GPUs.

    The factor and the solution are those of NVIDIA's cuSOLVERMp, through `jaxmg.potrs` (JAXMg 1.1.1
    and later, Apache 2.0; arXiv:2601.14466). `mesh` is a mesh of one axis, by default all devices
    of all processes, of which JAXMg wants one for each GPU. Each GPU holds n/D rows of A. `tile` is
    the width of the blocks that cuSOLVERMp deals out to them, at most n/D. A is filled up by rows
    of the identity where D does not divide n. In `lineax.Normal` it solves least squares. The
    result is `singular` where JAXMg reports a failure. Raises ImportError, in one sentence, where
    the package is missing, and ValueError for devices that are no GPUs and for an operator that is
    not square or not tagged positive semidefinite. Its calls are tested with a stand-in for JAXMg;
    it was never run on GPUs.
    """

    mesh: Mesh | None = eqx.field(static=True, default=None)
    tile: Count = eqx.field(static=True, default=256)
    semidefinite: ClassVar[bool] = True
    matrix_free: ClassVar[bool] = False

    def __check_init__(self):
        check_fields(self)
        if self.mesh is not None and len(self.mesh.axis_names) != 1:
            axes = ", ".join(map(str, self.mesh.axis_names))
            raise ValueError(f"`mesh` has the axes {axes}; it must have one, for the rows.")

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> JAXMgState:
        del options
        if not lx.is_positive_semidefinite(operator):
            raise ValueError("`JAXMg` solves with operators that are tagged positive semidefinite.")
        _module()
        _check_devices(self._devices())
        return JAXMgState(operator.as_matrix(), hashable(operator.in_structure()))

    def compute(
        self, state: JAXMgState, vector: PyTree[Array], options: dict[str, Any]
    ) -> tuple[PyTree[Array], lx.RESULTS, dict[str, Any]]:
        del options
        n, mesh = len(state.matrix), self._devices()
        rows = PartitionSpec(*mesh.axis_names)
        matrix, target = filled(state.matrix, ravel(vector, state.matrix.dtype), mesh.size)
        matrix = jax.lax.with_sharding_constraint(matrix, NamedSharding(mesh, rows))
        x, status = _module().potrs(
            matrix,
            target,
            min(self.tile, len(matrix) // mesh.size),
            mesh=mesh,
            matrix_specs=rows,
            return_status=True,
            donate=False,  # the same matrix may have other right-hand sides
        )
        value = unravel(x[:n], structure_of(state.frozen))
        succeeded = jnp.all(status == 0) & all_finite(value)
        result = lx.RESULTS.where(succeeded, lx.RESULTS.successful, lx.RESULTS.singular)
        return value, result, {}

    def transpose(
        self, state: JAXMgState, options: dict[str, Any]
    ) -> tuple[JAXMgState, dict[str, Any]]:
        return JAXMgState(state.matrix.T, state.frozen), options

    def conj(self, state: JAXMgState, options: dict[str, Any]) -> tuple[JAXMgState, dict[str, Any]]:
        return JAXMgState(state.matrix.conj(), state.frozen), options

    def assume_full_rank(self) -> bool:
        return True

    def _devices(self) -> Mesh:
        if self.mesh is not None:
            return self.mesh
        return Mesh(np.asarray(jax.devices()), (_AXIS,), axis_types=(AxisType.Auto,))


def filled(
    matrix: Inexact[Array, "n n"], vector: Inexact[Array, " n"], parts: int
) -> tuple[Inexact[Array, "m m"], Inexact[Array, " m"]]:
    """[[A, 0], [0, I]] and (b, 0), whose size is a multiple of the number of parts."""
    n, missing = len(matrix), -len(matrix) % parts
    if not missing:
        return matrix, vector
    matrix = jnp.pad(matrix, ((0, missing), (0, missing)))
    ones = jnp.arange(n, n + missing)
    return matrix.at[ones, ones].set(1), jnp.pad(vector, (0, missing))


def _module() -> Any:
    try:
        return importlib.import_module("jaxmg")
    except ImportError as error:
        msg = (
            "`JAXMg` needs the package jaxmg, which is not installed, and several GPUs: run"
            " `pip install 'pinn-ngd[jaxmg]'`, or take `Cholesky()` on one device."
        )
        raise ImportError(msg) from error


def _check_devices(mesh: Mesh) -> None:
    kinds = {device.platform for device in mesh.devices.ravel()}
    if kinds != {"gpu"}:
        found = ", ".join(sorted(kinds))
        raise ValueError(f"`JAXMg` runs on GPUs, and `mesh` has {found}: take `Cholesky()` there.")
