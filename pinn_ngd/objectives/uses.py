"""Every use of a weight matrix in a traced function: what it multiplies, and the cotangent there.

A derivative of a network in x sends further vectors through the same weights: a Laplacian sends
values, d first and d second derivatives. Each product W a of the traced program is a *use* of W.
The gradient of a number r in W is sum_s g_s a_s^T over the uses, g_s the derivative of r in W a_s.
The program is read equation by equation, whatever mode of differentiation wrote it. Equal
equations are computed once. Uses with the same cotangent become one, whose vector is the sum: what
is left of nested derivatives of a Laplacian are d + 2 uses, those of the forward Laplacian.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from jaxtyping import Array, Inexact, PyTree

_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "remat2": "jaxpr"}


class Found(NamedTuple):
    """The uses of one matrix (o, i) by k numbers: `inputs` (k, s, i), `cotangents` (k, s, o)."""

    inputs: Inexact[Array, "k s i"]
    cotangents: Inexact[Array, "k s o"]


class _Watched(NamedTuple):
    """A matrix on its way to a product, perhaps transposed."""

    number: int
    value: Array
    turned: bool


class _Product(NamedTuple):
    """W a, or W^T a where `turned`: a (*free, i), and where the output's own axis lies."""

    number: int
    turned: bool
    first: bool
    vector: Array


