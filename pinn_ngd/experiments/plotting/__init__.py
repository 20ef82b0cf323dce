"""Pictures for papers: solutions and errors, histories, comparisons of optimizers."""

from .comparison import MEASURES as MEASURES
from .comparison import band as band
from .comparison import plot_comparison as plot_comparison
from .curves import Curves as Curves
from .curves import plot_curves as plot_curves
from .history import plot_history as plot_history
from .learning import plot_learning as plot_learning
from .linear_algebra import plot_errors as plot_errors
from .parametric import plot_sweep as plot_sweep
from .paths import Landscape as Landscape
from .paths import plot_paths as plot_paths
from .regularization import plot_l_curve as plot_l_curve
from .solution import plot_solution as plot_solution
from .state import plot_state as plot_state
from .style import COLUMN_WIDTH as COLUMN_WIDTH
from .style import FULL_WIDTH as FULL_WIDTH
from .style import save as save
from .style import style as style
