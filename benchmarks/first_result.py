"""Processor seconds from the start of Python to the first step and to the result, and programs.

    PINN_NGD_CACHE=kept python benchmarks/first_result.py  # twice: without and with it

Runs five steps of a problem as the command line does, without pictures, and prints when the first
step and the run had ended, how many programs were compiled and which took longest.
"""

import argparse
import collections
import tempfile
import time
from typing import Any

import jax
import jax._src.compiler as compiler

import pinn_ngd
from pinn_ngd.cli.compiled import keep_compiled
from pinn_ngd.experiments import run_problem
from pinn_ngd.training import AbstractCallback

SHOWN = 8
now = time.process_time


def counted() -> dict[str, list[float]]:
    """Seconds of every compilation from now on, by the name of the program."""
    found: dict[str, list[float]] = collections.defaultdict(list)
    compile_module = compiler.backend_compile_and_load

    def timed(backend: Any, module: Any, *args: Any, **keywords: Any) -> Any:
        begun = now()
        executable = compile_module(backend, module, *args, **keywords)
        name = str(module.operation.attributes["sym_name"]).strip('"')
        found[name].append(now() - begun)
        return executable

    compiler.backend_compile_and_load = timed
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem", nargs="?", default="poisson-2d-icml23")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    programs = counted()
    keep_compiled()
    print(f"imports: {now():.1f} s")
    first: list[float] = []

    class First(AbstractCallback):
        def on_step(self, record: Any, model: Any) -> None:
            del record, model
            first.append(now())

    problem = pinn_ngd.load_problem(options.problem)
    with tempfile.TemporaryDirectory() as out:
        run_problem(problem, steps=5, out=out, pictures=False, callbacks=[First()])
    spent = sum(map(sum, programs.values()))
    count = sum(map(len, programs.values()))
    print(f"first step: {first[0]:.1f} s, result: {now():.1f} s")
    print(f"{count} programs compiled in {spent:.1f} s")
    longest = sorted(programs.items(), key=lambda item: -sum(item[1]))[:SHOWN]
    for name, times in longest:
        print(f"  {name}: {len(times)} in {sum(times):.2f} s")


if __name__ == "__main__":
    main()
