"""Corpora: where manifests come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stentor.interfaces.component import Component


@dataclass(frozen=True)
class Item:
    """One utterance found by a corpus: a file (or a part of one) and what is known of it.

    Attributes:
        id: unique in the corpus.
        audio: path of the audio file; None: text alone, which needs a `text`.
        text: transcript, if there is one.
        speaker: speaker or voice, if known.
        language: BCP-47 tag, if known.
        split: ``train``, ``valid``, ``heldout-voice``...; the manifest file that the item goes to.
        start: offset into the file (s).
        duration: length (s); None: to the end of the file.
        custom: further typed fields, kept in the cut's ``custom``.
        channel: the one channel of the file that is meant; None: the average of all.
    """

    id: str
    audio: Path | None
    text: str | None = None
    speaker: str | None = None
    language: str | None = None
    split: str = "all"
    start: float = 0.0
    duration: float | None = None
    custom: dict[str, Any] = field(default_factory=dict)
    channel: int | None = None


@dataclass(frozen=True)
class Rejected:
    """Something a corpus found and cannot use: quarantined and reported, never fatal."""

    where: str
    reason: str


class Corpus(Component, ABC):
    """Finds (or makes) utterances; `stentor prepare` checks them and writes manifests of lhotse cuts.

    The constructor is wired with ``(source, workspace)``: the path the user named (None for a corpus that makes its
    own audio) and a folder to put made or unpacked audio in.
    """

    needs_source: bool = True

    @abstractmethod
    def items(self) -> Iterator[Item | Rejected]:
        """Yield every utterance in a fixed order; bad ones as `Rejected`, and carry on."""

    def total(self) -> int | None:
        """How many items there will be, if known, for the progress bar."""
        return None
