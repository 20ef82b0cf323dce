"""What the recipes of the figures share: jobs, kinds of recipes, provenance, timers.

A figure is a file: `figures/NAME.py` makes `figures/NAME*.png`, `.pdf`, `.json` or `.md`. Its
docstring's first line says what is shown, and its function `make(job)` writes the files and returns
their paths. Beside each picture lies a .json that says which command made it, from which seeds and
settings, with which versions and on what hardware, and with which results. `pinn-ngd figures` finds
the recipes by listing the folder.
"""

from .job import Job as Job
from .job import Made as Made
from .job import Recipe as Recipe
from .job import compared as compared
from .job import recorded as recorded
from .job import run as run
from .learning import learning as learning
from .making import make as make
from .runs import PAPER as PAPER
from .runs import comparison as comparison
from .runs import one_run as one_run