class _Reader:
    """Computes a jaxpr anew, every equation once, and adds `deltas` to products of matrices."""

    def __init__(self, deltas: Sequence[Array] | None = None):
        self.deltas = None if deltas is None else list(deltas)
        self.known: dict[Any, Any] = {}
        self.products: list[_Product] = []
        self.shapes: list[Any] = []
        self.lost: set[int] = set()

    def __call__(self, jaxpr: Any, consts: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        where = dict(zip(jaxpr.constvars, consts, strict=True))
        where |= dict(zip(jaxpr.invars, values, strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else where[atom]

        for eqn in jaxpr.eqns:
            outs = self._outputs(eqn, [read(atom) for atom in eqn.invars])
            where |= dict(zip(eqn.outvars, outs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def plain(self, value: Any) -> Any:
        """The matrix itself, which then has a use that is no product."""
        if not isinstance(value, _Watched):
            return value
        self.lost.add(value.number)
        return value.value

    def _outputs(self, eqn: Any, values: list[Any]) -> Sequence[Any]:
        name = eqn.primitive.name
        if name in _CALLS:
            inner = eqn.params[_CALLS[name]]
            return self(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values)
        watched = [i for i, value in enumerate(values) if isinstance(value, _Watched)]
        if not watched:
            return self._computed(eqn, values)
        if name == "transpose":
            matrix = values[0]
            turned = (eqn.params["permutation"] == (1, 0)) != matrix.turned
            return [_Watched(matrix.number, _bound(eqn, [matrix.value])[0], turned)]
        if name == "dot_general" and len(watched) == 1:
            place = watched[0]
            (contracted, batch) = eqn.params["dimension_numbers"]
            if len(contracted[place]) == 1 and not batch[place]:
                return [self._product(eqn, values, place)]
        return self._computed(eqn, [self.plain(value) for value in values])

    def _product(self, eqn: Any, values: list[Any], place: int) -> Array:
        matrix, vector = values[place], values[1 - place]
        contracted, _ = eqn.params["dimension_numbers"]
        turned = (contracted[place][0] == 0) != matrix.turned
        axis = contracted[1 - place][0]
        key = "product", matrix.number, turned, place, axis, _name(vector)
        if key not in self.known:
            both = [matrix.value, vector] if place == 0 else [vector, matrix.value]
            out = _bound(eqn, both)[0]
            self.shapes.append(jax.ShapeDtypeStruct(out.shape, out.dtype))
            if self.deltas is not None:
                out = out + self.deltas.pop(0)
            moved = jnp.moveaxis(vector, axis, -1)
            self.products.append(_Product(matrix.number, turned, place == 0, moved))
            self.known[key] = out, vector  # the vector stays alive, so that its id is its own
        return self.known[key][0]

    def _computed(self, eqn: Any, values: list[Any]) -> Sequence[Any]:
        key = _key(eqn, values)
        if key is None:
            return _bound(eqn, values)
        if key not in self.known:
            self.known[key] = _bound(eqn, values), values
        return self.known[key][0]


def lost_matrices(
    fn: Callable[..., Array], matrices: Sequence[Array], rest: PyTree, site: PyTree
) -> set[int]:
    """Which of the matrices have uses that are no products, such as those inside of a scan."""
    reader = _Reader()
    _shapes_of(reader, fn, matrices, rest, site)
    return reader.lost


def uses_at(
    fn: Callable[..., Array], matrices: Sequence[Array], rest: PyTree, site: PyTree
) -> tuple[Array, list[Found], PyTree]:
    """The numbers r = fn(matrices, rest, site) of shape (k,), the uses of every matrix, dr/drest.

    No matrix may be among the `lost_matrices`.
    """
    reader = _Reader()
    closed = _shapes_of(reader, fn, matrices, rest, site)
    shapes, products = reader.shapes, reader.products

    def derived(matrices: list[Array], rest: PyTree, site: PyTree) -> Any:
        def numbers(deltas: list[Array], rest: PyTree) -> tuple[Array, list[Array]]:
            inner = _Reader(deltas)
            values = inner(closed.jaxpr, closed.consts, _arguments(matrices, rest, site))
            return values[0], [product.vector for product in inner.products]

        zeros = [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]
        r, pull, vectors = jax.vjp(numbers, zeros, rest, has_aux=True)
        if r.size == 1:  # without a batch of one, which would hide equal equations
            rows = jax.tree.map(lambda x: x[None], pull(jnp.ones_like(r)))
        else:
            rows = jax.vmap(pull)(jnp.eye(r.size, dtype=r.dtype))
        return r, vectors, *rows

    arguments = list(matrices), rest, site
    traced, shape = jax.make_jaxpr(derived, return_shape=True)(*arguments)
    values = _Reader()(traced.jaxpr, traced.consts, jax.tree.leaves(arguments))
    r, vectors, cotangents, rows = jax.tree.unflatten(jax.tree.structure(shape), values)
    merged = _merged(products, vectors, cotangents)
    found = [
        _joined([use for use in merged if use[0].number == number], matrix, r.size)
        for number, matrix in enumerate(matrices)
    ]
    return r, found, rows


def _shapes_of(reader: _Reader, fn: Any, matrices: Any, rest: PyTree, site: PyTree) -> Any:
    """The jaxpr of a function, which the reader has read once for shapes alone."""
    closed = jax.make_jaxpr(fn)(list(matrices), rest, site)

    def read(*arguments: Any) -> list[Any]:
        values = reader(closed.jaxpr, closed.consts, _arguments(*arguments))
        return [reader.plain(value) for value in values]

    jax.eval_shape(read, list(matrices), rest, site)
    return closed


def _arguments(matrices: Sequence[Array], rest: PyTree, site: PyTree) -> list[Any]:
    watched = [_Watched(number, matrix, False) for number, matrix in enumerate(matrices)]
    return [*watched, *jax.tree.leaves((rest, site))]


def _bound(eqn: Any, values: list[Any]) -> Sequence[Any]:
    out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return out if eqn.primitive.multiple_results else [out]


def _key(eqn: Any, values: list[Any]) -> Any:
    """What two equations share that compute the same; None where that cannot be said."""
    if eqn.effects:
        return None
    key = eqn.primitive, tuple(sorted(eqn.params.items())), tuple(map(_name, values))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _name(value: Any) -> Any:
    """The identity of an array, and of a literal its number and type."""
    if jnp.ndim(value) == 0 and not isinstance(value, jax.Array):
        number = np.asarray(value)  # its printed form may have fewer digits
        return number.tobytes(), str(number.dtype), str(jnp.result_type(value))
    return id(value)


def _merged(
    products: list[_Product], vectors: list[Array], cotangents: list[Array]
) -> list[tuple[_Product, Array, Array]]:
    """Uses with one cotangent become one, since g a^T + g b^T = g (a + b)^T."""
    merged: dict[Any, tuple[_Product, Array, Array]] = {}
    for product, vector, cotangent in zip(products, vectors, cotangents, strict=True):
        key = product.number, product.turned, product.first, id(cotangent)
        if key in merged:
            vector = merged[key][1] + vector
        merged[key] = product, vector, cotangent
    return list(merged.values())


def _joined(uses: list[tuple[_Product, Array, Array]], matrix: Array, k: int) -> Found:
    inputs, cotangents = [jnp.zeros((k, 0, n), matrix.dtype) for n in reversed(matrix.shape)]
    pairs = [_pair(*use, k) for use in uses]
    return Found(
        jnp.concatenate([inputs, *(pair[0] for pair in pairs)], axis=1),
        jnp.concatenate([cotangents, *(pair[1] for pair in pairs)], axis=1),
    )


def _pair(product: _Product, vector: Array, cotangent: Array, k: int) -> tuple[Array, Array]:
    """What multiplies from the right and from the left: W^T v has v and the cotangent swapped."""
    a = vector.reshape(-1, vector.shape[-1])
    a = jnp.broadcast_to(a, (k, *a.shape))
    g = jnp.moveaxis(cotangent, 1, -1) if product.first else cotangent
    g = g.reshape(k, -1, g.shape[-1])
    return (g, a) if product.turned else (a, g)
