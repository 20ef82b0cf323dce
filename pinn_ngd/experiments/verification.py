"""Tests that a derivative, an adjoint and a metric are what they claim: run them on new problems.

A wrong derivative rarely crashes. It makes a method slow, or stop early, for reasons that look like
anything else; each test here takes a second and excludes a whole class of them.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .. import _tree
from ..linalg import Form
from ..metrics import AbstractMetric, EnergyMetric
from ..objectives import AbstractObjective
from ..objectives.smoothness import missing_derivatives
from ..optimizers import system_for
from ..training.setup import check_start

LENGTHS = np.logspace(-1, -7, 13)  # of the steps of a Taylor test, relative to the parameters
SECOND_ORDER = 1.9  # a remainder of second order has slope 2; a wrong derivative has slope 1


class Check(NamedTuple):
    """One test: what was measured, what it has to be, and whether it is."""

    name: str
    value: float
    wanted: str
    passed: bool


def verify(
    objective: AbstractObjective,
    model: PyTree,
    metric: AbstractMetric = EnergyMetric(),  # noqa: B008  (immutable)
    *,
    key: PRNGKeyArray,
    form: Form = "auto",
) -> list[Check]:
    """All tests of an objective and a metric at a model, in random directions.

    `form` "matrix-free" tests the products that such a run uses; "auto" stores rows that fit.

    - Taylor test of the loss: |f(theta + e v) - f(theta) - e g.v| falls like e^2;
    - dot-product test of the system's operator: <A v, w> = <v, A^T w>;
    - the matrix is symmetric and A^T A positive semidefinite: <A v, A w> = <A^T A v, w>, and
      |A v|^2 > 0 for a random v;
    - A^T b is the gradient of the loss, where the system has a target b.

    Warns of float32, and of derivatives that a term takes but the network does not have, such as
    those of relu of second order, be it wrapped or not. Raises ValueError for what `train` refuses
    to start with.
    """
    keys = jax.random.split(key, 4)
    batch = objective.batch(keys[0])
    check_start(objective, model, batch)
    warn_of_doubts(objective, model, batch)
    params, static = _tree.trainable(model)
    v = _tree.random_direction(params, keys[1])

    @eqx.filter_jit
    def loss(q: PyTree) -> Array:
        return objective.loss(eqx.combine(q, static), batch)

    gradient = jax.grad(loss)(params)
    scale = float(_tree.norm(params)) or 1.0
    slope = taylor_slope(
        lambda e: loss(jax.tree.map(lambda q, d: q + e.astype(q.dtype) * d, params, v)),
        _tree.dot(gradient, v),
        scale,
    )
    system = system_for(metric, objective, model, batch, form=form)
    checks = [_at_least("Taylor test of the loss: order of the remainder", slope, SECOND_ORDER)]
    checks += verify_operator(system.operator, keys[2])
    if system.target is not None:
        back = system.operator.T.mv(system.target)
        error = _relative(_tree.norm(_tree.subtract(back, gradient)), _tree.norm(gradient))
        bound = max(1e-6, 1e3 * _eps(params))
        checks.append(_at_most("A^T b against the gradient of the loss", error, bound))
    return checks


def warn_of_doubts(objective: AbstractObjective, model: PyTree, batch: PyTree) -> None:
    """Warnings of what is no mistake in a derivative, but spoils a run."""
    single = {str(x.dtype) for x in jax.tree.leaves(_tree.trainable(model)[0])} - {"float64"}
    if single:
        warnings.warn(
            f"the model has {', '.join(sorted(single))} parameters, so the bounds of the tests are "
            'coarse: call `jax.config.update("jax_enable_x64", True)` before it is built.',
            UserWarning,
            stacklevel=3,
        )
    for term, order in missing_derivatives(objective, model, batch):
        warnings.warn(
            f"the term '{term}' takes {order} derivatives of the model, which it does not have: "
            "they are zero, or miss its kinks. An activation such as relu has none (it is "
            "piecewise linear): take a smooth one, such as tanh, sin, gelu or softplus.",
            UserWarning,
            stacklevel=3,
        )


def verify_operator(operator: lx.AbstractLinearOperator, key: PRNGKeyArray) -> list[Check]:
    """Dot-product test, symmetry of A^T A and its definiteness along a random direction."""
    keys = jax.random.split(key, 3)
    v, u = (_tree.random_direction(operator.in_structure(), k) for k in keys[:2])
    w = _tree.random_direction(operator.out_structure(), keys[2])
    image, other, back = operator.mv(v), operator.mv(u), operator.T.mv(w)
    dot = _relative(
        jnp.abs(_tree.dot(image, w) - _tree.dot(v, back)), _tree.norm(image) * _tree.norm(w)
    )
    product = _tree.dot(operator.T.mv(image), u)
    asymmetry = _relative(
        jnp.abs(product - _tree.dot(image, other)), _tree.norm(image) * _tree.norm(other)
    )
    length, bound = float(_tree.dot(image, image)), max(1e-10, 1e3 * _eps(v))
    return [
        _at_most("dot-product test <A v, w> = <v, A^T w>", dot, bound),
        _at_most("symmetry of the metric A^T A", asymmetry, bound),
        Check("definiteness: |A v|^2 of a random direction", length, "> 0", length > 0),
    ]


def taylor_slope(
    function: Callable[[Float[Array, ""]], Array], slope: Array, scale: float = 1.0
) -> float:
    """Fitted order in e of |f(e) - f(0) - e f'(0)|: 2 (or more) if `slope` is f'(0), 1 if not.

    Remainders near rounding error are left out. Infinite where none is left: then f is linear. Not
    a number where f or its derivative is not finite.
    """
    lengths = scale * LENGTHS
    first = jnp.asarray(function(jnp.asarray(0.0)))
    start = float(first)
    values = np.array([float(function(jnp.asarray(e))) for e in lengths])
    linear = start + lengths * float(slope)
    remainders = np.abs(values - linear)
    noise = 1e3 * _eps(first)
    if not (np.isfinite(start) and np.isfinite(float(slope)) and np.isfinite(remainders[-1])):
        return float("nan")
    seen = np.isfinite(remainders) & (remainders > noise * (np.abs(values) + np.abs(start)))
    if seen.sum() < 2:
        return float("inf")
    # The shortest half: there the leading term rules.
    x, y = np.log(lengths[seen]), np.log(remainders[seen])
    half = max(2, len(x) // 2)
    return float(np.polyfit(x[-half:], y[-half:], 1)[0])


def _eps(tree: PyTree) -> float:
    """The rounding error of the coarsest type in a tree."""
    return max(float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(tree))


def _relative(error: Any, size: Any) -> float:
    size = float(size)
    return float(error) / size if size > 0 else float(error)


def _at_most(name: str, value: float, bound: float) -> Check:
    return Check(name, value, f"<= {bound:.0e}", bool(value <= bound))


def _at_least(name: str, value: float, bound: float) -> Check:
    return Check(name, value, f">= {bound}", bool(value >= bound))
