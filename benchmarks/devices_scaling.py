"""One step of `engd-tr` in one process and in two, each with one device and one thread.

    python benchmarks/devices_scaling.py            # a few minutes
    python benchmarks/devices_scaling.py --quick

Strong scaling: the same points in one process and shared by two. Weak scaling: as many points for
each of two processes as for one. Prints milliseconds by the clock on the wall, the smallest of all
repeats since other programs only add to it, and the milliseconds of processor time of a process,
which do not see the waiting. The processes talk over loopback by gloo.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LIMIT = 300.0  # seconds for all processes of one measurement
FLAGS = "--xla_force_host_platform_device_count=1 --xla_cpu_multi_thread_eigen=false"


def child(processes: int, rank: int, port: int, rows: int, parameters: int, repeats: int) -> None:
    """Print the milliseconds of a step: smallest by the clock, mean of the processor's."""
    import jax

    jax.config.update("jax_enable_x64", True)
    if processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", processes, rank)
    import scipy.linalg  # noqa: F401  (loads the OpenBLAS that is limited below)
    from scaling import build

    from pinn_ngd import optimizers
    from pinn_ngd.training.advance import Carry, as_arrays
    from pinn_ngd.training.devices import compiled_on, mesh_of
    from pinn_ngd.training.processes import Processes
    from pinn_ngd.training.threads import blas_threads

    objective, model = build(rows, parameters)
    optimizer, start = optimizers.get("engd-tr", solver="spectral-qr"), as_arrays(model)
    batch = as_arrays(objective.batch(jax.random.key(0)))
    state = as_arrays(optimizer.init(model, objective, batch))
    mesh = mesh_of(jax.device_count())
    key, first, limit = jax.random.key(1), np.int32(0), np.int32(1)
    args = optimizer, objective, Carry(start, start, state), batch, key, first, limit
    with blas_threads(1):
        call = compiled_on(Processes(mesh), 1, *args)
        jax.block_until_ready(call(*args)[0].model.layers)
        walls, begun = [], time.process_time()
        for _ in range(repeats):
            since = time.perf_counter()
            jax.block_until_ready(call(*args)[0].model.layers)
            walls.append(time.perf_counter() - since)
        spent = (time.process_time() - begun) / repeats
    print("measured", 1e3 * min(walls), 1e3 * spent, flush=True)


def measure(processes: int, rows: int, parameters: int, repeats: int) -> tuple[float, float]:
    """Milliseconds of a step by the clock, and of the processor in each process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": FLAGS}
    numbers = [processes, port, rows, parameters, repeats]
    started = []
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / f"{rank}.txt" for rank in range(processes)]
        for rank, log in enumerate(logs):
            words = [sys.executable, __file__, "--child", str(rank), *map(str, numbers)]
            with open(log, "w") as out:
                started.append(
                    subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, env=environment)
                )
        try:
            codes = [process.wait(timeout=LIMIT) for process in started]
        finally:
            for process in started:
                if process.poll() is None:
                    process.kill()
        texts = [log.read_text() for log in logs]
    if any(codes):
        raise SystemExit("\n".join(texts))
    lines = [line for text in texts for line in text.splitlines() if line.startswith("measured")]
    found = np.array([[float(word) for word in line.split()[1:]] for line in lines])
    return float(found[:, 0].max()), float(found[:, 1].mean())


def main(rows: int, parameters: int, repeats: int) -> None:
    """Print the table."""
    heads = "processes", "parameters", "rows", "ms a step", "processor ms a process", "ratio"
    print("| " + " | ".join([*heads, "ratio of processor times"]) + " |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    alone = measure(1, rows, parameters, repeats)
    print(f"| 1 | {parameters} | {rows} | {alone[0]:.0f} | {alone[1]:.0f} | | |", flush=True)
    for count, more in ((rows, 1), (2 * rows, 2)):
        wall, spent = measure(2, count, parameters, repeats)
        ratios = more * alone[0] / wall, more * alone[1] / spent
        said = f"{wall:.0f} | {spent:.0f} | {ratios[0]:.2f} | {ratios[1]:.2f}"
        print(f"| 2 | {parameters} | {count} | {said} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        rank, processes, port, rows, parameters, repeats = (int(word) for word in sys.argv[2:])
        child(processes, rank, port, rows, parameters, repeats)
    else:
        parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
        parser.add_argument("--rows", type=int, default=8000)
        parser.add_argument("--parameters", type=int, default=257)
        parser.add_argument("--repeats", type=int, default=20)
        parser.add_argument("--quick", action="store_true", help="a small system, to see it work")
        asked = parser.parse_args()
        size = (400, 33, 3) if asked.quick else (asked.rows, asked.parameters, asked.repeats)
        main(*size)
