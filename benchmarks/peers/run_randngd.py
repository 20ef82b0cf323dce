"""randngd with its defaults: `full`, `rpchol` and `nystrom` are three solves of the same system."""

import equations
import protocol
import randngd
import stepping


def preconditioner(method, problem, seed):
    """The method by its name; the randomized ones have ranks up to half the parameters."""
    terms = [(problem.at_row(k), problem.rows(k), 1.0) for k in range(len(problem.parts))]
    kind = "full" if method == "full" else "jacobians"
    metric = randngd.metrics.gauss_newton(terms, problem.weights, representation=kind)
    if method == "full":
        return randngd.NGDFull(metric, key=seed)
    rank = min(500, protocol.flat(problem.weights).size // 40 * 20)
    kinds = {"rpchol": randngd.RPCholNGD, "nystrom": randngd.NystromNGD}
    return kinds[method](metric, ell_max=rank, key=seed)


def main():
    method, task, recorder = protocol.start(["randngd", "optimistix", "jax"])
    problem = equations.Problem(task)
    solver = randngd.ngd_solver(preconditioner(method, problem, task.seed))
    stepping.run(recorder, solver, problem.loss, problem.weights, {}, problem.loss)


main()
