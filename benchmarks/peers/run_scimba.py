"""Scimba (its JAX half): ENG, ANaGRAM, DSGNAR and SS-Broyden with their defaults.

Every term is one of its residuals at data points: the points and right-hand sides of the task. Its
losses are means, so a term of points that weigh differently has the roots of their weights as a
coordinate more, by which the residual is multiplied.
"""

import equations
import jax
import jax.numpy as jnp
import numpy as np
import protocol
from scimba_jax.domains.meshless_domains.domains_nd import HypercubeND
from scimba_jax.nonlinear_approximation.approximation_spaces.approximation_spaces import (
    ApproximationSpace,
)
from scimba_jax.nonlinear_approximation.integration.monte_carlo import (
    DomainSampler,
    TensorizedSampler,
)
from scimba_jax.nonlinear_approximation.model_class.funcparam_vectorial import (
    ParamVecFunction,
)
from scimba_jax.nonlinear_approximation.networks.mlp import MLP
from scimba_jax.nonlinear_approximation.numerical_solvers.projectors import Projector
from scimba_jax.physical_models.abstract_physical_model import AbstractPhysicalModel
from scimba_jax.physical_models.data_residuals import CollocDataResidual

OPTIMIZERS = {"eng": "ENG", "anagram": "ANaGRAM", "dsgnar": "DSGNAR", "ssbroyden": "SS-Broyden"}
EVEN = 1e-12  # relative spread of weights up to which all points weigh the same


class Poisson(CollocDataResidual):
    def construct_residual(self, *variables):
        return variables[0].laplacian("x")


class Heat(CollocDataResidual):
    """The first coordinate is time."""

    def construct_residual(self, *variables):
        u = variables[0]
        return u.partial_derivative("x", 0) - 0.25 * second(u, 1)


class Burgers(CollocDataResidual):
    """The first coordinate is time."""

    def construct_residual(self, *variables):
        u = variables[0]
        slope = u.partial_derivative("x", 1)
        return u.partial_derivative("x", 0) + u * slope - 0.01 * second(u, 1)


def second(u, i):
    return u.partial_derivative("x", i).partial_derivative("x", i)


def root(x):
    """The last coordinate: the square root of a weight."""
    return x[-1:]


class Kovasznay(CollocDataResidual):
    """Mass and momentum, times the last coordinate."""

    def construct_residual(self, *variables):
        u, v, p = (variables[0].component(i) for i in range(3))
        parts = [u.partial_derivative("x", 0) + v.partial_derivative("x", 1)]
        for i, w in enumerate((u, v)):
            convection = u * w.partial_derivative("x", 0) + v * w.partial_derivative("x", 1)
            viscous = (1 / 40) * (second(w, 0) + second(w, 1))
            parts.append(convection + p.partial_derivative("x", i) - viscous)
        return ParamVecFunction.cat([part * root for part in parts])


class Values(CollocDataResidual):
    """All components, times the last coordinate."""

    def construct_residual(self, *variables):
        return ParamVecFunction.cat([variables[0].component(i) * root for i in range(3)])


EQUATIONS = {
    "poisson-2d-icml23": Poisson,
    "poisson-5d-icml23": Poisson,
    "heat-1d-icml23": Heat,
    "burgers-1d": Burgers,
    "kovasznay": Kovasznay,
}


def samples(task, uneven):
    """By the names of the terms: points and right-hand sides, and the factor of its mean."""
    found, factors = {}, {}
    for name, (points, masses, data) in zip(task.names, task.terms, strict=True):
        factors[name] = [float(masses.sum())] * data.shape[1]
        if uneven:
            roots = np.sqrt(masses)[:, None]
            points, data = np.concatenate([points, roots], axis=1), roots * data
            factors[name] = [float(len(points))] * data.shape[1]
        found[name] = (jnp.asarray(points), jnp.asarray(data))
    return found, factors


def space_of(task, uneven):
    """The network of the task as an approximation space; its inputs without the roots."""
    sizes, dimension = task.sizes, task.sizes[0] + uneven
    network = MLP(sizes[0], sizes[-1], hidden_sizes=list(sizes[1:-1]))
    for layer, (weight, bias) in zip(network.layers, task.weights, strict=True):
        layer.weight, layer.bias = jnp.asarray(weight), jnp.asarray(bias)

    def inputs(x):
        return (x[: sizes[0]],)

    kind = ("scalar", None) if sizes[-1] == 1 else ("vec", sizes[-1])
    return ApproximationSpace(
        {"x": dimension}, [(network, *kind)], model_type="x", pre_processing=inputs
    )


def options(method, sample):
    """DSGNAR takes points in chunks, of 1024 by default, that must leave none over."""
    if method != "dsgnar":
        return {}
    counts = [len(points) for points, _ in sample.values()]
    fitting = (n for n in range(1024, 0, -1) if all(count % min(n, count) == 0 for count in counts))
    return {"batch_size": next(fitting)}


def layers(space):
    return [(layer.weight, layer.bias) for layer in space.models[0].layers]


def main():
    method, task, recorder = protocol.start(["scimba", "jax"])
    uneven = any(np.ptp(masses) > EVEN * masses.max() for _, masses, _ in task.terms)
    sample, factors = samples(task, uneven)
    dimension = task.sizes[0] + uneven
    domain = HypercubeND([(0.0, 1.0)] * dimension, is_main_domain=True)
    model = AbstractPhysicalModel(main_domain=domain)
    kinds = [EQUATIONS[task.problem], *[Values if uneven else CollocDataResidual] * 9]
    for (name, data), kind in zip(sample.items(), kinds, strict=False):
        residual = kind(size=data[1].shape[1], model_type="x", data=data)
        model.add_data_residual(name, residual)
    space = space_of(task, uneven)
    projector = Projector(
        model, space, TensorizedSampler([DomainSampler(domain)]), OPTIMIZERS[method],
        weights=factors, **options(method, sample),
    )  # fmt: skip

    @jax.jit
    def step(space, optimizer):
        losses, space, optimizer = optimizer.update(space, sample)
        return space, optimizer, losses["total"]

    optimizer = projector.optimizer
    jax.block_until_ready(step(*step(space, optimizer)[:2])[2])
    problem = equations.Problem(task)
    loss = projector.losses_function(space, sample)["total"] / 2
    assert np.isclose(loss, problem.loss(problem.weights), rtol=1e-9)
    recorder.compiled(float(loss), layers(space))
    over = False
    while not over:
        space, optimizer, total = step(space, optimizer)
        jax.block_until_ready(total)
        over = recorder.step(lambda now=space: layers(now))
    recorder.end(layers(space))


main()
