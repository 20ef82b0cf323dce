"""What two processes do with one folder: refuse what differs, run, resume, and lose one of them.

`python several_runs.py FOLDER LOST [PROCESSES RANK PORT]`: process number LOST dies in the end.
"""

import json
import os
import sys
from pathlib import Path

from tests.several import join


def main():
    folder, lost = Path(sys.argv[1]), int(sys.argv[2])
    join(sys.argv[3:])
    import jax

    from pinn_ngd.experiments import run_problem
    from pinn_ngd.storage.checkpoint import Checkpoint
    from pinn_ngd.training import train
    from tests.tiny import tiny

    rank, mesh = jax.process_index(), jax.device_count()
    told = {}

    def run(steps, **settings):
        return run_problem(
            tiny(), "adam", out=folder / "run", steps=steps, pictures=False, mesh=mesh, **settings
        )

    def refused(name, call):
        try:
            call()
        except ValueError as error:
            told[name] = str(error)

    refused("steps", lambda: run(10 + rank))
    jax.config.update("jax_enable_x64", rank == 0)
    refused("precision", lambda: run(10))
    jax.config.update("jax_enable_x64", True)
    assert not (folder / "run" / "config.json").exists()
    told["first"] = run(200)["loss"]
    told["resumed"] = run(300, resume=True)["loss"]
    (folder / f"told-{rank}.json").write_text(json.dumps(told))

    problem, count = tiny(), 0
    model = problem.model(jax.random.key(0))

    def evaluate(_):
        nonlocal count
        count += 1
        if rank == lost and count == 3:
            os._exit(3)
        return {}

    result = train(
        problem.objective_at(model), model, "adam", steps=10_000, key=0, mesh=mesh,
        evaluate=evaluate, evaluate_every=1000, checkpoint=Checkpoint(folder / "lost.eqx", 0.0),
    )  # fmt: skip
    told |= {"status": result.status, "message": result.message}
    (folder / f"told-{rank}.json").write_text(json.dumps(told))
    os._exit(0)  # at its end JAX would wait for the lost process


if __name__ == "__main__":
    main()
