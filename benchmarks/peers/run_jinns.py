"""jinns: `ngd`, its `vanilla_ngd` in `jinns.solve`, and `ssbroyden`, its Optax transformation.

`jinns.solve` compiles its loop whole, so the clock is read by its validation, which it calls after
every step and which may end it. Its losses are means over points: a row of points has the root of
its weight as a coordinate more, by which network and equation are multiplied.
"""

import equations
import equinox as eqx
import jax
import jax.numpy as jnp
import jinns
import numpy as np
import optax
import protocol
from jinns.data._AbstractDataGenerator import AbstractDataGenerator
from jinns.data._Batchs import PDEStatioBatch
from jinns.validation._validation import AbstractValidationModule

STEPS = 1_000_000  # more than any run makes
SEARCH = optax.scale_by_backtracking_linesearch(max_backtracking_steps=15)  # its default, silent


class Network(eqx.Module):
    """The tanh network."""

    layers: list

    def __call__(self, x):
        return equations.network(self.layers, x)


class Points(AbstractDataGenerator):
    """The rows of the task, the same in every step."""

    rows: jax.Array
    observed: tuple
    rar_parameters: None = None

    def get_batch(self):
        batch = PDEStatioBatch(
            domain_batch=self.rows, border_batch=None, obs_batch_dict=self.observed
        )
        return self, batch


class Equation(jinns.loss.PDEStatio):
    """The residual of the equation at a row: point, root of the weight, right-hand side."""

    operator: object = eqx.field(static=True, kw_only=True)
    dimension: int = eqx.field(static=True, kw_only=True)

    def equation(self, x, u, params):
        point, root, right = x[: self.dimension], x[self.dimension], x[self.dimension + 1 :]

        def plain(y):
            return u(jnp.append(y, 1.0), params)

        return root * (self.operator(plain, point) - right)


class Watch(AbstractValidationModule):
    """Reads the clock after every step."""

    tell: object = eqx.field(static=True, kw_only=True)
    call_every: int = eqx.field(static=True, kw_only=True, default=1)

    def __call__(self, params):
        layers = jax.tree.leaves(params.nn_params)
        shape = jax.ShapeDtypeStruct((), jnp.bool_)
        over = jax.experimental.io_callback(self.tell, shape, layers, ordered=True)
        return self, over, jnp.zeros(()), False


def natural_gradient(task, problem, recorder):
    """`jinns.solve` with `vanilla_ngd`."""
    dimension, like = task.sizes[0], task.weights
    last = {"weights": like, "first": True}

    def tell(leaves):
        vector = np.concatenate([np.asarray(leaf).ravel() for leaf in leaves])
        last["weights"] = protocol.unflat(vector, like)
        if last["first"]:  # the loop is compiled, and one step is made
            last["first"] = False
            recorder.compiled(float(problem.loss(problem.weights)), like)
            return np.bool_(False)
        return np.bool_(recorder.step(lambda: last["weights"]))

    network = Network(problem.weights)
    u = jinns.nn.PINN(
        eq_type="PDEStatio",
        eqx_network=network,
        input_transform=lambda row, _: row[:dimension],
        output_transform=lambda row, value, _: row[dimension] * value,
    )
    params = jinns.parameters.Params(nn_params=u.init_params, eq_params={})
    observed = []
    for _, points, masses, data in problem.parts[1:]:
        roots = jnp.sqrt(masses)[:, None]
        row = jnp.concatenate([points, roots], axis=1)
        observed.append({"pinn_in": row, "val": roots * data, "eq_params": None})
    interior = problem.rows(0)
    weights = jinns.loss.LossWeightsPDEStatio(
        dyn_loss=float(len(interior)),
        observations=tuple(float(len(part["val"])) for part in observed),
    )
    operator = problem.parts[0][0]
    loss = jinns.loss.LossPDEStatio(
        u=u, dynamic_loss=Equation(operator=operator, dimension=dimension), loss_weights=weights,
        params=params, obs_slice=tuple(jnp.s_[...] for _ in observed),
    )  # fmt: skip
    data = Points(interior, tuple(observed))
    total = float(loss(params, data.get_batch()[1])[0]) / 2
    assert np.isclose(total, problem.loss(problem.weights), rtol=1e-9)
    jinns.solve(
        n_iter=STEPS, init_params=params, data=data, loss=loss, verbose=False,
        optimizer=jinns.optimizers.vanilla_ngd(linesearch=SEARCH), validation=Watch(tell=tell),
    )  # fmt: skip
    recorder.end(last["weights"])


def broyden(problem, recorder):
    """`scale_by_SSBroyden_family` as Optax takes it."""
    optimizer = jinns.optimizers.scale_by_SSBroyden_family()

    @jax.jit
    def step(weights, state):
        value, grad = jax.value_and_grad(problem.loss)(weights)
        updates, state = optimizer.update(
            grad, state, weights, value=value, grad_pt=grad, value_fn=problem.loss,
            grad_fn=jax.grad(problem.loss),
        )  # fmt: skip
        return jax.tree.map(jnp.add, weights, updates), state

    weights = problem.weights
    state = optimizer.init(weights)
    jax.block_until_ready(step(*step(weights, state)))
    recorder.compiled(float(problem.loss(weights)), weights)
    over = False
    while not over:
        weights, state = jax.block_until_ready(step(weights, state))
        over = recorder.step(lambda now=weights: now)
    recorder.end(weights)


def main():
    method, task, recorder = protocol.start(["jinns", "jax", "optax"])
    problem = equations.Problem(task)
    if method == "ngd":
        natural_gradient(task, problem, recorder)
    else:
        broyden(problem, recorder)


main()
