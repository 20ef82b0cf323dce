"""The two experiments of GPJax's tutorial on natural gradients, by this package and by GPJax.

    python benchmarks/gpjax_tutorial.py

Data, keys and settings are those of the notebook "Natural gradients in practice" of GPJax 1.0. One:
200 data of sin(2 x), 20 inducing inputs, a start far away; how many steps of Adam come within 10
and 1 nats of the best bound, and what one natural-gradient step leaves. Two: 1,600 labels, batches
of 256, 1,000 steps, q not whitened; from which step on natural gradients are below the last loss of
Adam alone, both as means of 25 steps. GPJax itself runs where it is installed (extra `oracles`).
Its batches are drawn with replacement, ours without.
"""

import importlib
import importlib.util
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

jax.config.update("jax_enable_x64", True)
from pinn_ngd import Shuffled, models, optimizers, train
from pinn_ngd.applications import gp
from pinn_ngd.models import MultivariateNormal

DATA, INDUCING, NOISE, ADAM_STEPS, NEAR = 200, 20, 0.3, 2000, (10.0, 1.0)
POINTS, LEARNED, BATCH, STEPS, WINDOW, RAMP = 2000, 1600, 256, 1000, 25, 100
PUBLISHED = "published: 867 and 1800 steps; step 117, last 323.98 and 335.31, NLPD 0.166 and 0.169"


class Squashed(gp.AbstractLikelihood):
    """P(y = 1 | f) = (1 - 2e-3) Phi(f) + 1e-3, the inverse link of GPJax."""

    nodes: int = 20

    def log_density(self, f: Any, y: Any) -> Any:
        one = self.conditional_mean(f)
        return y * jnp.log(one) + (1 - y) * jnp.log1p(-one)

    def conditional_mean(self, f: Any) -> Any:
        return (1 - 2e-3) * jax.scipy.stats.norm.cdf(f[0]) + 1e-3


def regression() -> dict[str, Any]:
    """Inputs, targets, inducing inputs, and the mean and the root of the first q."""
    key, at, noise = jax.random.split(jax.random.key(123), 3)
    x = jax.random.uniform(at, (DATA, 1), minval=-3.0, maxval=3.0)
    y = jnp.sin(2 * x) + NOISE * jax.random.normal(noise, (DATA, 1))
    _, of_mean, of_root = jax.random.split(key, 3)
    factor = 0.3 * jax.random.normal(of_root, (INDUCING, INDUCING))
    return {
        "x": x, "y": y, "inducing": jnp.linspace(-3.0, 3.0, INDUCING)[:, None],
        "mean": jax.random.normal(of_mean, (INDUCING, 1)),
        "root": jnp.linalg.cholesky(factor @ factor.T + 0.5 * jnp.eye(INDUCING)),
    }  # fmt: skip


def banana() -> dict[str, Any]:
    """Inputs and labels to learn and to test, and inducing inputs on a grid."""
    at, of_labels = jax.random.split(jax.random.key(42))
    x = jax.random.uniform(at, (POINTS, 2), minval=-3.0, maxval=3.0)
    one = jax.nn.sigmoid(3 * (x[:, 1] - (0.7 * x[:, 0] ** 2 - 1.5)))
    y = (jax.random.uniform(of_labels, (POINTS,)) < one).astype(float)
    grid = jnp.meshgrid(jnp.linspace(-2.8, 2.8, 10), jnp.linspace(-2.8, 2.8, 5))
    inducing = jnp.stack([axis.ravel() for axis in grid], axis=1)
    return {"x": x[:LEARNED], "y": y[:LEARNED], "test_x": x[LEARNED:], "test_y": y[LEARNED:],
            "inducing": inducing}  # fmt: skip


