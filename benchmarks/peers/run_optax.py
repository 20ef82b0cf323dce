"""Optax: `adam-lbfgs`, Adam for a sixth of the time and then L-BFGS with its own line search."""

import equations
import jax
import optax
import protocol

RATE, SHARE = 1e-3, 1 / 6


def main():
    _, task, recorder = protocol.start(["optax", "jax"])
    problem = equations.Problem(task)
    adam, lbfgs = optax.adam(RATE), optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(problem.loss)

    @jax.jit
    def first(weights, state):
        updates, state = adam.update(jax.grad(problem.loss)(weights), state)
        return optax.apply_updates(weights, updates), state

    @jax.jit
    def then(weights, state):
        value, grad = value_and_grad(weights, state=state)
        updates, state = lbfgs.update(
            grad, state, weights, value=value, grad=grad, value_fn=problem.loss
        )
        return optax.apply_updates(weights, updates), state

    weights = problem.weights
    state = adam.init(weights)
    # A state after a step may have other types than one before it: both programs are compiled.
    jax.block_until_ready(first(*first(weights, state)))
    jax.block_until_ready(then(*then(weights, lbfgs.init(weights))))
    recorder.compiled(problem.loss(weights), weights)
    over = False
    while not over and recorder.used < SHARE * task.seconds:
        weights, state = jax.block_until_ready(first(weights, state))
        over = recorder.step(lambda now=weights: now)
    state = lbfgs.init(weights)
    while not over:
        weights, state = jax.block_until_ready(then(weights, state))
        over = recorder.step(lambda now=weights: now)
    recorder.end(weights)


main()
