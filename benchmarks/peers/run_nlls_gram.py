"""nlls-gram: `lm`, its `LevenbergMarquardt` with its defaults, and `lm-qr`, with QR."""

import equations
import jax
import nlls_gram
import protocol


def main():
    method, task, recorder = protocol.start(["nlls-gram", "jax"])
    problem = equations.Problem(task)
    linear = {"lm": nlls_gram.Cholesky(), "lm-qr": nlls_gram.QR()}[method]
    solver = nlls_gram.LevenbergMarquardt(problem.residuals, linear_solver=linear)
    weights, state = problem.weights, solver.init(problem.weights)
    step = jax.jit(solver.update)
    # The state of `init` and that of a step may differ in their structure: both are compiled.
    jax.block_until_ready(step(*step(weights, state)[:2]))
    recorder.compiled(problem.loss(weights), weights)
    over = False
    while not over:
        weights, state, _ = jax.block_until_ready(step(weights, state))
        over = recorder.step(lambda now=weights: now)
    recorder.end(weights)


main()
