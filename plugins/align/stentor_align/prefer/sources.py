"""Where pairs come from; here a manifest that has responses already, which needs no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.interfaces.corpus import Rejected


class Source(ABC):
    """Gives rows with responses.

    Attributes:
        identity: the same where the same rows come of it; votes are on these rows alone.
        folder: what relative paths of responses' audio count from.
    """

    identity: str
    folder: Path

    @abstractmethod
    def rows(self) -> tuple[list[Utterance], list[Rejected]]:
        """The rows, and why others are left out."""


class Manifest(Source):
    """Pairs that a manifest has already.

    Raises:
        StentorError: when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path.parent
        self.identity = manifest.fingerprint(path)

    def rows(self) -> tuple[list[Utterance], list[Rejected]]:
        dropped: list[Rejected] = []
        return manifest.load(self.path, report=dropped.extend), dropped
