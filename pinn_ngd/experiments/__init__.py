"""Experiments: problems, runs of one into a folder, optimizers and seeds side by side.

The command line, the figures and the benchmarks all go through here, so a number in a table and a
curve in a picture come from the same code.
"""

from .._listing import list_problems as list_problems
from .checks import check_problem as check_problem
from .checks import kernel_of as kernel_of
from .comparison import HEADINGS as HEADINGS
from .comparison import as_markdown as as_markdown
from .comparison import compare_optimizers as compare_optimizers
from .comparison import effective_settings as effective_settings
from .comparison import settings_lines as settings_lines
from .comparison import split_label as split_label
from .comparison import summarize as summarize
from .comparison import table_cells as table_cells
from .export import export as export
from .export import export_run as export_run
from .loading import LoadedRun as LoadedRun
from .loading import load_run as load_run
from .pictures import draw as draw
from .problem import Problem as Problem
from .problem import load_problem as load_problem
from .run_folder import RunFolder as RunFolder
from .single import RUNS as RUNS
from .single import run_problem as run_problem
