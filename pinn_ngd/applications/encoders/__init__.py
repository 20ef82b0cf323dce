"""Encoders of text, with published weights or random ones, and the heads that stand on them."""

from .encoder import Encoder as Encoder
from .encoder import EncoderConfig as EncoderConfig
from .encoder import random_encoder as random_encoder
from .heads import SpanFinder as SpanFinder
from .heads import TextClassifier as TextClassifier
from .lora import LowRank as LowRank
from .lora import add_adapters as add_adapters
from .lora import merge_adapters as merge_adapters
from .pretrained import load_encoder as load_encoder
