"""One loop for every optimizer, with callbacks, exact checkpoints and a folder a run."""

from .adaptive import RAD as RAD
from .callbacks import AbstractCallback as AbstractCallback
from .callbacks import JSONLWriter as JSONLWriter
from .callbacks import StopWhen as StopWhen
from .loop import train as train
from .progress import ProgressBar as ProgressBar
from .result import Run as Run
from .result import TrainResult as TrainResult
