"""Models whose parameters are the natural coordinates of an exponential family."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree, Scalar

from .. import _tree
from .._settings import NonNegative, checked
from ..linalg import DualMap
from .family import AbstractExponentialFamily, Coordinates
from .joint import NaiveBayes
from .values import check_values

Own = TypeVar("Own", bound="Distribution")


class Distribution(eqx.Module):
    """A member of a `family`, trained in its `natural` coordinates; `model(x)` is log p(x)."""

    family: AbstractExponentialFamily
    natural: Coordinates

    @classmethod
    def standard(cls: type[Own], family: AbstractExponentialFamily, dtype: Any = None) -> Own:
        """The member from which trainings start: equal probabilities, N(0, 1), or rate one."""
        return cls(family, family.standard(dtype))

    @classmethod
    def fit(
        cls: type[Own], family: AbstractExponentialFamily, data: PyTree[Any], weight: float = 0.0
    ) -> Own:
        """The member of largest likelihood: the one that expects the mean of the statistics.

        `data` are values along a leading axis. The standard member counts as `weight` more of them
        (the mode of a conjugate posterior). Raises ValueError for data that are no values of the
        family, and where no member expects that mean, such as where a label has no example, which a
        positive weight cures.
        """
        weight = checked("weight", weight, NonNegative)
        data = jnp.asarray(data) if isinstance(data, list) else jax.tree.map(jnp.asarray, data)
        check_values(family, data)
        mean = _mean_statistics(family, data, weight)
        objection = family.objection(mean)
        if objection is not None:
            cure = (
                ": give a `weight` above zero, which counts the standard member as that many more"
                " values."
            )
            msg = (
                f"no {type(family).__name__} expects what these data have on average ({objection})"
                f"{'.' if ':' in objection else cure}"
            )
            raise ValueError(msg)
        return cls(family, _natural_of(family, mean))

    def __call__(self, x: Any) -> Scalar:
        """log p(x)."""
        return self.family.log_density(self.natural, x)

    @property
    def expectation(self) -> Coordinates:
        """The expectation coordinates."""
        return _expectation_of(self.family, self.natural)

    def at(self: Own, expectation: Coordinates) -> Own:
        """The member with these expectation coordinates."""
        return eqx.tree_at(lambda m: m.natural, self, _natural_of(self.family, expectation))

    def example_statistics(self, x: Any, target: Any) -> Coordinates:
        """T of one example of a batch, whose input is the value."""
        del target
        return self.family.statistics(x)

    def contained(self) -> Bool[Array, ""]:
        """Whether the natural coordinates belong to a density."""
        return self.family.contains(self.natural)

    def fisher(self) -> DualMap:
        """The Fisher matrix between tangents shaped like the parameters of this model."""
        params, static = _tree.trainable(self)

        def through(fn: Any) -> Any:
            def of_model(q: PyTree) -> PyTree:
                model = eqx.combine(q, static)
                image = eqx.tree_at(lambda m: m.natural, model, fn(model.natural))
                return _tree.trainable(image)[0]

            return of_model

        family = self.family
        image = through(lambda natural: _expectation_of(family, natural))(params)
        forward, backward = through(family.to_expectation), through(family.to_natural)
        return DualMap(forward, backward, params, image=image)


class GenerativeClassifier(Distribution):
    """The conditional p(y | x) of a `NaiveBayes` family; `model(x)` are logits, one for a class.

    Minimizing its negative log-likelihood is multinomial logistic regression. As it is trained for
    p(y | x) only, its natural coordinates need not lie in the cone: p(y | x) is the same for all
    that differ by one vector in every class.
    """

    family: NaiveBayes
    natural: Coordinates

    def __call__(self, x: PyTree[Array]) -> Float[Array, " s"]:
        """The logits of one example."""
        return self.family.logits(self.natural, x)

    def example_statistics(self, x: PyTree[Array], target: Array) -> Coordinates:
        """T of one example of a batch, whose target is the label."""
        return self.family.statistics((x, target))

    def log_evidence(self, x: PyTree[Array]) -> Scalar:
        """log p(x), the label summed out."""
        base = self.family.log_base((x, jnp.zeros((), jnp.int32)))
        return jax.nn.logsumexp(self(x)) + base - self.family.log_partition(self.natural)

    def divergence(
        self, other: Callable[[Any], Array], x: PyTree[Array], weights: Float[Array, " n"]
    ) -> Scalar:
        """sum_i w_i KL(p(y | x_i) | q(y | x_i)), in nats, with q the softmax of `other`(x_i)."""

        def at(x: PyTree[Array]) -> Scalar:
            log_p, log_q = jax.nn.log_softmax(self(x)), jax.nn.log_softmax(other(x))
            return jnp.sum(jnp.exp(log_p) * (log_p - log_q))

        return jnp.sum(weights * jax.vmap(at)(x))


@eqx.filter_jit
def _mean_statistics(
    family: AbstractExponentialFamily, data: PyTree[Array], weight: float
) -> Coordinates:
    """The mean of the statistics of data, among which `weight` standard members are counted."""
    found = jax.vmap(family.statistics)(data)
    before = family.to_expectation(family.standard())
    count = jax.tree.leaves(found)[0].shape[0]

    def mean(t: Array, e: Array) -> Array:
        return (weight * e.astype(t.dtype) + jnp.sum(t, axis=0)) / (weight + count)

    return jax.tree.map(mean, found, before)


# Compiled as a whole for those who ask outside of a compiled step.


@eqx.filter_jit
def _expectation_of(family: AbstractExponentialFamily, natural: Coordinates) -> Coordinates:
    return family.to_expectation(natural)


@eqx.filter_jit
def _natural_of(family: AbstractExponentialFamily, expectation: Coordinates) -> Coordinates:
    return family.to_natural(expectation)
