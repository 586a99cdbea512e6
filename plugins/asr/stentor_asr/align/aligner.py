"""What aligners take and give: known text and its audio, to transcripts with words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stentor.data import audio
from stentor.interfaces.corpus import Rejected
from stentor_asr.align.words import fit
from stentor_asr.decoders.words import mean_confidence
from stentor_asr.transcribe.pipeline import Transcript
from stentor_asr.transcribe.recogniser import Segment, Word


@dataclass(frozen=True)
class Item:
    """A stretch of audio and what is said in it.

    Attributes:
        name: relative path of what is written about it, without a suffix.
        audio: the file.
        seconds: length of the stretch (s).
        lines: the text; each line becomes a segment.
        start: of the stretch in the file (s); times are told from here.
        channel: the one to read; None averages all.
        whole: the stretch is the whole file.
    """

    name: Path
    audio: Path
    seconds: float
    lines: tuple[str, ...]
    start: float = 0.0
    channel: int | None = None
    whole: bool = True

    def blocks(self, seconds: float, rate: int) -> Iterator[np.ndarray]:
        """Its samples at `rate` (Hz), a whole file in blocks of `seconds`."""
        if self.whole:
            yield from audio.blocks(self.audio, seconds, rate, channel=self.channel)
        else:
            yield audio.read(self.audio, rate, self.start, self.seconds, self.channel)


class Aligner(ABC):
    """Finds when known words are said."""

    @abstractmethod
    def load(self) -> dict[str, str]:
        """Read the weights; where they come from."""

    @abstractmethod
    def align(
        self, items: Iterable[Item], advance: Callable[[float], None] = lambda _: None
    ) -> Iterator[tuple[Item, Transcript | Rejected]]:
        """Every item, in order, with its words, or with why they could not be found.

        Args:
            items: what to align.
            advance: told how many seconds of audio have been dealt with.
        """


def told(item: Item, lines: Sequence[tuple[str, Sequence[Word]]]) -> Transcript:
    """The transcript of an item: one segment per line that has words, from its first word to its last."""
    spread = iter(fit([word for _, words in lines for word in words], 0.0, item.seconds))
    segments = []
    for text, words in lines:
        own = tuple(next(spread) for _ in words)
        if own:
            sure = mean_confidence([word.confidence for word in own if word.confidence is not None])
            segments.append(Segment(own[0].start, own[-1].end, " ".join(text.split()), sure, own))
    return Transcript(item.audio, item.seconds, segments)


def rejected(item: Item, reason: str) -> Rejected:
    """Why an item is put aside."""
    return Rejected(str(item.audio) if item.whole else f"{item.audio}: {item.name}", reason)
