"""The command line: solve, compare, check, new, list, show, export, figures, cite.

Exit codes: 0 trained (also when the budget ended), 1 training failed, or a check, or a tolerance
was asked for and not reached, 2 bad usage or input, 130 interrupted, with the files kept.

JAX is set up and imported inside the commands, so that `--help`, `list` and a mistyped option are
answered without it.
"""

import contextlib
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer

from .compiled import keep_compiled
from .devices import joined, leave, speaks, together
from .errors import honest
from .help import Command, Group
from .listing import listed
from .options import (
    Balance,
    Devices,
    Distributed,
    Fixed,
    Name,
    Normalize,
    OfCorrected,
    Out,
    Resume,
    Seconds,
    Seed,
    Set,
    Single,
    Source,
    Steps,
    Tolerance,
)
from .recipes import chosen_recipes, recipes_package
from .settings import check_optimizer, prepare

TRAINED, FAILED, INTERRUPTED = 0, 1, 130
CODES = {"failed": FAILED, "interrupted": INTERRUPTED}

app = typer.Typer(
    cls=Group,
    help="Train neural networks for PDEs by natural gradients, to the last digits of float64.",
    epilog="Start with:  pinn-ngd solve poisson-2d",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> bool:
    if wanted:
        import importlib.metadata

        typer.echo(f"pinn-ngd {importlib.metadata.version('pinn-ngd')}")
        raise typer.Exit
    return wanted


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Options of the program itself."""
    del version


@app.command(
    cls=Command, epilog="Example:  pinn-ngd solve poisson-2d --optimizer engd-tr --set width=24"
)
def solve(
    source: Source,
    optimizer: Annotated[str | None, Name] = None,
    solver: Annotated[str | None, Name] = None,
    metric: Annotated[str | None, Name] = None,
    seed: Seed = 0,
    steps: Steps = None,
    seconds: Seconds = None,
    tolerance: Tolerance = None,
    corrected: OfCorrected = False,
    fixed_points: Fixed = None,
    balance: Balance = None,
    normalize: Normalize = None,
    out: Out = None,
    x32: Single = False,
    resume: Resume = False,
    devices: Devices = None,
    distributed: Distributed = False,
    set_: Set = None,
) -> None:
    """Train one problem; print a summary and leave results and pictures in a folder."""
    with together(distributed), honest(source), _computing(x32):
        mesh = joined(devices, distributed=distributed)
        from ..experiments import run_problem
        from .tables import print_table, summary_of

        problem, settings = prepare(source, optimizer, solver, set_ or [], metric=metric)
        result = run_problem(
            problem, optimizer, settings=settings, solver_name=solver, seed=seed, steps=steps,
            seconds=seconds, tolerance=tolerance, corrected=corrected,
            fixed_points=fixed_points, balance=balance, normalize=normalize, out=out,
            resume=resume, progress=True, mesh=mesh, tell=_tell,
        )  # fmt: skip
        if speaks():
            print_table(summary_of(result))
    missed = tolerance is not None and not _is_accurate(result, tolerance, corrected)
    leave(CODES.get(result["status"], FAILED if missed else TRAINED))


@app.command(
    cls=Command,
    epilog="Example:  pinn-ngd compare poisson-2d-icml23 --optimizers engd-tr,engd,adam --seeds 3",
)
def compare(
    source: Source,
    optimizers: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help="Names from `list`, commas between them; wngd:h1 names a metric."
        ),
    ] = "engd-tr,engd,adam",
    seeds: Annotated[int, typer.Option(metavar="K", help="How many seeds.")] = 3,
    seconds: Seconds = None,
    steps: Steps = None,
    out: Out = None,
    x32: Single = False,
    resume: Resume = False,
    set_: Set = None,
) -> None:
    """Run several optimizers from several seeds; print a table and draw error against time."""
    names = [name.strip() for name in optimizers.split(",") if name.strip()]
    with honest(source), _computing(x32):
        if not names or seeds < 1:
            raise ValueError("nothing to compare: give `--optimizers` names and `--seeds` >= 1.")
        from ..experiments import RUNS, compare_optimizers, split_label
        from ..storage.files import safe_name
        from .tables import show_comparison

        problem, _ = prepare(source, None, None, set_ or [], problem_only=True)
        for name in names:  # the problem's file may have registered some
            check_optimizer(name.partition(":")[0])
            split_label(name)
        out = RUNS / safe_name(f"compare-{problem.name}") if out is None else out
        summary = compare_optimizers(
            problem, names, seeds=range(seeds), out=out, steps=steps, seconds=seconds,
            resume=resume, tell=_tell, progress=True,
        )  # fmt: skip
        show_comparison(summary, out)
    statuses = [run["status"] for run in summary["runs"]]
    # Failed seeds are a finding of a comparison, and in its table; all failed is a failure.
    code = FAILED if set(statuses) == {"failed"} else TRAINED
    raise typer.Exit(INTERRUPTED if "interrupted" in statuses else code)


@app.command(cls=Command, epilog="Example:  pinn-ngd check mine.py --metric wasserstein")
def check(
    source: Source,
    metric: Annotated[str | None, Name] = None,
    seed: Seed = 0,
    set_: Set = None,
) -> None:
    """Test a problem's derivatives, adjoints and metric; exit code 1 where a test fails."""
    with honest(source), _computing():
        from ..experiments import check_problem, kernel_of
        from .tables import checks_table, print_table

        problem, settings = prepare(source, None, None, set_ or [], metric=metric, checking=True)
        checks = check_problem(problem, metric=metric, settings=settings, seed=seed)
        print_table(checks_table(checks))
        kernel = kernel_of(problem, seed)
        if kernel is not None:
            typer.echo(str(kernel))
    raise typer.Exit(TRAINED if all(check.passed for check in checks) else FAILED)


@app.command(cls=Command, epilog="Example:  pinn-ngd new mine.py --like heat-1d")
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE.py", help="Where to write it.")],
    like: Annotated[
        str, typer.Option(metavar="PROBLEM", help="The shipped problem that it starts from.")
    ] = "poisson-2d",
) -> None:
    """Write a problem file to start from: that of a shipped problem, with comments."""
    with honest(str(file)):
        from .new import write_new

        write_new(file, like)
    typer.echo(f"wrote {file}: edit it, then  pinn-ngd solve {file}")


