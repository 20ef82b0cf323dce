"""Optimistix: `lm`, Levenberg-Marquardt with its defaults and QR, and no tolerance to end at."""

import equations
import lineax as lx
import optimistix as optx
import protocol
import stepping


def main():
    _, task, recorder = protocol.start(["optimistix", "lineax", "jax"])
    problem = equations.Problem(task)
    solver = optx.LevenbergMarquardt(rtol=0.0, atol=0.0, linear_solver=lx.QR())
    stepping.run(recorder, solver, problem.residuals, problem.weights, {}, problem.loss)


main()
