"""Families made of others: independent copies, and features that a class determines."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree, Scalar

from .._settings import Count, check_fields
from .discrete import Categorical, Several
from .family import AbstractExponentialFamily, Coordinates


class Independent(AbstractExponentialFamily):
    """`count` independent variables of one family, such as pixels: coordinates (count, ...)."""

    family: AbstractExponentialFamily
    count: Count = eqx.field(static=True)

    def __check_init__(self):
        check_fields(self)

    @property
    def has_cone(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.family.has_cone

    def statistics(self, x: PyTree[Array]) -> Coordinates:
        return jax.vmap(self.family.statistics)(x)

    def log_partition(self, natural: Coordinates) -> Scalar:
        return jnp.sum(jax.vmap(self.family.log_partition)(natural))

    def log_base(self, x: PyTree[Array]) -> Scalar:
        return jnp.sum(jax.vmap(self.family.log_base)(x))

    def to_natural(self, expectation: Coordinates) -> Coordinates:
        return jax.vmap(self.family.to_natural)(expectation)

    def contains(self, natural: Coordinates) -> Bool[Array, ""]:
        return jnp.all(jax.vmap(self.family.contains)(natural))

    def objection(self, expectation: Coordinates) -> str | None:
        return _first_objection(self.family, expectation, self.count, "variable")

    def sample(self, natural: Coordinates, key: PRNGKeyArray, count: int) -> PyTree[Array]:
        keys = jax.random.split(key, self.count)
        draw = jax.vmap(lambda q, k: self.family.sample(q, k, count), out_axes=1)
        return draw(natural, keys)

    def standard(self, dtype: Any = None) -> Coordinates:
        return _copies(self.family, self.count, dtype)


class JointCoordinates(eqx.Module):
    """Coordinates of a `NaiveBayes` family: of the class (s-1,), and of every feature (s, ...)."""

    classes: Float[Array, " d"]
    features: PyTree[Array]


class NaiveBayes(AbstractExponentialFamily):
    """p(x, y) = p(y) prod_i p_i(x_i | y): a class y in 0..s-1 and independent features given it.

    `features` is a family or a PyTree of families, each with one array of coordinates, and x has
    the same structure. The statistics
    are 1[y = c] for c = 1..s-1, and 1[y = c] T_i(x_i) for all c. With pi_c = p(y = c),

        eta = (pi_c, pi_c E[T_i | c]),      theta = (a_c, theta^i_c),
        a_c = b_c - b_0,   b_c = log pi_c - sum_i A_i(theta^i_c),
        A = log sum_c exp(a_c + sum_i A_i(theta^i_c)).

    Both maps take a number of operations linear in the number of coordinates. p(y | x) is the
    softmax of `logits`: multinomial logistic regression on the statistics of the features.
    Raises ValueError for fewer than two classes.
    """

    classes: Several = eqx.field(static=True)
    features: PyTree

    def __check_init__(self):
        check_fields(self)

    @property
    def has_cone(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return any(family.has_cone for family in self._families)

    def statistics(self, x: tuple[PyTree[Array], Int[Array, ""]]) -> JointCoordinates:
        values, label = x
        labels = self._class.statistics(label)
        whole = self._class.probabilities(labels)

        def of_each(family: AbstractExponentialFamily, value: PyTree[Array]) -> Array:
            found: Any = family.statistics(value)
            return jnp.tensordot(whole.astype(found.dtype), found, axes=0)

        return JointCoordinates(labels, self._map(of_each, values))

    def log_partition(self, natural: JointCoordinates) -> Scalar:
        return jax.nn.logsumexp(_with_zero(natural.classes) + self._potentials(natural.features))

    def log_base(self, x: tuple[PyTree[Array], Int[Array, ""]]) -> Scalar:
        return sum(
            jax.tree.leaves(self._map(lambda family, value: family.log_base(value), x[0])),
            start=jnp.zeros((), jnp.result_type(float)),
        )

    def to_natural(self, expectation: JointCoordinates) -> JointCoordinates:
        p = self._class.probabilities(expectation.classes)
        features = self._map(
            lambda family, eta: jax.vmap(family.to_natural)(_per_class(eta, 1 / p)),
            expectation.features,
        )
        b = jnp.log(p) - self._potentials(features)
        return JointCoordinates(b[1:] - b[0], features)

    def contains(self, natural: JointCoordinates) -> Bool[Array, ""]:
        found = self._map(lambda family, q: jnp.all(jax.vmap(family.contains)(q)), natural.features)
        return jnp.all(jnp.stack([jnp.asarray(True), *jax.tree.leaves(found)]))

    def objection(self, expectation: JointCoordinates) -> str | None:
        p = self._class.probabilities(expectation.classes)
        none = [str(c) for c in np.flatnonzero(~(np.asarray(p) > 0))]
        if none:
            return f"label {', '.join(none)} has no example"
        for family, eta in zip(self._families, jax.tree.leaves(expectation.features), strict=True):
            found = _first_objection(family, _per_class(eta, 1 / p), self.classes, "label")
            if found:
                return found
        return None

    def logits(self, natural: JointCoordinates, x: PyTree[Array]) -> Float[Array, " s"]:
        """log p(y = c | x) up to a number: a_c + sum_i <theta^i_c, T_i(x_i)>."""

        def of_each(family: AbstractExponentialFamily, value: PyTree[Array], q: Array) -> Array:
            found: Any = family.statistics(value)
            return q.reshape(self.classes, -1) @ found.astype(q.dtype).reshape(-1)

        parts = self._map(of_each, x, natural.features)
        return jax.tree.reduce(jnp.add, parts, _with_zero(natural.classes))

    def sample(
        self, natural: JointCoordinates, key: PRNGKeyArray, count: int
    ) -> tuple[PyTree[Array], Int[Array, " n"]]:
        """Labels first, then the features given them."""
        first, *keys = jax.random.split(key, 1 + len(self._families))
        scores = _with_zero(natural.classes) + self._potentials(natural.features)
        labels = jax.random.categorical(first, scores, shape=(count,))
        places = iter(keys)

        def draw(family: AbstractExponentialFamily, q: Array) -> PyTree[Array]:
            own = jax.random.split(next(places), count)
            values = jax.vmap(lambda label, k: family.sample(q[label], k, 1))(labels, own)
            return jax.tree.map(lambda v: v[:, 0], values)

        return self._map(draw, natural.features), labels

    def standard(self, dtype: Any = None) -> JointCoordinates:
        zero = self._class.standard(dtype)
        return JointCoordinates(
            zero, self._map(lambda family: _copies(family, self.classes, dtype))
        )

    @property
    def _class(self) -> Categorical:
        return Categorical(self.classes)

    @property
    def _families(self) -> list[AbstractExponentialFamily]:
        return jax.tree.leaves(self.features, is_leaf=_is_family)

    def _potentials(self, features: PyTree[Array]) -> Float[Array, " s"]:
        """sum_i A_i(theta^i_c) of every class."""
        parts = self._map(lambda family, q: jax.vmap(family.log_partition)(q), features)
        return jax.tree.reduce(jnp.add, parts)

    def _map(self, fn: Any, *trees: PyTree) -> PyTree:
        """`fn` of every feature's family and what belongs to it in the trees."""
        return jax.tree.map(fn, self.features, *trees, is_leaf=_is_family)


def _is_family(x: Any) -> bool:
    return isinstance(x, AbstractExponentialFamily)


def _with_zero(natural: Float[Array, " d"]) -> Float[Array, " s"]:
    return jnp.concatenate([jnp.zeros((1,), natural.dtype), natural])


def _per_class(coordinates: Array, factors: Float[Array, " s"]) -> Array:
    """An array (s, ...) times a number for every class."""
    return coordinates * factors.reshape(-1, *[1] * (coordinates.ndim - 1))


def _copies(family: AbstractExponentialFamily, count: int, dtype: Any) -> Array:
    one: Any = family.standard(dtype)
    return jnp.broadcast_to(one, (count, *one.shape))


def _first_objection(
    family: AbstractExponentialFamily, expectations: Array, count: int, name: str
) -> str | None:
    for place in range(count):
        found = family.objection(expectations[place])
        if found:
            return f"of {name} {place}, {found}"
    return None
