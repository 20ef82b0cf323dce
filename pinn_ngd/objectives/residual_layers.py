"""Rows of pointwise residuals by layers: for K-FAC, the uses of every dense layer's weight."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from .. import _tree
from ..geometry.quadrature import Quadrature
from ..linalg import LayerRows, LayerwiseJacobian, LeastSquaresSystem, StackedOperator
from ..models.mlp import Linear
from . import layers
from .coverage import NOT_PLAIN, Coverage, Covered
from .residual import Residual, ResidualObjective, row_scales
from .rows import map_points
from .uses import lost_matrices, uses_at

_DENSE = (eqx.nn.Linear, Linear)
_OTHER = "no dense layer"
_UNSEEN = "inside a scan, loop or custom derivative, or its weight is read directly"


class _WeightIsRead(Exception):
    """Somebody asks a layer for its weight: then its products are not all that it is used for."""


class _Affine(eqx.Module):
    """The layer as one matrix (W, b), on inputs with a 1 at the end, whose derivative is 0.

    It says that it is of the layer's own class, so that a network that asks stays the same.
    """

    matrix: Array
    biased: bool = eqx.field(static=True)
    scalar: bool = eqx.field(static=True)  # whether the output is a number, of shape ()
    kind: type = eqx.field(static=True)

    @property
    def __class__(self) -> type:
        return self.kind

    @property
    def weight(self) -> Array:
        raise _WeightIsRead

    bias = weight

    @property
    def in_features(self) -> int:
        """As the layer itself has it."""
        return self.matrix.shape[1] - self.biased

    @property
    def out_features(self) -> int | str:
        """As the layer itself has it."""
        return "scalar" if self.scalar else self.matrix.shape[0]

    def __call__(self, x: Array, *, key: Any = None) -> Array:
        del key
        x = jnp.reshape(x, -1)  # a number is a vector of one
        if self.biased:
            x = jnp.concatenate([x, jnp.ones((1,), x.dtype)])
        out = self.matrix @ x
        return out[0] if self.scalar else out


class _Surgery:
    """A model taken apart: the matrices of the dense layers at `places`, and all other leaves."""

    def __init__(self, model: PyTree, places: Sequence[int]):
        self.params, self.static = _tree.trainable(model)
        self.nodes, self.treedef = jax.tree.flatten(model, is_leaf=layers.is_node)
        self.places = list(places)
        counts = [len(jax.tree.leaves(_tree.trainable(node)[0])) for node in self.nodes]
        self.first = [sum(counts[:place]) for place in range(len(counts))]
        self.others = [p for p, count in enumerate(counts) if count and p not in self.places]
        spans = [range(self.first[p], self.first[p] + counts[p]) for p in self.others]
        self.rest = [i for span in spans for i in span]

    def apart(self) -> tuple[list[Array], list[Any]]:
        """The matrices, and the trainable parts of the other nodes."""
        matrices = [_matrix(self.nodes[p]) for p in self.places]
        return matrices, [_tree.trainable(self.nodes[p])[0] for p in self.others]

    def together(self, matrices: Sequence[Array], rest: Sequence[Any]) -> PyTree:
        """The model that computes with these matrices and other parts."""
        nodes = list(self.nodes)
        for place, matrix in zip(self.places, matrices, strict=True):
            layer = nodes[place]
            scalar = getattr(layer, "out_features", None) == "scalar"
            nodes[place] = _Affine(matrix, layer.bias is not None, scalar, type(layer))
        for place, part in zip(self.others, rest, strict=True):
            nodes[place] = eqx.combine(part, _tree.trainable(nodes[place])[1])
        return jax.tree.unflatten(self.treedef, nodes)

    def numbers(self, term: Residual) -> Any:
        """The residual of one term as a function (matrices, rest, site) with values (k,)."""

        def value(matrices: Sequence[Array], rest: Sequence[Any], site: Any) -> Array:
            return jnp.ravel(term.value(self.together(matrices, rest), site))

        return value

    def rows(self, number: int, inputs: Array, cotangents: Array) -> LayerRows:
        """The rows of the layer of matrix `number`: inputs (m, s, i), cotangents (m, 1, s, o)."""
        place = self.places[number]
        first, layer = self.first[place], self.nodes[place]
        if layer.bias is None:
            return LayerRows(inputs, cotangents, first, None)
        return LayerRows(inputs[..., :-1], cotangents, first, first + 1, inputs[..., -1])


def layerwise_system(
    objective: ResidualObjective, model: PyTree, batch: Sequence[Quadrature]
) -> LeastSquaresSystem:
    """The system of `objective`, with A kept as the uses of every dense layer's weight.

    A is a stack of one `LayerwiseJacobian` for each term, whose target has shape (n k, 1) for n
    points and k components. The rows of all other leaves are stored. It takes n k s (i + o) numbers
    for a layer (o, i) with s uses. Raises ValueError for terms that are no `Residual`.
    """
    surgery = _surgery(objective, model, batch)
    parts = [
        _term(surgery, term, rule, objective.chunk_size)
        for term, rule in zip(_pointwise(objective), batch, strict=True)
    ]
    operators, target = zip(*parts, strict=True)
    return LeastSquaresSystem(StackedOperator(operators), target=tuple(target))


def layer_coverage(
    objective: ResidualObjective, model: PyTree, batch: Sequence[Quadrature]
) -> Coverage:
    """Which parameters `layerwise_system` keeps as uses, how many in each term, and why not."""
    surgery = _surgery(objective, model, batch)
    terms = [
        (term.name, eqx.filter_eval_shape(_term, surgery, term, rule, None)[0])
        for term, rule in zip(_pointwise(objective), batch, strict=True)
    ]
    leaves = jax.tree_util.tree_leaves_with_path(surgery.params)
    nodes = [p for p, node in enumerate(surgery.nodes) for _ in _leaves(node)]
    return Coverage(
        tuple(
            Covered(jax.tree_util.keystr(path), leaf.shape, *_block(surgery, place, terms))
            for (path, leaf), place in zip(leaves, nodes, strict=True)
        )
    )


def _block(surgery: _Surgery, place: int, terms: list[tuple[str, Any]]) -> tuple[str, str]:
    if place in surgery.places:
        number = surgery.places.index(place)
        uses = [(name, rows.layers[number].inputs.shape[1]) for name, rows in terms]
        return "kronecker", ", ".join(f"{count} uses in '{name}'" for name, count in uses)
    node = surgery.nodes[place]
    if type(node) not in _DENSE:
        return "diagonal", _OTHER
    return "diagonal", _UNSEEN if _is_affine(node) else NOT_PLAIN


def check_pointwise(objective: ResidualObjective) -> None:
    """Raises ValueError for a term whose numbers do not belong to points."""
    for term in objective.terms:
        if not isinstance(term, Residual):
            msg = (
                f"the term '{term.name}' is a {type(term).__name__}, whose numbers belong to no"
                " single points, so that they have no layer inputs: take 'engd-tr'."
            )
            raise ValueError(msg)


def _pointwise(objective: ResidualObjective) -> list[Residual]:
    check_pointwise(objective)
    return [term for term in objective.terms if isinstance(term, Residual)]


def _surgery(objective: ResidualObjective, model: PyTree, batch: Sequence[Quadrature]) -> _Surgery:
    """The model taken apart at all dense layers that every term uses in products alone."""
    terms = _pointwise(objective)
    sites = [
        jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), term.sites(rule))
        for term, rule in zip(terms, batch, strict=True)
    ]
    places = [p for p, node in enumerate(layers.layers_of(model)) if _is_affine(node)]
    lost = _lost(model, places, terms, sites)
    if lost is None:  # somebody reads weights: find out whose
        places = [p for p in places if _lost(model, [p], terms, sites) is not None]
        lost = _lost(model, places, terms, sites) or set()
    return _Surgery(model, [p for number, p in enumerate(places) if number not in lost])


def _lost(
    model: PyTree, places: list[int], terms: list[Residual], sites: list[Any]
) -> set[int] | None:
    """Which of the layers are more than products; None where one is asked for its weight."""
    surgery = _Surgery(model, places)
    matrices, rest = surgery.apart()
    lost: set[int] = set()
    try:
        for term, site in zip(terms, sites, strict=True):
            lost |= lost_matrices(surgery.numbers(term), matrices, rest, site)
    except (AttributeError, _WeightIsRead):
        return None
    return lost


def _term(
    surgery: _Surgery, term: Residual, rule: Quadrature, chunk_size: int | None
) -> tuple[LayerwiseJacobian, Array]:
    matrices, rest = surgery.apart()
    numbers = surgery.numbers(term)

    def at(site: Any) -> Any:
        return uses_at(numbers, matrices, rest, site)

    values, found, rows = map_points(at, term.sites(rule), chunk_size)
    n, k = values.shape
    dtype = jnp.result_type(*jax.tree.leaves(surgery.params))  # points may have more digits
    scale = jnp.repeat(row_scales(term, rule), k).astype(dtype)
    values = values.astype(dtype)
    kept = []
    for number, uses in enumerate(found):
        inputs, cotangents = (x.reshape(n * k, *x.shape[2:]).astype(dtype) for x in uses)
        kept.append(surgery.rows(number, inputs, cotangents[:, None] * scale[:, None, None, None]))
    stored = [leaf.reshape(n * k, -1) * scale[:, None] for leaf in jax.tree.leaves(rows)]
    structure = jax.eval_shape(lambda: surgery.params)
    operator = LayerwiseJacobian(kept, stored, surgery.rest, (n * k, 1), structure)
    return operator, values.reshape(-1, 1) * scale[:, None]


def _is_affine(node: Any) -> bool:
    """A dense layer with trainable parameters that is no stack of layers."""
    return type(node) in _DENSE and layers.is_plain(node) and node.weight.ndim == 2


def _matrix(layer: Any) -> Array:
    if layer.bias is None:
        return layer.weight
    return jnp.concatenate([layer.weight, layer.bias[:, None]], axis=1)


def _leaves(node: Any) -> list[Array]:
    return jax.tree.leaves(_tree.trainable(node)[0])
