"""Everything in figures/ and the table of the README: made by `pinn-ngd figures`, never by hand.

`FIGURES` is the manifest. Beside each picture lies a .json that says which command made it, from
which seeds and settings, with which versions and on what hardware, and with which results.
"""

from .entries import comparison as comparison
from .entries import one_run as one_run
from .job import Job as Job
from .manifest import FIGURES as FIGURES
from .manifest import make as make
