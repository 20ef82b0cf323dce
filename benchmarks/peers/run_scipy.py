"""SciPy: `lm` and `trf` of `least_squares`, and `l-bfgs-b` of `minimize`.

Derivatives are by JAX, the rows of the Jacobian point by point. They start again where they end by
a tolerance, until time is up or a start changes nothing.
"""

import equations
import jax
import numpy as np
import protocol
import scipy.optimize

TINY = np.finfo(float).eps


class TimeIsUp(Exception):
    """Ends a call of SciPy."""


class Counted:
    """Functions of one array of parameters; every derivative is a step."""

    def __init__(self, problem, recorder):
        start = problem.weights
        self.recorder, self.like = recorder, [(np.asarray(w), np.asarray(b)) for w, b in start]
        self.last = protocol.flat(start)

        def residuals(vector):
            return problem.residuals(protocol.unflat(vector, self.like))

        self.compiled = jax.jit(residuals)
        self.compiled_jacobian = jax.jit(
            lambda vector: problem.jacobian(protocol.unflat(vector, self.like))
        )
        self.compiled_both = jax.jit(
            jax.value_and_grad(lambda vector: (residuals(vector) ** 2).sum() / 2)
        )

    def residuals(self, vector):
        return np.asarray(self.compiled(vector))

    def jacobian(self, vector):
        self.say(vector)
        return np.asarray(self.compiled_jacobian(vector))

    def both(self, vector):
        value, slope = self.compiled_both(vector)
        return float(value), np.asarray(slope)

    def say(self, vector):
        self.last = np.array(vector)
        if self.recorder.step(lambda: protocol.unflat(self.last, self.like)):
            raise TimeIsUp


def solve(method, counted, start):
    """One call of SciPy without tolerances; the last parameters."""
    if method == "l-bfgs-b":
        options = {"maxiter": 10**9, "maxfun": 10**9, "ftol": 0.0, "gtol": 0.0, "maxcor": 50}
        found = scipy.optimize.minimize(
            counted.both, start, jac=True, method="L-BFGS-B", callback=counted.say, options=options
        )
        return found.x
    return scipy.optimize.least_squares(
        counted.residuals, start, counted.jacobian, method=method, ftol=TINY, xtol=TINY, gtol=TINY,
        max_nfev=10**9,
    ).x  # fmt: skip


def main():
    method, task, recorder = protocol.start(["scipy", "jax"])
    problem = equations.Problem(task)
    counted = Counted(problem, recorder)
    start = counted.last
    for function in (counted.compiled, counted.compiled_jacobian, counted.compiled_both):
        jax.block_until_ready(function(start))
    recorder.compiled(problem.loss(problem.weights), problem.weights)
    why = "time"
    try:
        while True:
            end = solve(method, counted, start)
            counted.say(end)
            if np.array_equal(end, start):
                why = "a new start changed nothing"
                break
            start = end
    except TimeIsUp:
        pass
    recorder.end(protocol.unflat(counted.last, counted.like), why)


main()
