"""Solvers with the interface of Optimistix, one compiled step after the other."""

import equinox as eqx
import jax


def run(recorder, solver, fn, start, options, loss):
    """Steps of an Optimistix solver until time is up or it ends by itself.

    `fn(weights)` is what it takes: a loss, or residuals.
    """

    def called(weights, _):
        return fn(weights), None

    structure = jax.eval_shape(lambda: called(start, None)[0])
    tags = frozenset()
    state = solver.init(called, start, None, options, structure, None, tags)
    dynamic, static = eqx.partition(state, eqx.is_array)

    @eqx.filter_jit
    def step(weights, dynamic):
        state = eqx.combine(dynamic, static)
        weights, state, _ = solver.step(called, weights, None, options, state, tags)
        done, result = solver.terminate(called, weights, None, options, state, tags)
        return weights, eqx.filter(state, eqx.is_array), done, result._value

    # A state after a step may have other types than one before it: both programs are compiled.
    jax.block_until_ready(step(*step(start, dynamic)[:2]))
    recorder.compiled(loss(start), start)
    weights, why, over = start, "time", False
    while not over:
        weights, dynamic, done, result = step(weights, dynamic)
        over = recorder.step(lambda now=weights: now)
        if bool(done):
            over, why = True, f"the solver ended: result {int(result)}"
    recorder.end(weights, why)