def ours_of_regression(data: dict[str, Any]) -> tuple[float, list[float]]:
    """Nats from the best bound after one natural-gradient step, and along Adam."""
    x, y, kernel = data["x"], data["y"][:, 0], gp.RBF(0.5)
    process = gp.SVGP(models.Frozen(kernel), data["inducing"], train_inducing=False)
    process = eqx.tree_at(
        lambda p: p.q, process, MultivariateNormal(data["mean"][:, 0], data["root"])
    )
    model = gp.GPModel(process, gp.GaussianNoise(models.Frozen(models.Positive(NOISE**2))))
    objective = gp.EvidenceLowerBound(Shuffled(np.asarray(x), np.asarray(y)))
    best = float(gp.SGPR(kernel, data["inducing"], x, y, noise=NOISE**2).bound())
    one = optimizers.get("ngd-gp", gamma=1.0, ramp=0, other_steps=0)
    after = train(objective, model, one, steps=1, key=0).model
    adam = optimizers.get("adam", rate=1e-2)
    steps = train(objective, model, adam, steps=ADAM_STEPS, key=0, stride=1)
    losses = [float(line["loss"]) for line in steps.history]
    return best + float(objective.loss(after, objective.batch())), [v + best for v in losses]


def ours_of_banana(data: dict[str, Any], natural: bool) -> dict[str, Any]:
    """The losses before all steps, that of all data at the end, milliseconds a step, and scores."""
    process = gp.SVGP(gp.RBF(1.0), data["inducing"], whitened=False, jitter=1e-6)
    count = len(data["inducing"])
    process = eqx.tree_at(
        lambda p: p.q, process, MultivariateNormal(jnp.zeros(count), jnp.eye(count))
    )
    model = gp.GPModel(process, Squashed())
    arrays = np.asarray(data["x"]), np.asarray(data["y"])
    objective = gp.EvidenceLowerBound(Shuffled(*arrays, BATCH))
    optimizer = optimizers.get("ngd-gp", gamma=0.1, gamma_start=1e-4, ramp=RAMP, rate=1e-2)
    if not natural:
        optimizer = optimizers.get("adam", rate=1e-2)
    times: list[float] = []
    result = train(objective, model, optimizer, steps=STEPS, key=1, stride=1,
                   callbacks=lambda _: times.append(time.process_time()))  # fmt: skip
    mean = result.model.predictive_mean(data["test_x"])
    losses = [float(line["loss"]) for line in result.history]
    whole = gp.EvidenceLowerBound(Shuffled(*arrays))
    return {"losses": losses, "all": float(whole.loss(result.model, whole.batch())),
            "ms": 1e3 * float(np.median(np.diff(times))),
            **scores(mean, data["test_y"])}  # fmt: skip


def scores(one: Any, y: Any) -> dict[str, float]:
    """Accuracy and NLPD of the probabilities of a one."""
    nlpd = -jnp.mean(y * jnp.log(one) + (1 - y) * jnp.log1p(-one))
    return {"accuracy": float(jnp.mean((one > 0.5) == (y > 0.5))), "nlpd": float(nlpd)}


def theirs_of_regression(data: dict[str, Any]) -> tuple[float, list[float]]:
    """The same by GPJax; its best bound is that after two steps, which are a fixed point."""
    gpjax, natural, paramax = (
        importlib.import_module(n) for n in ("gpjax", "gpjax.natural_gradients", "paramax")
    )
    kernel = gpjax.kernels.RBF(lengthscale=0.5)
    mean = gpjax.mean_functions.Constant()
    prior = gpjax.gps.Prior(mean_function=mean, kernel=kernel, jitter=1e-8)
    family = gpjax.variational_families.WhitenedVariationalGaussian(
        prior * gpjax.likelihoods.Gaussian(obs_stddev=NOISE), data["inducing"],
        data["mean"], data["root"],
    )  # fmt: skip
    known = gpjax.Dataset(X=data["x"], y=data["y"])
    normal, rest = natural.partition_variational(family)
    bounds, moved = [], normal
    for _ in range(3):
        moved, loss = natural.natural_gradient_step(moved, rest, known, _loss, 1.0)
        bounds.append(float(loss))  # before the step
    frozen = eqx.combine(normal, paramax.non_trainable(rest))
    _, history = gpjax.fit(
        model=frozen, objective=_loss, train_data=known, optim=optax.adam(1e-2),
        num_iters=ADAM_STEPS, key=jax.random.key(0), verbose=False,
    )  # fmt: skip
    return bounds[1] - bounds[2], [float(v) - bounds[2] for v in history]


