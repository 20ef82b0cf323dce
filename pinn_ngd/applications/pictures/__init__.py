"""Pictures of what classifiers still get wrong."""

from .classification import plot_confusion as plot_confusion
from .mistakes import plot_found_words as plot_found_words
from .mistakes import plot_wrong_texts as plot_wrong_texts
