"""QR and A^H A of tall matrices whose rows lie on several devices.

The devices are those of the mesh that `jax.set_mesh` has set, along its axis "rows". Where no such
mesh is set there is one device, and everything here is plain linear algebra.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Inexact

ROWS = "rows"  # the axis of a mesh over whose devices the rows of a matrix lie
LYING, WHOLE = PartitionSpec(ROWS), PartitionSpec()
LEAF = 512  # columns; products of fewer gain less by symmetry than they lose by being small


def triangle(matrix: Inexact[Array, "n p"]) -> Inexact[Array, "m p"]:
    """R of A = Q R, with m = min(n, p).

    On several devices by TSQR (Demmel, Grigori, Hoemmen, Langou, SIAM J. Sci. Comput. 2012): each
    takes R of its own rows, neighbors exchange these, and R of those stacked is R of the rows of
    both, up to the signs of its rows. A^T A is never formed, so that the condition number is not
    squared. With 2^k devices each receives k m p numbers, whatever the number of rows.
    """
    if devices() == 1:
        return jnp.linalg.qr(matrix, mode="r")

    def local(rows: Array) -> Array:
        upper = jnp.linalg.qr(rows, mode="r")
        for groups in _rounds(_size()):
            every = jax.lax.all_gather(upper, ROWS, axis_index_groups=groups, tiled=True)
            upper = jnp.linalg.qr(every, mode="r")
        return upper

    return jax.shard_map(local, in_specs=LYING, out_specs=WHOLE, check_vma=False)(_filled(matrix))


def thin_qr(
    matrix: Inexact[Array, "n p"],
) -> tuple[Inexact[Array, "n m"], Inexact[Array, "m p"]]:
    """Q and R of A = Q R, the rows of Q on the devices of those of A; see `triangle`."""
    if devices() == 1:
        basis, upper = jnp.linalg.qr(matrix)
        return basis, upper

    def local(rows: Array) -> tuple[Array, Array]:
        mine, upper = jnp.linalg.qr(rows)
        joining = jnp.eye(upper.shape[0], dtype=rows.dtype)
        for groups in _rounds(_size()):
            every = jax.lax.all_gather(upper, ROWS, axis_index_groups=groups)
            both, upper = jnp.linalg.qr(every.reshape(-1, rows.shape[1]))
            part = both.reshape(*every.shape[:2], -1)[_place(groups)]
            joining = jnp.matmul(joining, part, precision=jax.lax.Precision.HIGHEST)
        return jnp.matmul(mine, joining, precision=jax.lax.Precision.HIGHEST), upper

    mapped = jax.shard_map(local, in_specs=LYING, out_specs=(LYING, WHOLE), check_vma=False)
    basis, upper = mapped(_filled(matrix))
    return spread(basis[: matrix.shape[0]]), upper


def gram_matrix(matrix: Inexact[Array, "n p"]) -> Inexact[Array, "p p"]:
    """A^H A.

    On one device only the blocks on and above the diagonal are multiplied, halves of halves of the
    columns: of many columns that is a little more than half of the operations of a product.
    """
    if devices() > 1:
        return _product(spread(matrix), spread(matrix))
    columns = matrix.shape[1]
    if columns <= LEAF:
        return _product(matrix, matrix)
    left, right = matrix[:, : columns // 2], matrix[:, columns // 2 :]
    corner = _product(left, right)
    return jnp.block([[gram_matrix(left), corner], [corner.conj().T, gram_matrix(right)]])


def _product(left: Array, right: Array) -> Array:
    return jnp.matmul(left.conj().T, right, precision=jax.lax.Precision.HIGHEST)


def spread(matrix: Inexact[Array, "n p"]) -> Inexact[Array, "n p"]:
    """The same matrix with its rows on the devices, so that A^T A is one sum over them.

    Without it the compiler would send all of a matrix whose columns are spread to every device.
    """
    return matrix if devices() == 1 else jax.lax.with_sharding_constraint(matrix, LYING)


def devices() -> int:
    """How many devices the rows lie on; within the part of one of them this is one."""
    return 1 if ROWS in jax.sharding.get_abstract_mesh().manual_axes else _size()


def _size() -> int:
    return dict(jax.sharding.get_abstract_mesh().shape).get(ROWS, 1)


def _rounds(count: int) -> list[list[list[int]]]:
    """Groups of devices that exchange in each round: pairs where their number is a power of two.

    In the round of a prime factor f of the number a group are f devices whose numbers differ in one
    digit, so that after all rounds everybody has heard of everybody, and once.
    """
    rounds, stride = [], 1
    for factor in _factors(count):
        starts = [d for d in range(count) if d // stride % factor == 0]
        rounds.append([[start + stride * i for i in range(factor)] for start in starts])
        stride *= factor
    return rounds


def _factors(count: int) -> list[int]:
    least = next((f for f in range(2, count + 1) if count % f == 0), None)
    return [] if least is None else [least, *_factors(count // least)]


def _place(groups: list[list[int]]) -> Array:
    """The place of this device in its group."""
    places = np.zeros(sum(map(len, groups)), np.int32)
    for group in groups:
        places[group] = range(len(group))
    return jnp.asarray(places)[jax.lax.axis_index(ROWS)]


def _filled(matrix: Array) -> Array:
    """Rows of zeros fill up to a multiple of the number of devices."""
    missing = -matrix.shape[0] % devices()
    return jnp.pad(matrix, ((0, missing), (0, 0))) if missing else matrix