def theirs_of_banana(data: dict[str, Any], natural: bool) -> dict[str, Any]:
    """The same by GPJax."""
    gpjax, paramax = (importlib.import_module(name) for name in ("gpjax", "paramax"))
    kernel = gpjax.kernels.RBF(active_dims=[0, 1])
    prior = gpjax.gps.Prior(mean_function=gpjax.mean_functions.Zero(), kernel=kernel)
    family = gpjax.variational_families.VariationalGaussian(
        prior * gpjax.likelihoods.Bernoulli(), data["inducing"]
    )
    known = gpjax.Dataset(X=data["x"], y=data["y"][:, None])
    common = dict(
        model=family, objective=_loss, train_data=known, optim=optax.adam(1e-2),
        batch_size=BATCH, num_iters=STEPS, key=jax.random.key(1), verbose=False,
    )  # fmt: skip
    gamma = optax.exponential_decay(1e-4, RAMP, 1000.0, end_value=1e-1)

    def run() -> Any:
        return gpjax.fit_natgrads(**common, natgrad_lr=gamma) if natural else gpjax.fit(**common)

    jax.block_until_ready(run()[1])
    begun = time.process_time()
    found, history = run()
    losses = [float(v) for v in history]
    each = 1e3 * (time.process_time() - begun) / STEPS
    plain = paramax.unwrap(found)
    one = plain.model.likelihood(plain(data["test_x"])).mean
    return {"losses": losses, "all": float(_loss(plain, known)), "ms": each,
            **scores(one, data["test_y"])}  # fmt: skip


def _loss(family: Any, data: Any) -> Any:
    return -importlib.import_module("gpjax").objectives.elbo(family, data)


def told_of_regression(who: str, gap: float, adam: list[float]) -> None:
    reached = [next((i for i, v in enumerate(adam) if v < near), None) for near in NEAR]
    print(f"{who}: one natural step leaves {gap:.1e} nats; Adam is within 10 after {reached[0]} "
          f"steps, within 1 after {reached[1]}, and {adam[-1]:.2f} away at the end")  # fmt: skip


def told_of_banana(who: str, natural: dict[str, Any], adam: dict[str, Any]) -> None:
    window = np.ones(WINDOW) / WINDOW
    smooth = [np.convolve(run["losses"], window, mode="valid") for run in (natural, adam)]
    below = np.flatnonzero(smooth[0] < smooth[1][-1])
    step = int(below[0]) + WINDOW - 1 if below.size else None
    print(f"{who}: natural gradients are below the last loss of Adam at step {step}")
    for name, run, last in (("natural", natural, smooth[0]), ("Adam", adam, smooth[1])):
        print(f"{who}, {name}: last loss {last[-1]:.2f}, of all data "
              f"{run['all']:.2f}, accuracy {100 * run['accuracy']:.2f} %, "
              f"NLPD {run['nlpd']:.4f}, {run['ms']:.2f} processor ms a step")  # fmt: skip


def main() -> None:
    print(PUBLISHED)
    one, two = regression(), banana()
    told_of_regression("ours", *ours_of_regression(one))
    told_of_banana("ours", ours_of_banana(two, True), ours_of_banana(two, False))
    if importlib.util.find_spec("gpjax") is None:
        print("GPJax is not installed: pip install 'pinn-ngd[oracles]'")
        return
    told_of_regression("GPJax", *theirs_of_regression(one))
    told_of_banana("GPJax", theirs_of_banana(two, True), theirs_of_banana(two, False))


if __name__ == "__main__":
    main()
