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
BLOCKS, FEW = 4, 1024  # blocks of fewer columns lose by being small what symmetry gains


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


def gram_matrix(matrix: Inexact[Array, "n p"], *, of_rows: bool = False) -> Inexact[Array, "m m"]:
    """A^H A, or A A^H `of_rows`.

    On several devices the side that is summed over is spread, so that it is one sum over them. On
    one device `triangle_by_blocks` needs as little as five eighths of the operations of a product.
    """
    if devices() == 1:
        return triangle_by_blocks(matrix, 0 if of_rows else 1)
    tall = spread(matrix.conj().T if of_rows else matrix)
    return _product(tall, tall, 1)


def triangle_by_blocks(matrix: Inexact[Array, "n p"], axis: int) -> Inexact[Array, "m m"]:
    """A^H A (`axis` 1) or A A^H (`axis` 0) on one device.

    Of more than `FEW` columns (rows) only blocks on and below the diagonal are multiplied, one
    after the other: in a loop no more than two slices of A are copied at a time.
    """
    size = matrix.shape[axis]
    if size <= FEW:
        return _product(matrix, matrix, axis)
    width = -(-size // BLOCKS)
    starts = np.minimum(width * np.arange(BLOCKS), size - width)  # the last ones may overlap
    places = jnp.asarray([(starts[i], starts[j]) for i in range(BLOCKS) for j in range(i + 1)])

    def filled(lower: Array, place: Array) -> tuple[Array, None]:
        left, right = (jax.lax.dynamic_slice_in_dim(matrix, at, width, axis) for at in place)
        block = _product(left, right, axis)
        return jax.lax.dynamic_update_slice(lower, block, (place[0], place[1])), None

    lower, _ = jax.lax.scan(filled, jnp.zeros((size, size), matrix.dtype), places)
    return jnp.tril(lower) + jnp.tril(lower, -1).conj().T


def _product(left: Array, right: Array, axis: int) -> Array:
    left, right = (left.conj().T, right) if axis else (left, right.conj().T)
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


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
