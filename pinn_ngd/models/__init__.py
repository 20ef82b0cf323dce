"""Networks, how they meet boundary conditions, and which parts of them are trained."""

from .cnn import CNN as CNN
from .constraints import HardDirichlet as HardDirichlet
from .encoder import Encoder as Encoder
from .encoder import EncoderConfig as EncoderConfig
from .encoder import random_encoder as random_encoder
from .frozen import Frozen as Frozen
from .frozen import freeze as freeze
from .lora import LowRank as LowRank
from .lora import add_adapters as add_adapters
from .lora import merge_adapters as merge_adapters
from .mlp import MLP as MLP
from .mlp import Linear as Linear
from .normalized import Normalized as Normalized
from .pretrained import load_encoder as load_encoder
from .text import SpanFinder as SpanFinder
from .text import TextClassifier as TextClassifier
