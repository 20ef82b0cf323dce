"""Ready problems beyond PDEs: classification, fine-tuning of encoders, acoustic waves.

Nothing in the rest of the package imports from here, and `import pinn_ngd` loads none of it.
"""

from .classification import classification_problem as classification_problem
from .finetuning import Recipe as Recipe
from .finetuning import sentiment_problem as sentiment_problem
from .finetuning import span_problem as span_problem
