"""pinn_ngd: `engd-tr`, the optimizer of who names none, at the points of the task.

The problem is its own file; nothing but the seconds of `train` is replaced, by the clock of all
peers, and no points are added.
"""

import jax

jax.config.update("jax_enable_x64", True)

import equinox as eqx
import protocol

from pinn_ngd import load_problem, optimizers

SETTINGS = {"burgers-1d": {"viscosity": 0.01}}


def layers(model):
    return [(layer.weight, layer.bias) for layer in model.layers]


def main():
    method, task, recorder = protocol.start(["pinn-ngd", "jax", "lineax", "equinox"])
    problem = load_problem(task.problem, **SETTINGS.get(task.problem, {}))
    objective, optimizer = problem.objective, optimizers.get(method)
    key = jax.random.key(task.seed)
    model, batch = problem.model(key), objective.batch(jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_array)
    state = optimizer.init(model, objective, batch)

    @eqx.filter_jit
    def step(params, state, batch, key):
        model = eqx.combine(params, static)
        model, state, info = optimizer.step(model, state, objective, batch, key=key)
        return eqx.filter(model, eqx.is_array), state, info.stop

    # A state after a step may have other types than one before it: both programs are compiled.
    jax.block_until_ready(step(*step(params, state, batch, key)[:2], batch, key)[0])
    loss = objective.evaluate(model, batch).loss
    recorder.compiled(float(loss), layers(model))
    over, why = False, "time"
    while not over:
        params, state, stop = step(params, state, batch, jax.random.fold_in(key, recorder.steps))
        jax.block_until_ready(params)
        over = recorder.step(lambda now=params: layers(now))
        if int(stop):
            over, why = True, optimizers.STOP_REASONS[int(stop)]
    recorder.end(layers(params), why)


main()
