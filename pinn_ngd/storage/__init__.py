"""What a run writes and how it survives: files, checkpoints, fingerprints, locks of folders."""

from .checkpoint import Checkpoint as Checkpoint
from .checkpoint import Snapshot as Snapshot
from .checkpoint import load_checkpoint as load_checkpoint
from .checkpoint import load_model as load_model
from .checkpoint import save_checkpoint as save_checkpoint
from .files import FolderError as FolderError
from .reading import read_config as read_config
from .reading import read_history as read_history
from .reading import read_result as read_result
