"""Seconds until something answers: importing JAX and the package, and the quick commands.

    python benchmarks/import_time.py
    python benchmarks/import_time.py --repeats 11

Medians over fresh processes, wall clock and processor time. `import pinn_ngd` loads next to nothing
(names are imported when they are asked for); `everything` asks for all of them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

EVERYTHING = "import pinn_ngd; [getattr(pinn_ngd, name) for name in dir(pinn_ngd)]"
COMMANDS = {
    "import jax": ["-c", "import jax"],
    "import pinn_ngd": ["-c", "import pinn_ngd"],
    "everything of pinn_ngd": ["-c", EVERYTHING],
    "pinn-ngd --help": ["-m", "pinn_ngd", "--help"],
    "pinn-ngd --version": ["-m", "pinn_ngd", "--version"],
    "pinn-ngd list": ["-m", "pinn_ngd", "list"],
}


def seconds_of(arguments: list[str]) -> tuple[float, float]:
    """Wall-clock and processor seconds of one fresh Python process."""
    begun, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - begun, os.times()
    used = after.children_user + after.children_system
    return wall, used - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("| what | seconds | processor seconds |\n|---|---:|---:|")
    for name, arguments in COMMANDS.items():
        pairs = [seconds_of(arguments) for _ in range(repeats)]
        wall, used = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"| {name} | {wall:.2f} | {used:.2f} |", flush=True)


if __name__ == "__main__":
    main()
