"""The command line."""

from .commands import app as app
