"""Error rates of what two independent recognisers hear in the output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar

from tqdm import tqdm

from stentor.config.reference import NameOf
from stentor.interfaces.metric import AudioMetric, Counts, Spoken
from stentor.plugins import registry
from stentor_tts.judges import recognisers
from stentor_tts.judges.blocks import BLOCK_SECONDS, blocks, joined, shares
from stentor_tts.judges.marks import mark


class JudgedErrorRate(AudioMetric):
    """Edits between the text and what a recogniser hears, over the text.

    Clips are joined, voice by voice, into blocks of up to 20 s before they are heard: recognisers that were trained on
    long windows do worse on single short clips. Every edit is counted at the clip in which it falls; intervals resample
    the blocks. What was heard is kept in the rows' notes: the same blocks are not heard again.

    Args:
        normaliser: of the text and of what is heard; a registered normaliser.
    """

    judge: ClassVar[str]
    counted: ClassVar[str]

    def __init__(self, *, normaliser: Annotated[str, NameOf("normaliser")] = "english") -> None:
        self.normaliser_name = normaliser
        self.normaliser = registry().build("normaliser", normaliser)

    def load_pretrained(self) -> dict[str, str]:
        return recognisers.provenance(self.judge)

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """What is counted in each of several normalised texts that follow one another."""

    def unspoken(self, text: str) -> Counts:
        """Everything is lost."""
        (tokens,) = self.tokens([self.normaliser(text)])
        return float(len(tokens)), float(len(tokens))

    def blocks(self, rows: Sequence[Spoken]) -> list[list[int]]:
        return blocks([row.seconds for row in rows], [row.speaker for row in rows])

    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        counts: list[Counts] = [(0.0, 0.0)] * len(rows)
        for block, text in zip(found := self.blocks(rows), self._heard(rows, found), strict=True):
            references = [self.normaliser(rows[index].text) for index in block]
            (tokens,) = self.tokens([text])
            for index, share in zip(block, shares(self.tokens(references), tokens), strict=True):
                counts[index] = (float(share.errors), float(share.units))
        return counts

    def _heard(self, rows: Sequence[Spoken], found: Sequence[Sequence[int]]) -> list[str]:
        """The normalised text of every block; what is not in the notes is heard and noted, clip by clip."""
        rate = recognisers.judge(self.judge).sample_rate if rows else 0
        waves = [joined([rows[index].output.read(rate) for index in block], rate) for block in found]
        marks = [mark(wave, self.judge, self.normaliser_name, _content(self.judge)) for wave in waves]
        new = [place for place, block in enumerate(found) if not self._known(rows, block, marks[place])]
        told = recognisers.heard(self.judge, [waves[place] for place in new])
        for place, text in zip(new, tqdm(told, self.judge, len(new), unit="block", disable=not new), strict=True):
            self._note([rows[index] for index in found[place]], text, marks[place])
        return [" ".join(filter(None, (rows[index].notes["heard"][self.judge] for index in block))) for block in found]

    def _known(self, rows: Sequence[Spoken], block: Sequence[int], known: str) -> bool:
        return all(rows[index].notes.get("blocks", {}).get(self.judge) == known for index in block)

    def _note(self, rows: Sequence[Spoken], text: str, known: str) -> None:
        words = [self.normaliser(row.text).split() for row in rows]
        for row, share in zip(rows, shares(words, self.normaliser(text).split()), strict=True):
            row.notes.setdefault("heard", {})[self.judge] = " ".join(share.heard)
            row.notes.setdefault("blocks", {})[self.judge] = known

    def describe(self) -> str:
        return (
            f"{self.counted} substituted, inserted and lost over {self.counted} of the texts, as the recogniser "
            f"'{self.judge}' hears the output in blocks of up to {BLOCK_SECONDS:g} s; text normaliser "
            f"{self.normaliser_name}: {self.normaliser.describe()}"
        )


def _content(judge: str) -> str:
    """Content hash of the weights of a judge."""
    return recognisers.provenance(judge).get("sha256", "")


class JudgedWER(JudgedErrorRate):
    """Word error rate of what a recogniser hears, in per cent."""

    counted = "words"

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        return [text.split() for text in texts]


class JudgedCER(JudgedErrorRate):
    """Character error rate of what a recogniser hears, single spaces included, in per cent."""

    counted = "characters"

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        said = [text for text in texts if text]
        last = said[-1] if said else ""
        return [list(text if not text or text is last else f"{text} ") for text in texts]


class WhisperWER(JudgedWER):
    """WER of what Whisper (recogniser ``whisper`` of stentor-asr) hears in blocks of up to 20 s, in per cent.

    Args:
        normaliser: of the text and of what is heard; a registered normaliser.
    """

    judge = "whisper"


class WhisperCER(JudgedCER):
    """CER of what Whisper (recogniser ``whisper`` of stentor-asr) hears in blocks of up to 20 s, in per cent.

    Args:
        normaliser: of the text and of what is heard; a registered normaliser.
    """

    judge = "whisper"


class MoonshineWER(JudgedWER):
    """WER of what Moonshine (recogniser ``moonshine`` of stentor-asr) hears in blocks of up to 20 s, in per cent.

    Args:
        normaliser: of the text and of what is heard; a registered normaliser.
    """

    judge = "moonshine"


class MoonshineCER(JudgedCER):
    """CER of what Moonshine (recogniser ``moonshine`` of stentor-asr) hears in blocks of up to 20 s, in per cent.

    Args:
        normaliser: of the text and of what is heard; a registered normaliser.
    """

    judge = "moonshine"
