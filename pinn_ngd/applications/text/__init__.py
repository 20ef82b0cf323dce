"""Rated texts and spans as arrays of tokens: nothing is downloaded."""

from .sentiment import RatedTexts as RatedTexts
from .sentiment import csv_texts as csv_texts
from .sentiment import graded as graded
from .sentiment import lexicon as lexicon
from .sentiment import sentences as sentences
from .span_loss import SpanCrossEntropy as SpanCrossEntropy
from .span_scores import best_spans as best_spans
from .span_scores import span_scores as span_scores
from .spans import Spans as Spans
from .spans import composed as composed
from .spans import strongest as strongest
from .spans import token_spans as token_spans
from .squad import Questions as Questions
from .squad import squad as squad
from .tokens import Tokens as Tokens
from .tokens import tokenize as tokenize
from .tokens import tokenize_pairs as tokenize_pairs
