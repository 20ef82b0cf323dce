"""The bound of the banana data as a function of a kernel's variance, for a q that stays."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

jax.config.update("jax_enable_x64", True)
from figures.recipes import Job, Made, recorded
from figures.recipes.uci import two_classes
from pinn_ngd import Shuffled, optimizers
from pinn_ngd.applications import gp
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import cycled, new_figure
from pinn_ngd.models import MultivariateNormal

# V. Adam, P. E. Chang, M. E. Khan, A. Solin, NeurIPS 2021. Their 400 points are the last ones of
# the 5,300 of the KEEL repository.
SIZE, INDUCING, GAMMA, STEPS = 400, 100, 0.8, 10
LENGTH, VARIANCE, JITTER = 0.5, 0.6, 1e-6
VARIANCES = np.linspace(0.05, 1.0, 100)
WAYS = ("whitened q", "q of the values", "likelihood terms")


def make(job: Job) -> Made:
    """The bound after ten natural-gradient steps, as the variance changes and q does not."""
    inputs, labels = (array[-SIZE:] for array in two_classes("banana"))
    objective = gp.EvidenceLowerBound(Shuffled(inputs, labels))
    count = 10 if job.quick else INDUCING
    trained = {white: after(objective, inputs[:count], white) for white in (True, False)}
    variances = VARIANCES[::20] if job.quick else VARIANCES
    curves = {
        WAYS[0]: bounds(objective, trained[True], variances),
        WAYS[1]: bounds(objective, trained[False], variances),
        WAYS[2]: with_terms(objective, trained[False], variances),
    }
    best = bests(objective, trained[True], variances)
    trace = {f"whitened {white}": path(objective, inputs[:count], white) for white in trained}
    draw(job, variances, curves, best)
    facts = {"after ten steps": trace, "best variance": best_variances(variances, curves, best),
             "variances": variances.tolist(), "curves": curves, "optimum of q": best}  # fmt: skip
    return recorded(job, [job.name], seeds=[], results=facts)


def start(inducing: np.ndarray, whitened: bool) -> gp.GPModel:
    kernel = gp.RBF(LENGTH, VARIANCE)
    return gp.GPModel(
        gp.SVGP(kernel, inducing, whitened=whitened, jitter=JITTER), gp.Bernoulli("probit")
    )


def natural(steps: int) -> Any:
    return optimizers.get("ngd-gp", gamma=GAMMA, ramp=0, other_steps=0, natural_steps=steps)


@eqx.filter_jit
def moved(objective: Any, model: Any, steps: int) -> Any:
    """The model after so many natural-gradient steps."""
    optimizer, batch = natural(steps), objective.batch()
    state = optimizer.init(model, objective, batch)
    return optimizer.step(model, state, objective, batch, key=jax.random.key(0))[0]


def after(objective: Any, inducing: np.ndarray, whitened: bool) -> Any:
    return moved(objective, start(inducing, whitened), STEPS)


def path(objective: Any, inducing: np.ndarray, whitened: bool) -> list[float]:
    """The bound at the start and after each step."""
    model, found = start(inducing, whitened), []
    for _ in range(STEPS + 1):
        found.append(-float(objective.loss(model, objective.batch())))
        model = moved(objective, model, 1)
    return found


def of_variance(model: Any, variance: Any) -> Any:
    """The model with another variance of its kernel and everything else as it was."""
    raw = jnp.log(variance)
    return eqx.tree_at(lambda m: m.processes[0].kernel.variance.raw, model, raw)


def bounds(objective: Any, model: Any, variances: np.ndarray) -> list[float]:
    """The bound at each variance, the stored numbers of q unchanged."""

    @eqx.filter_jit
    def all_of_them(model: Any, variances: Array) -> Array:
        batch = objective.batch()
        return jax.lax.map(lambda v: -objective.loss(of_variance(model, v), batch), variances)

    return np.asarray(all_of_them(model, jnp.asarray(variances))).tolist()


def with_terms(objective: Any, model: Any, variances: np.ndarray) -> list[float]:
    """The bound at each variance for the q whose natural coordinates, less those of the prior,
    are unchanged: the sites lambda = S^-1 m and Lambda = S^-1 - K^-1 of t-SVGP."""
    q, factor = model.processes[0].q, model.processes[0].prior_factor()
    precision = jnp.linalg.inv(q.covariance)
    site, curvature = precision @ q.mean, precision - jnp.linalg.inv(factor @ factor.T)

    @eqx.filter_jit
    def all_of_them(model: Any, variances: Array) -> Array:
        batch = objective.batch()

        def at(variance: Array) -> Array:
            other = of_variance(model, variance)
            root = other.processes[0].prior_factor()
            inner = jnp.linalg.cholesky(jnp.eye(len(root)) + root.T @ curvature @ root)
            # S = R (I + R^T Lambda R)^-1 R^T with K = R R^T, which inverts no K.
            half = jax.scipy.linalg.solve_triangular(inner, root.T, lower=True)
            covariance = half.T @ half
            mean = covariance @ site
            new = MultivariateNormal(mean, jnp.linalg.cholesky(covariance))
            return -objective.loss(eqx.tree_at(lambda m: m.processes[0].q, other, new), batch)

        return jax.lax.map(at, variances)

    return np.asarray(all_of_them(model, jnp.asarray(variances))).tolist()


def bests(objective: Any, model: Any, variances: np.ndarray) -> list[float]:
    """The bound at each variance for the best q there: 30 natural-gradient steps more."""

    @eqx.filter_jit
    def all_of_them(model: Any, variances: Array) -> Array:
        batch = objective.batch()

        def at(variance: Array) -> Array:
            return -objective.loss(moved(objective, of_variance(model, variance), 30), batch)

        return jax.lax.map(at, variances)

    return np.asarray(all_of_them(model, jnp.asarray(variances))).tolist()


def best_variances(
    variances: np.ndarray, curves: dict[str, list[float]], best: list[float]
) -> dict[str, float]:
    """Where each curve is highest: what a full step of the hyperparameters would choose."""
    every = {**curves, "the best q": best}
    return {name: float(variances[np.nanargmax(curve)]) for name, curve in every.items()}


def draw(job: Job, variances: np.ndarray, curves: Any, best: list[float]) -> None:
    with plotting.style():
        figure = new_figure(plotting.COLUMN_WIDTH, 3.0)
        ax = figure.subplots()
        for name, stroke in cycled(curves).items():
            ax.plot(variances, curves[name], label=name, **stroke._asdict())
        ax.plot(variances, best, "k:", label="the best q")
        ax.axvline(VARIANCE, color="0.6", linewidth=0.6, zorder=0)
        top = max(best)
        ax.set(xlabel="variance of the kernel", ylabel="ELBO", ylim=(top - 60, top + 5))
        ax.legend()
        plotting.save(figure, job.folder / job.name)
