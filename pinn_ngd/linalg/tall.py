"""QR of tall matrices whose rows lie on several devices.

The devices are those of the mesh that `jax.set_mesh` has set, along its axis "rows". Where no such
mesh is set there is one device, and everything here is plain linear algebra.
"""

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Inexact

ROWS = "rows"  # the axis of a mesh over whose devices the rows of a matrix lie
LYING, WHOLE = PartitionSpec(ROWS), PartitionSpec()


def triangle(matrix: Inexact[Array, "n p"]) -> Inexact[Array, "m p"]:
    """R of A = Q R, with m = min(n, p).

    On several devices by TSQR (Demmel, Grigori, Hoemmen, Langou, SIAM J. Sci. Comput. 2012): each
    takes R of its own rows, all get all of these, and R of those stacked is R of A, up to the signs
    of its rows. A^T A is never formed, so that the condition number is not squared. Moves D m p
    numbers to each of D devices, whatever the number of rows.
    """
    if _devices() == 1:
        return jnp.linalg.qr(matrix, mode="r")

    def local(rows: Array) -> Array:
        every = jax.lax.all_gather(jnp.linalg.qr(rows, mode="r"), ROWS, tiled=True)
        return jnp.linalg.qr(every, mode="r")

    return jax.shard_map(local, in_specs=LYING, out_specs=WHOLE, check_vma=False)(_filled(matrix))


def thin_qr(
    matrix: Inexact[Array, "n p"],
) -> tuple[Inexact[Array, "n m"], Inexact[Array, "m p"]]:
    """Q and R of A = Q R, the rows of Q on the devices of those of A; see `triangle`."""
    if _devices() == 1:
        basis, upper = jnp.linalg.qr(matrix)
        return basis, upper

    def local(rows: Array) -> tuple[Array, Array]:
        mine, first = jnp.linalg.qr(rows)
        every = jax.lax.all_gather(first, ROWS)
        joining, upper = jnp.linalg.qr(every.reshape(-1, rows.shape[1]))
        part = joining.reshape(*every.shape[:2], -1)[jax.lax.axis_index(ROWS)]
        return jnp.matmul(mine, part, precision=jax.lax.Precision.HIGHEST), upper

    mapped = jax.shard_map(local, in_specs=LYING, out_specs=(LYING, WHOLE), check_vma=False)
    basis, upper = mapped(_filled(matrix))
    return spread(basis[: matrix.shape[0]]), upper


def spread(matrix: Inexact[Array, "n p"]) -> Inexact[Array, "n p"]:
    """The same matrix with its rows on the devices, so that A^T A is one sum over them.

    Without it the compiler would send all of a matrix whose columns are spread to every device.
    """
    return matrix if _devices() == 1 else jax.lax.with_sharding_constraint(matrix, LYING)


def _devices() -> int:
    mesh = jax.sharding.get_abstract_mesh()
    return 1 if ROWS in mesh.manual_axes else dict(mesh.shape).get(ROWS, 1)


def _filled(matrix: Array) -> Array:
    """Rows of zeros fill up to a multiple of the number of devices."""
    missing = -matrix.shape[0] % _devices()
    return jnp.pad(matrix, ((0, missing), (0, 0))) if missing else matrix
