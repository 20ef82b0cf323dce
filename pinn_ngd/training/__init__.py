"""One loop for every optimizer, with callbacks, exact checkpoints and a folder a run."""

from .callbacks import AbstractCallback as AbstractCallback
from .callbacks import JSONLWriter as JSONLWriter
from .callbacks import StopWhen as StopWhen
from .checkpoint import Checkpoint as Checkpoint
from .checkpoint import Snapshot as Snapshot
from .checkpoint import load_checkpoint as load_checkpoint
from .checkpoint import load_model as load_model
from .checkpoint import save_checkpoint as save_checkpoint
from .files import FolderError as FolderError
from .loop import train as train
from .progress import ProgressBar as ProgressBar
from .result import Run as Run
from .result import TrainResult as TrainResult
from .run_folder import RunFolder as RunFolder
from .run_folder import read_config as read_config
from .run_folder import read_history as read_history
from .run_folder import read_result as read_result
