"""The rate of exact natural gradients by width, beside those of gradient descent and K-FAC."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

jax.config.update("jax_enable_x64", True)
from figures.exact_rate import (
    INPUTS,
    RATE,
    STEPS,
    TwoLayers,
    iterates,
    kernel,
    random_data,
    regression,
)
from figures.recipes import Job, Made, recorded
from figures.recipes.descents import descent
from pinn_ngd import ClassificationObjective, Shuffled, optimizers
from pinn_ngd.experiments import plotting
from pinn_ngd.experiments.plotting.style import cycled, decades, new_figure

WIDTHS = (64, 512, 4096, 16384)
WAYS = {"exact": False, "by layer, $\\eta / L$": True}
SEEDS = 3
DESCENT, EVERY = 1000, 10  # steps of gradient descent, and between two of its points
FEATURES, FORGET = 30, 40  # fewer than there are targets, and steps until (1 - rate)^k is nothing
# K-FAC: networks of this width that start this near to their targets, so that nothing but the
# metric tells them apart.
WIDE, NEAR, EXAMPLES = 256, 1e-6, 16
DIMENSIONS = {"16 examples in 20 dimensions": 20, "16 examples in 8 dimensions": 8}
SPREADS = (1.0, 0.3, 0.1, 0.03, 0.01)  # of the inputs around one direction
DAMPINGS = (1e-12, 1e-8, 1e-4)


class FirstLayer(eqx.Module):
    """a relu(W x) / sqrt(m), a = 1, -1, 1, ...: only W is trained, which is a layer of its own."""

    linear: eqx.nn.Linear

    def __init__(self, inputs: int, width: int, key: Array):
        layer = eqx.nn.Linear(inputs, width, use_bias=False, key=key)
        weight = jax.random.normal(key, (width, inputs))
        self.linear = eqx.tree_at(lambda one: one.weight, layer, weight)

    def signs(self) -> Array:
        """a / sqrt(m)."""
        width = self.linear.weight.shape[0]
        return jnp.where(jnp.arange(width) % 2, -1.0, 1.0) / width**0.5

    def __call__(self, x: Array) -> Array:
        return (self.signs() @ jax.nn.relu(self.linear(x)))[None]


def make(job: Job) -> Made:
    """Three panels and a table: drift by width, descent beside its prediction, K-FAC by spread."""
    widths = WIDTHS[:2] if job.quick else WIDTHS
    found = by_width(job, widths)
    descents = {m: descended(job, m) for m in widths}
    plateau = below_full_rank()
    kfac = by_spread(job)
    write_table(job, found, descents, plateau)
    draw(job, found, descents, kfac)
    results = {"widths": found, "descent": descents, "below full rank": plateau, "K-FAC": kfac}
    return recorded(job, [job.name], seeds=list(job.seeds(SEEDS)), results=results)


def by_width(job: Job, widths: tuple[int, ...]) -> dict[str, dict[int, list[list[float]]]]:
    """By way and width, for every seed: |r| after each step over |r| before it."""
    found: dict[str, dict[int, list[list[float]]]] = {}
    for name, by_layer in WAYS.items():
        optimizer = optimizers.get("ngd-exact", rate=RATE, by_layer=by_layer)
        found[name] = {}
        for width in widths:
            job.tell(f"{name}, width {width}")
            found[name][width] = [
                ratios(iterates(
                    regression(*random_data(seed)), network(width, seed), optimizer, STEPS
                ))
                for seed in job.seeds(SEEDS)
            ]  # fmt: skip
    return found


def network(width: int, seed: int) -> TwoLayers:
    return TwoLayers(INPUTS, width, 1, jax.random.key(seed))


def ratios(norms: list[float]) -> list[float]:
    return list(np.divide(norms[1:], norms[:-1]))


def descended(job: Job, width: int) -> dict[str, Any]:
    """|r| along gradient descent of the step 1 / lambda_max, and what the first kernel predicts.

    Where the kernel K stays r_k = (1 - K / lambda_max)^k r_0, whose last factor is 1 -
    lambda_min / lambda_max.
    """
    job.tell(f"gradient descent, width {width}")
    objective, model = regression(*random_data(0)), network(width, 0)
    matrix, residual = kernel(objective, model)
    values, vectors = np.linalg.eigh(matrix)
    optimizer = optimizers.get("sgd", rate=float(1 / values[-1]), momentum=0.0)
    batch = objective.batch(jax.random.key(0))
    points = (50 if job.quick else DESCENT) // EVERY
    losses = eqx.filter_jit(descent)(
        optimizer, objective, model, lambda _key, _number: batch,
        lambda m: objective.loss(m, batch), key=jax.random.key(0), points=points, between=EVERY,
    )  # fmt: skip
    steps = EVERY * np.arange(points + 1)
    parts = (1 - values / values[-1]) ** steps[:, None] * (vectors.T @ residual)
    norms = np.sqrt(np.asarray(losses) / float(losses[0]))
    return {
        "steps": steps.tolist(),
        "measured": norms.tolist(),
        "predicted": (np.linalg.norm(parts, axis=1) / np.linalg.norm(residual)).tolist(),
        "smallest": values[0],
        "largest": values[-1],
        "last rate": float((norms[-1] / norms[-3]) ** (1 / (2 * EVERY))),
        "predicted rate": 1 - values[0] / values[-1],
    }


class Waves(eqx.Module):
    """Linear in its coefficients."""

    coefficients: Array

    def __call__(self, x: Array) -> Array:
        waves = np.random.default_rng(2).standard_normal((len(self.coefficients), INPUTS))
        return (jnp.cos(2 * waves @ x + 1.0 * np.arange(len(waves))) @ self.coefficients)[None]


def below_full_rank() -> dict[str, float]:
    """Where 50 targets meet 30 coefficients: |r| / |r_0| at the end, and by least squares."""
    objective, model = regression(*random_data(0)), Waves(jnp.zeros(FEATURES))
    system = objective.system(model, objective.batch(jax.random.key(0)))
    rows, residual = np.asarray(system.operator.as_matrix()), kernel(objective, model)[1]
    least = residual - rows @ np.linalg.lstsq(rows, residual)[0]
    norms = iterates(objective, model, optimizers.get("ngd-exact", rate=RATE), FORGET)
    return {
        "measured": norms[-1],
        "least squares": float(np.linalg.norm(least) / np.linalg.norm(residual)),
    }


def spread_inputs(dimensions: int, spread: float) -> np.ndarray:
    """Unit vectors around one of them, 3 of `spread` apart: the smaller, the more collinear."""
    noise = np.random.default_rng(0).standard_normal((EXAMPLES, dimensions))
    inputs = np.eye(dimensions)[0] + spread * noise / dimensions**0.5
    return inputs / np.linalg.norm(inputs, axis=1, keepdims=True)


def by_spread(job: Job) -> dict[str, list[dict[str, Any]]]:
    """Contraction of |r| by K-FAC and by the exact natural gradient as inputs become collinear."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, dimensions in DIMENSIONS.items():
        found[name] = []
        for spread in SPREADS[:2] if job.quick else SPREADS:
            job.tell(f"K-FAC, {name}, spread {spread:g}")
            found[name].append(compared(spread_inputs(dimensions, spread)))
    return found


