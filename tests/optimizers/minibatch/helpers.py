"""Three classes in the plane, their dense natural gradient, and one step of an optimizer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinn_ngd import optimizers
from pinn_ngd.linalg import LeastSquaresSystem
from pinn_ngd.objectives import ClassificationObjective, Shuffled
from tests.optimizers.helpers import flat

DAMPING, RATE = 0.1, 0.05


def blobs(size=16, curvature="ggn"):
    """Three classes of points around three centers in the plane."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    centers = np.asarray([[0.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    points = centers[labels] + 0.4 * rng.standard_normal((48, 2))
    return ClassificationObjective(Shuffled(points, labels, size), curvature=curvature)


def network(seed=0):
    return eqx.nn.MLP(2, 3, 6, 1, activation=jnp.tanh, key=jax.random.key(seed))


def move(name, steps=1, objective=None, **settings):
    """The change of the parameters in a few steps on one batch."""
    objective = blobs() if objective is None else objective
    model = start = network()
    optimizer = optimizers.get(name, **settings)
    batch = objective.batch(jax.random.key(3))
    state = optimizer.init(model, objective, batch)
    step = eqx.filter_jit(optimizer.step)
    for number in range(steps):
        model, state, info = step(model, state, objective, batch, key=jax.random.key(number))
        assert bool(info.accepted)
    return flat(model) - flat(start)


def dense(damping=DAMPING):
    """Gradient and natural gradient from the dense curvature."""
    objective, model = blobs(), network()
    batch = objective.batch(jax.random.key(3))
    system = objective.system(model, batch)
    rows = system.operator.as_matrix()
    gradient = flat(objective.gradient(model, batch))
    curvature = rows.T @ rows
    natural = jnp.linalg.solve(curvature + damping * jnp.eye(len(gradient)), gradient)
    return gradient, natural, curvature


def close(a, b, tolerance=1e-9):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(jnp.abs(b).max()))


def damped_system(damping):
    objective = blobs()
    system = objective.system(network(), objective.batch(jax.random.key(3)))
    return LeastSquaresSystem(system.operator, system.target, damping=damping)
