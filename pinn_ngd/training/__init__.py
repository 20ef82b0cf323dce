"""One loop for every optimizer, with callbacks, exact checkpoints and a folder a run."""

from .adaptive import RAD as RAD
from .callbacks import AbstractCallback as AbstractCallback
from .callbacks import JSONLWriter as JSONLWriter
from .callbacks import StopWhen as StopWhen
from .loggers import Log as Log
from .loggers import TensorBoard as TensorBoard
from .loop import train as train
from .progress import ProgressBar as ProgressBar
from .regularization import RegularizationPath as RegularizationPath
from .regularization import l_curve as l_curve
from .result import Run as Run
from .result import TrainResult as TrainResult
from .windows import WindowsResult as WindowsResult
from .windows import train_windows as train_windows
