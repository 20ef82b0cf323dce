"""Names that the command line lists: known without importing what they stand for.

The registries say the same (a test compares them), but importing those takes seconds.
"""

# ruff: noqa: E501  (a line a name)

Lines = dict[str, str]  # a name, and what it is

# By what they train.
OPTIMIZERS: dict[str, Lines] = {
    "residuals of a PDE, and energies": {
        "engd-tr": (
            "Energy natural gradient, ratio-controlled damping, curvature-corrected candidates."
        ),
        "engd": (
            "Energy natural gradient as published: pseudo-inverse of the Gram matrix, grid line search."
        ),
        "engd-w": (
            "Damped energy natural gradient in the dual (kernel) form: A^T (A A^T + damping)^-1 b."
        ),
        "engd-nystrom": (
            "ENGD-W by a randomized Nystrom approximation of A A^T, in the form without QR, for GPUs."
        ),
        "hessian-free": (
            "Hessian-free: Gauss-Newton products, conjugate gradients cut short by their progress."
        ),
        "ngd-exact": (
            "Exact natural gradient of a wide network: the minimum-norm step, undamped, at a fixed rate."
        ),
    },
    "residuals of a PDE": {
        "spring": "ENGD-W with the Kaczmarz-style momentum of SPRING.",
        "engd-sub": "Energy natural gradient of a random part of the rows, judged by another: large networks.",
        "kfac-pinn": (
            "K-FAC for PDE residuals: Kronecker factors of each term, steps from the quadratic model."
        ),
        "scipy-lm": "MINPACK's Levenberg-Marquardt through SciPy, with this package's Jacobian.",
    },
    "states, or a network on a grid": {
        "wngd": (
            "Natural gradient in a metric of the state (default: Wasserstein), Armijo line search."
        ),
    },
    "exponential families": {
        "sngd": "Natural gradient of an exponential family, in the metric at the iterate.",
        "megd": (
            "Gradient descent of an exponential family, in the metric at the start: maximum"
            " entropy."
        ),
        "csngd": (
            "Convergent natural gradient of an exponential family: metric on a slow path of its"
            " own."
        ),
        "dsngd": (
            "Dual natural gradient: metric of the joint model that the data so far make most"
            " likely."
        ),
    },
    "classification, in minibatches": {
        "ngd": "Natural gradient of a minibatch by a dense solver, for small networks.",
        "ngd-woodbury": (
            "Natural gradient of a minibatch by Woodbury's identity: a matrix of rows x rows."
        ),
        "ngd-cg": (
            "Natural gradient of a minibatch by a few warm-started conjugate-gradient iterations."
        ),
        "kfac": (
            "K-FAC: Kronecker factors of layer inputs and output gradients, kept for several steps."
        ),
        "ekfac": "EKFAC: the eigenbasis of K-FAC with the second moments of gradients in it.",
        "seng": (
            "SENG: Woodbury's identity layer by layer on the gradients of a batch, sketched and"
            " kept."
        ),
        "sp-ngd": (
            "SP-NGD: K-FAC for large batches, every statistic as old as it may be, 2 x 2 blocks of"
            " norms."
        ),
        "tngd": (
            "Thermodynamic natural gradient: a simulated analog device read at a time, 0 being SGD."
        ),
        "tngd-adam": (
            "Thermodynamic natural gradient handed to Adam; with both betas zero, its sign."
        ),
        "spectral-clipping": (
            "Gradient descent with curvature modes above 1 scaled down to 1: the filter min(1, 1/a)."
        ),
    },
    "variational Gaussian processes": {
        "ngd-gp": (
            "Natural gradients of the normal distributions in a Gaussian process model, Adam for"
            " the rest."
        ),
    },
    "anything, by its gradient": {
        "gd": "Gradient descent with the 31-point grid line search.",
        "adam": "Adam, by default with the schedule of the ENGD paper.",
        "nncg": (
            "NysNewton-CG: damped Newton, its conjugate gradients preconditioned by random products."
        ),
        "lbfgs": "L-BFGS with the zoom line search, from Optax.",
        "bfgs": "BFGS with a dense inverse Hessian and a zoom line search.",
        "ssbroyden": "Self-scaled Broyden with a dense inverse Hessian and a zoom line search.",
        "ssbfgs": "Self-scaled BFGS with a dense inverse Hessian and a zoom line search.",
        "muon": "Muon for the matrices of a network, Adam for the rest, from Optax.",
        "sgd": "Stochastic gradient descent with momentum, that of Nesterov where `nesterov` says so.",
        "signsgd": (
            "Descent along the sign of the gradient: what Adam is when both its betas are zero."
        ),
    },
}

