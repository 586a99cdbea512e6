"""A trained run as a folder to give away: what it takes to use it, and nothing of what it took to train it."""

from stentor.train.export.folder import export

__all__ = ["export"]
