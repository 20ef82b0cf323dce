"""The equations of the tasks for peers that take a function of a point in JAX."""

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

import protocol


def network(weights, x):
    """The tanh network at one point (d,): (outputs,)."""
    for weight, bias in weights[:-1]:
        x = jnp.tanh(weight @ x + bias)
    weight, bias = weights[-1]
    return weight @ x + bias


def second(u, x, i):
    """The second derivative of u in coordinate i."""
    direction = jnp.zeros_like(x).at[i].set(1.0)

    def slope(y):
        return jax.jvp(u, (y,), (direction,))[1]

    return jax.jvp(slope, (x,), (direction,))[1]


def laplacian(u, x):
    return sum(second(u, x, i) for i in range(x.size))


def heat(u, x):
    """Coordinates are t, x."""
    return jax.jacfwd(u)(x)[:, 0] - second(u, x, 1) / 4


def burgers(u, x, viscosity=0.01):
    slope = jax.jacfwd(u)(x)
    return slope[:, 0] + u(x) * slope[:, 1] - viscosity * second(u, x, 1)


def kovasznay(u, x, reynolds=40.0):
    """Mass, and both components of momentum."""
    value, slope, viscous = u(x), jax.jacfwd(u)(x), laplacian(u, x)
    momentum = slope[:2] @ value[:2] + slope[2] - viscous[:2] / reynolds
    return jnp.stack([slope[0, 0] + slope[1, 1], *momentum])


EQUATIONS = {
    "poisson-2d-icml23": laplacian,
    "poisson-5d-icml23": laplacian,
    "heat-1d-icml23": heat,
    "burgers-1d": burgers,
    "kovasznay": kovasznay,
}


class Problem:
    """A task in JAX: `parts` are (operator(u, x), points, weights, data), one a term."""

    def __init__(self, task: protocol.Task):
        def value(u, x):
            return u(x)

        operators = [EQUATIONS[task.problem], *[value] * (len(task.terms) - 1)]
        self.parts = [
            (operator, *map(jnp.asarray, term))
            for operator, term in zip(operators, task.terms, strict=True)
        ]
        self.weights = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in task.weights]

    def block(self, k, weights):
        """The residuals of term k, scaled so that half the sum of their squares is its loss."""
        operator, points, masses, data = self.parts[k]

        def at(x, mass, right):
            return jnp.sqrt(mass) * (operator(lambda y: network(weights, y), x) - right)

        return jax.vmap(at)(points, masses, data)

    def residuals(self, weights):
        """All residuals in one array."""
        blocks = [self.block(k, weights) for k in range(len(self.parts))]
        return jnp.concatenate([block.ravel() for block in blocks])

    def loss(self, weights):
        return jnp.sum(self.residuals(weights) ** 2) / 2

    def jacobian(self, weights):
        """The Jacobian of `residuals`, by one reverse sweep for every point and equation."""
        blocks = []
        for k in range(len(self.parts)):
            slopes = jax.vmap(jax.jacrev(self.at_row(k)), (None, 0))(weights, self.rows(k))
            leaves = jax.tree.leaves(slopes)
            n = leaves[0].shape[0] * leaves[0].shape[1]
            blocks.append(jnp.concatenate([leaf.reshape(n, -1) for leaf in leaves], axis=1))
        return jnp.concatenate(blocks)

    def rows(self, k):
        """The points of term k with their weights and data beside them, one array."""
        _, points, masses, data = self.parts[k]
        return jnp.concatenate([points, jnp.sqrt(masses)[:, None], data], axis=1)

    def at_row(self, k):
        """The weighted residual of term k as a function (weights, row)."""
        operator, points, _, _ = self.parts[k]
        d = points.shape[1]

        def residual(weights, row):
            x, root, right = row[:d], row[d], row[d + 1 :]
            return root * (operator(lambda y: network(weights, y), x) - right)

        return residual