METRICS: Lines = {
    "energy": "Hessian of the objective in function space: Gauss-Newton",
    "euclidean": "Euclidean metric of the parameters: plain gradient descent",
    "dually-flat": "Fisher metric of an exponential family, by its coordinates",
    "l2": "L2 metric of the state",
    "h1": "H1 metric of the state",
    "h2": "H2 metric of the state, as of a residual of second order",
    "h1-homogeneous": "L2 metric of the gradient of the state, zero for constants",
    "h-1": "H-1 metric of the state",
    "h-1-homogeneous": "H-1 metric of the state, zero for constants",
    "fisher-rao": "Fisher-Rao metric of a positive state",
    "wasserstein": "Wasserstein-2 metric of a positive state: transport of mass",
    "wasserstein-central": (
        "Wasserstein-2 metric with the central differences of Nurbekyan, Lei and Yang's code"
    ),
    "wasserstein-kernel": "Wasserstein-2 metric of a density that is known by its samples",
}

SOLVERS: Lines = {
    "qlp": ("two QR factorizations, then a Cholesky factor for each damping above zero"),
    "spectral": (
        "one factorization for every damping; QR or Gram matrix, whichever the damping allows"
    ),
    "spectral-gram": (
        "one factorization for every damping, from the Gram matrix: fast, for larger dampings"
    ),
    "spectral-qr": (
        "one factorization for every damping, from QR and the SVD of R: safe for every damping"
    ),
    "qr": "QR of the damped operator; does not square the condition number",
    "svd": "singular values of the damped operator; the slowest and most robust",
    "cholesky": "Cholesky of the damped normal equations; falls back on the SVD and reports it",
    "cg": "conjugate gradients on the damped normal equations; matrix-free",
    "lsmr": "LSMR on the damped operator; matrix-free",
    "spu": (
        "a simulated analog device, without noise, after 1e6 time constants; exact by eigenvalues"
    ),
}

# What a problem file builds tells its kind: the first of these names that stands in it.
PROBLEMS = {
    "LikelihoodObjective": "exponential families",
    "GenerativeClassifier": "exponential families",
    "classification_problem": "classification",
    "ClassificationObjective": "classification",
    "EvidenceLowerBound": "Gaussian processes",
    "sentiment_problem": "fine-tuning of an encoder",
    "span_problem": "fine-tuning of an encoder",
    "StateMisfit": "densities, waves and other states",
    "StateObjective": "densities, waves and other states",
    "SampleObjective": "densities, waves and other states",
    "EnergyObjective": "least energies",
    "orthonormal": "eigenvalues",
    "WithUnknowns": "unknown coefficients from data",
    "plot_sweep": "equations for all values of a parameter",
    "SpaceTime": "equations in space and time",
    "ResidualObjective": "stationary equations",
}
OTHERS = "others"


def by_kind(problems: Lines, texts: Lines) -> dict[str, Lines]:
    """Problems in groups of one kind, in the order of `PROBLEMS` backwards: equations first."""
    kinds = {name: kind_of(text) for name, text in texts.items()}
    order = [*dict.fromkeys(reversed(PROBLEMS.values())), OTHERS]
    groups = {kind: {n: d for n, d in problems.items() if kinds[n] == kind} for kind in order}
    return {kind: lines for kind, lines in groups.items() if lines}


def kind_of(text: str) -> str:
    """What a problem file is about, by what it names."""
    return next((kind for name, kind in PROBLEMS.items() if name in text), OTHERS)