@app.command("list", cls=Command, epilog="Example:  pinn-ngd list problems")
def list_(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PART]...",
            help="problems, optimizers, metrics, solvers or figures; all but the figures if none.",
        ),
    ] = None,
) -> None:
    """Show what there is, a line each: problems by kind, optimizers by what they train."""
    with honest():
        tables = listed(parts or [])
        from .tables import print_table, two_columns

        for title, lines in tables.items():
            print_table(two_columns(lines, title))
    if any(title.startswith(("problems", "optimizers", "metrics")) for title in tables):
        typer.echo("More on a problem, an optimizer or a metric:  pinn-ngd show NAME")
    if any(title.startswith("problems") for title in tables):
        typer.echo("A file of yours that starts from a problem:   pinn-ngd new mine.py --like NAME")


@app.command(cls=Command, epilog="Example:  pinn-ngd show poisson-2d")
def show(
    name: Annotated[
        str, typer.Argument(metavar="PROBLEM|FILE.py|OPTIMIZER|METRIC", help="A name from `list`.")
    ],
    set_: Set = None,
) -> None:
    """Show what a problem is, or what an optimizer or a metric can be told, with the defaults."""
    with honest(name), _computing():
        from .show import described
        from .tables import print_table, two_columns

        for title, lines in described(name, set_ or []).items():
            print_table(two_columns(lines, title))


@app.command(
    cls=Command, epilog="Example:  pinn-ngd export runs/poisson-2d-engd-tr-0 --to poisson.vtu"
)
def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `solve` has left.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="Such as out.npz, .vtu, .vtk or .xdmf.")],
    resolution: Annotated[
        int | None, typer.Option(metavar="N", help="Points along an axis of the domain.")
    ] = None,
) -> None:
    """Write the solution of a run, and its errors, into a file for ParaView or NumPy."""
    with honest(), _computing():
        from ..experiments import export_run

        export_run(folder, to, resolution=resolution)
        typer.echo(to)


@app.command(cls=Command, epilog="Example:  pinn-ngd figures poisson-2d ritz-1d")
def figures(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which ones (default: all).")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", metavar="", help="Tiny runs, to see it work.")
    ] = False,
    out: Out = None,
    resume: Annotated[
        bool, typer.Option("--resume", metavar="", help="Reuse runs that ended.")
    ] = False,
) -> None:
    """Make the pictures in figures/ and the README's table again."""
    with honest():
        chosen = chosen_recipes(names or [])
        with _computing():
            make = recipes_package().make
            for path in make(chosen, out=out, quick=quick, resume=resume, tell=_tell):
                typer.echo(path)


@app.command(cls=Command, epilog="Example:  pinn-ngd cite engd-tr")
def cite(optimizer: Annotated[str, typer.Argument(help="A name from `list`.")]) -> None:
    """Print the BibTeX of the papers behind an optimizer."""
    with honest():
        check_optimizer(optimizer)
        from ..optimizers import citation

        typer.echo(citation(optimizer))


@contextlib.contextmanager
def _computing(x32: bool = False) -> Iterator[None]:
    """Double precision unless asked otherwise, before any array exists, and BLAS on one thread."""
    import logging

    import jax

    from ..training.threads import blas_threads

    jax.config.update("jax_enable_x64", not x32)
    keep_compiled()
    # Run-time errors of a step reach the user as one line; JAX would log a page before it.
    logging.getLogger("jax._src.callback").setLevel(logging.CRITICAL)
    with blas_threads(1):
        yield


def _is_accurate(result: dict[str, Any], tolerance: float, corrected: bool) -> bool:
    """Whether the error of a run is estimated, reliably, to be below the tolerance."""
    names = ("estimated_relative_l2", "estimated_corrected_l2")[: 1 + corrected]
    estimates = [result[name] for name in names if result.get(name) is not None]
    return bool(result.get("estimate_reliable")) and min(estimates, default=inf) <= tolerance


def _tell(text: str) -> None:
    typer.echo(text, err=True)
