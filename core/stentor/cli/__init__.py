"""The command line: one module per verb, imported only when it is called."""

from stentor.cli.dispatch import main

__all__ = ["main"]
