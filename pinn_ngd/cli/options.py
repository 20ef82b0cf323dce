"""The options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str, typer.Argument(metavar="PROBLEM|FILE.py", help="A name from `list`, or your own file.")
]
Name = typer.Option(metavar="NAME", help="A name from `list`.")
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of network and random points.")]
Steps = Annotated[int | None, typer.Option(metavar="N", help="Stop after so many steps.")]
Seconds = Annotated[float | None, typer.Option(metavar="S", help="Stop after this training time.")]
Tolerance = Annotated[
    float | None,
    typer.Option(metavar="E", help="Stop once the estimated relative error is below."),
]
OfCorrected = Annotated[
    bool,
    typer.Option("--corrected", metavar="", help="Ask the tolerance of the corrected solution."),
]
Fixed = Annotated[
    bool | None,
    typer.Option(
        "--fixed-points/--growing-points",
        metavar="",
        help="Keep the problem's points, or add some.",
    ),
]
Balance = Annotated[
    bool | None,
    typer.Option("--balance/--no-balance", metavar="", help="Weigh terms so that all count alike."),
]
Normalize = Annotated[
    bool | None,
    typer.Option(
        "--normalize/--no-normalize", metavar="", help="Let the network see the unit box."
    ),
]
Out = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the results go.")]
Single = Annotated[
    bool, typer.Option("--x32", metavar="", help="Single precision instead of double.")
]
Resume = Annotated[
    bool, typer.Option("--resume", metavar="", help="Go on with what the folder holds.")
]
Devices = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Share the points among N devices of each process."),
]
Distributed = Annotated[
    bool,
    typer.Option(
        "--distributed", metavar="", help="This is one of several processes (srun, mpirun)."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of problem or optimizer."),
]
