"""Fine-tuning of an encoder by Adam, and by devices that are read after different times."""

from figures.recipes import learning

OPTIMIZERS = (
    "adam:rate=0.001",
    "tngd:rate=0.03:damping=1.0",
    *(f"tngd-adam:time={t}" for t in (1, 10, 100)),
)
SETTINGS = {"damping": 0.1, "schedule": "cosine", "decay_steps": 100}
make = learning("finetune-sentiment", OPTIMIZERS, seeds=2, steps=100, settings=SETTINGS)
