"""The table of the README: final errors of seven problems with default settings, ten seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from figures.recipes import Job, Made, recorded, run
from pinn_ngd.experiments import summarize

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
TABLE_PROBLEMS = (
    "poisson-2d", "poisson-2d-icml23", "heat-1d", "heat-1d-icml23", "ritz-1d", "poisson-5d",
    "poisson-5d-icml23",
)  # fmt: skip
TABLE_SEEDS = range(100, 110)  # settings were chosen on seeds from 0 on


def make(job: Job) -> Made:
    """The table of the README: problems with their defaults, over some seeds."""
    rows, seeds = [], list(TABLE_SEEDS)[: 2 if job.quick else None]
    for problem in TABLE_PROBLEMS:
        folders = {seed: job.runs / f"{problem}-{seed}" for seed in seeds}
        runs = [run(job, problem, seed, out) for seed, out in folders.items()]
        row = summarize(runs[0]["optimizer"], runs)
        rows.append({"problem": problem, "parameters": runs[0]["parameters"], **(row or {})})
    text = results_markdown(rows)
    path = job.folder / "results.md"
    path.write_text(text, encoding="utf-8")
    readme = job.folder.parent / "README.md"
    if not job.quick and readme.is_file():
        readme.write_text(with_table(readme.read_text(encoding="utf-8"), text), encoding="utf-8")
    return [path, *recorded(job, ["results"], seeds=seeds, results=rows, pictures=False)]


def results_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of the README."""
    heads = ("problem", "parameters", "median error", "worst error", "failed", "training", "steps")
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for row in rows:
        cells = (
            f"`{row['problem']}`", f"{row['parameters']}", f"{row['median']:.1e}",
            f"{row['max']:.1e}", f"{row['failed']} of {row['seeds']}", f"{row['seconds']:.0f} s",
            f"{row['steps']:.0f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    command = "`pinn-ngd figures results` makes this table: relative L2 errors, default settings."
    return "\n".join([*lines, "", command]) + "\n"


def with_table(readme: str, table: str) -> str:
    """The README with what stands between its two marks replaced; unchanged where they are not."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{table}{end}{after}" if begin and end else readme