def compared(inputs: np.ndarray) -> dict[str, Any]:
    """The mean factor of |r| over `STEPS` steps, measured and predicted, by damping."""
    model = FirstLayer(inputs.shape[1], WIDE, jax.random.key(0))
    start = np.asarray(jax.vmap(model)(jnp.asarray(inputs)))
    targets = start + NEAR * np.random.default_rng(1).standard_normal(start.shape)
    exact = optimizers.get("ngd-exact", rate=RATE)
    kfac = ClassificationObjective(Shuffled(inputs, targets), loss="squared")
    slopes = np.asarray(model.signs()) * (inputs @ np.asarray(model.linear.weight).T > 0)
    values = np.linalg.svd(inputs, compute_uv=False) ** 2
    return {
        "condition": float(values[0] / values[-1]),
        "exact": mean_factor(iterates(regression(inputs, targets), model, exact, STEPS)),
        "measured": {
            damping: mean_factor(iterates(kfac, model, undamped(damping), STEPS))
            for damping in DAMPINGS
        },
        "predicted": {
            damping: predicted(inputs, slopes, (start - targets)[:, 0], damping)
            for damping in DAMPINGS
        },
    }


def undamped(damping: float) -> Any:
    """K-FAC as the theory has it, apart from a small damping.

    Its metric is a mean over n examples, as is the gradient, so that each pulls n times too far
    where the network can fit all: the rate is that of the exact natural gradient over n.
    """
    return optimizers.get(
        "kfac", rate=RATE / EXAMPLES, schedule="constant", damping=damping, adaption="fixed",
        fisher="ggn", momentum=0.0, rescale=False, decay=0.0, refresh_every=1,
    )  # fmt: skip


def predicted(inputs: np.ndarray, slopes: np.ndarray, residual: np.ndarray, damping: float) -> Any:
    """The mean factor of |r| where r <- (1 - rate H) r, H the product, entry by entry, of the
    damped hat matrices of the inputs X and of the slopes S, whose rows are du_i / d(W x_i).

    K-FAC's metric is (X^T X / n) x (S^T S / n). Without damping the hat matrix of S is the
    identity, so that H is the diagonal of leverages of the inputs: 1 for each example where they
    are linearly independent, however near they are to one another.
    """
    ratio = (np.sum(inputs**2) / inputs.shape[1] / (np.sum(slopes**2) / slopes.shape[1])) ** 0.5
    product = hat(inputs, ratio * damping**0.5) * hat(slopes, damping**0.5 / ratio)
    last = np.linalg.matrix_power(np.eye(EXAMPLES) - RATE * product, STEPS) @ residual
    return float((np.linalg.norm(last) / np.linalg.norm(residual)) ** (1 / STEPS))


