"""Rated texts and spans as arrays of tokens: nothing is downloaded."""

from .sentiment import RatedTexts as RatedTexts
from .sentiment import csv_texts as csv_texts
from .sentiment import graded as graded
from .sentiment import lexicon as lexicon
from .sentiment import sentences as sentences
from .tokens import Tokens as Tokens
from .tokens import tokenize as tokenize