def hat(rows: np.ndarray, damping: float) -> np.ndarray:
    """R (R^T R / n + damping)^-1 R^T / n."""
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    shares = values**2 / (values**2 + EXAMPLES * damping)
    return (left * shares) @ left.T


def mean_factor(norms: list[float]) -> float:
    return norms[-1] ** (1 / (len(norms) - 1))


def slopes_off(found: dict[int, list[list[float]]]) -> dict[int, list[float]]:
    """By width, for every seed: the relative distance of the mean factor from 1 - rate."""
    return {
        width: [abs(float(np.exp(np.mean(np.log(one)))) / (1 - RATE) - 1) for one in seeds]
        for width, seeds in found.items()
    }


def write_table(job: Job, found: Any, descents: Any, plateau: dict[str, float]) -> None:
    """Markdown: by width the factors of exact natural gradients and of gradient descent."""
    lines = [
        "| width | exact: steps | mean off by | by layer: steps | mean off by | λ_min | λ_max "
        "| descent, predicted | measured |",
        "|---:|---|---|---|---|---:|---:|---:|---:|",
    ]
    for width, one in descents.items():
        cells = [f"{width:,}"]
        for ways in found.values():
            factors, off = np.asarray(ways[width]), slopes_off(ways)[width]
            cells.append(f"{np.min(factors):.3f} to {np.max(factors):.3f}")
            cells.append(", ".join(f"{100 * part:.1f} %" for part in off))
        cells += [f"{one['smallest']:.3f}", f"{one['largest']:.2f}"]
        cells += [f"{one['predicted rate']:.4f}", f"{one['last rate']:.4f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(
        f"\nBelow full rank, {FEATURES} coefficients and 50 targets: |r| / |r at the start| = "
        f"{plateau['measured']:.12f}, by least squares {plateau['least squares']:.12f}."
    )
    (job.folder / f"{job.name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw(job: Job, found: Any, descents: Any, kfac: Any) -> None:
    with plotting.style():
        figure = new_figure(plotting.FULL_WIDTH, 3.8)
        drift, fall, collinear = figure.subplots(1, 3)
        for name, stroke in cycled(found).items():
            off = slopes_off(found[name])
            drift.loglog(list(off), [np.median(one) for one in off.values()], label=name,
                         **stroke._asdict())  # fmt: skip
            drift.loglog(list(off), list(off.values()), linestyle="", marker="o", markersize=3,
                         color=stroke.color)  # fmt: skip
        drift.axhline(0.01, color="0.6", linewidth=0.6, zorder=0)
        drift.set(title="exact natural gradient", xlabel="width",
                  ylabel="|mean factor / (1 - $\\eta$) - 1|")  # fmt: skip
        shown = {f"width {m:,}": descents[m] for m in (WIDTHS[0], WIDTHS[-1]) if m in descents}
        for label, stroke in cycled(shown).items():
            one = shown[label]
            fall.semilogy(one["steps"], one["measured"], label=label, **stroke._asdict())
            fall.semilogy(one["steps"], one["predicted"], color=stroke.color, linestyle=":",
                          linewidth=1.0, label=f"{label}, predicted")  # fmt: skip
        fall.set(title="gradient descent", xlabel="steps", ylabel="|r| / |r at the start|")
        draw_kfac(collinear, kfac)
        for ax in (drift, fall, collinear):
            ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.22))
        decades(drift.yaxis)
        plotting.save(figure, job.folder / job.name)


def draw_kfac(ax: Any, kfac: dict[str, list[dict[str, Any]]]) -> None:
    """Measured factors as marks, predicted ones as lines: 16 examples in 20 and in 8 dimensions."""
    (_, independent), (few, dependent) = kfac.items()
    curves = [(independent, damping, f"K-FAC, damping {damping:g}") for damping in DAMPINGS]
    curves.append((dependent, DAMPINGS[0], f"the first, {DIMENSIONS[few]} dimensions"))
    strokes = cycled([label for *_, label in curves]).values()
    for (found, damping, label), stroke in zip(curves, strokes, strict=True):
        at = [one["condition"] for one in found]
        ax.semilogx(at, [one["predicted"][damping] for one in found], **stroke._asdict())
        ax.semilogx(at, [one["measured"][damping] for one in found], linestyle="", marker="o",
                    markersize=3, color=stroke.color, label=label)  # fmt: skip
    both = [*independent, *dependent]
    ax.semilogx([one["condition"] for one in both], [one["exact"] for one in both], "k+",
                markersize=5, label="exact")  # fmt: skip
    ax.set(title="collinear inputs", xlabel="condition number of $X X^T$",
           ylabel="mean factor of |r| in a step", ylim=(0.45, 1.02))  # fmt: skip
