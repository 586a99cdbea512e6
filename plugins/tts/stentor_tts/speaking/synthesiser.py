"""Text to audio: read, said sentence by sentence, with exact silence between, at the rate that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from stentor.data.resample import Resampler, Samples
from stentor.errors import StentorError
from stentor_tts.speaking.reference import VoiceSample
from stentor_tts.speaking.speaker import Speaker, Wish
from stentor_tts.speaking.together import Piece, say_together
from stentor_tts.text import style as styles
from stentor_tts.text.characters import LONGEST
from stentor_tts.text.frontend import FrontEnd, Reading
from stentor_tts.text.script import Manner, Sentence

SPEEDS = (0.25, 4.0)
"""Slowest and fastest that may be asked."""
TEMPERATURES = (0.0, 2.0)
RATES = (8000, 48000)
_THRESHOLD = np.float32(0.9)
Made = TypeVar("Made")


class Speech:
    """What is being said: an iterator of chunks, mono float32 [n] in [-1, 1].

    Attributes:
        sample_rate: (Hz).
    """

    def __init__(self, reading: Reading, speaker: Speaker, wish: Wish, sample_rate: int) -> None:
        self._reading, self._speaker, self._wish, self.sample_rate = reading, speaker, wish, sample_rate
        self._read: list[Sentence] | None = None

    def read(self) -> Speech:
        """Read all of the text now, so that what cannot be said is told before anything is.

        Raises:
            StentorError: when nothing of the text can be said, or the speaker cannot say a sentence as it is asked to.
        """
        if self._read is None:
            sentences = list(self._reading)
            for sentence in sentences:
                self._speaker.check(sentence, self._wish)
            self._read = sentences
        return self

    def __iter__(self) -> Iterator[Samples]:
        return self._played(lambda sentence: self._speaker.say(sentence, self._wish))

    def pieces(self) -> list[Piece]:
        """All that the speaker has to say of it, sentence by sentence.

        Raises:
            StentorError: as `read` does.
        """
        return [(sentence, self._wish) for sentence in self.read()._read or () if sentence.stretches]

    def of(self, said: Sequence[Samples | Exception]) -> Samples:
        """All of it in one, mono float32 [N], from what the speaker said of each of its `pieces`.

        Raises:
            Exception: the first that stands in place of a piece.
        """
        given = iter(said)

        def say(_: Sentence) -> Iterator[Samples]:
            found = next(given)
            if isinstance(found, Exception):
                raise found
            yield found

        return np.concatenate([*self._played(say), np.zeros(0, np.float32)])

    def _played(self, say: Callable[[Sentence], Iterable[Samples]]) -> Iterator[Samples]:
        """What `say` gives of every sentence, at our rate, and the silence after each."""
        for sentence in self._reading if self._read is None else self._read:
            if sentence.stretches:
                yield from self._said(say(sentence))
            if sentence.pause:
                yield np.zeros(round(sentence.pause * self.sample_rate), np.float32)

    @property
    def told(self) -> str:
        """One sentence on characters that could not be said, once all is said; empty when there were none."""
        return self._reading.told

    def _said(self, chunks: Iterable[Samples]) -> Iterator[Samples]:
        """One sentence at our rate; peaks are bent, sample by sample, so that chunks do not matter."""
        stream = Resampler(self._speaker.sample_rate, self.sample_rate)
        for chunk in chunks:
            if len(given := stream.push(chunk)):
                yield peak_safe(given)
        if len(rest := stream.flush()):
            yield peak_safe(rest)


class Synthesiser:
    """Speaks texts of any length.

    Args:
        speaker: with its weights loaded.
        normaliser: of ``stentor list tn``; empty: numbers and signs are left to the speaker.
        longest: characters of one text.
    """

    def __init__(self, speaker: Speaker, *, normaliser: str = "plain", longest: int = LONGEST) -> None:
        self.speaker = speaker
        self._front_end = FrontEnd(normaliser, speaker.can_say, speaker.inventory, longest)

    def stream(
        self,
        text: str,
        *,
        voice: VoiceSample | str | Path | None = None,
        style: str | Mapping[str, Any] = "",
        speed: float = 1.0,
        seed: int = 0,
        temperature: float | None = None,
        sample_rate: int | None = None,
    ) -> Speech:
        """Speak `text` as it comes; what can be refused is refused now.

        Args:
            text: any length, with tags in brackets (`stentor_tts.markup`), or SSML.
            voice: whom to sound like: a voice that the speaker knows by name, or an audio file.
            style: words such as ``slow, whisper``, or a mapping such as ``{"rate": -1}``.
            speed: times as fast.
            seed: of what is drawn.
            temperature: of drawing; None: the speaker's own.
            sample_rate: wanted (Hz); None: the speaker's own.

        Raises:
            StentorError: for text that cannot be said, an unusable voice, an unknown style, what the speaker cannot.
        """
        wish = self.wish(voice=voice, style=style, speed=speed, seed=seed, temperature=temperature,
                         sample_rate=sample_rate)  # fmt: skip
        reading = self._front_end.read(text)
        wish = replace(wish, manner=reading.whole.within(wish.manner))
        return Speech(reading, self.speaker, wish, sample_rate or self.speaker.sample_rate)

    def wish(
        self,
        *,
        voice: VoiceSample | str | Path | None = None,
        style: str | Mapping[str, Any] = "",
        speed: float = 1.0,
        seed: int = 0,
        temperature: float | None = None,
        sample_rate: int | None = None,
    ) -> Wish:
        """What `stream` asks of the speaker beside the text; what can be refused of it is refused.

        Raises:
            StentorError: for an unusable voice, an unknown style, what the speaker cannot.
        """
        for name, value, (least, most) in (
            ("speed", speed, SPEEDS),
            ("temperature", temperature, TEMPERATURES),
            ("sample_rate", sample_rate, RATES),
        ):
            if value is not None and not least <= value <= most:
                raise StentorError(f"must be from {least:g} to {most:g}.", path=name, value=value)
        asked = styles.manner(style, self.speaker.inventory)
        found = self.speaker.find(voice) if isinstance(voice, str | Path) else voice
        if isinstance(found, str):
            asked, found = Manner(traits=(f"voice:{found}",)).within(asked), None
        wish = Wish(found, replace(asked, rate=asked.rate * speed), seed, temperature)
        self.speaker.refuse(wish)
        return wish

    def speak(self, text: str, **asked: object) -> Samples:
        """All of `stream`'s chunks in one: mono float32 [N]."""
        chunks = list(self.stream(text, **asked))  # type: ignore[arg-type]
        return np.concatenate(chunks) if chunks else np.zeros(0, np.float32)

    def speak_all(self, speeches: Sequence[Speech | Exception]) -> list[Samples | Exception]:
        """What each of several texts is alone, but sentences of all of them are said together.

        Args:
            speeches: of `stream`; an exception, for a text that `stream` refused, is handed on.

        Returns:
            For each, mono float32 [N] at its rate, or what it raises alone.
        """
        read = [one if isinstance(one, Exception) else _tried(one.pieces) for one in speeches]
        said = iter(say_together(self.speaker, [piece for some in read if isinstance(some, list) for piece in some]))
        found: list[Samples | Exception] = []
        for speech, some in zip(speeches, read, strict=True):
            if isinstance(speech, Exception):
                found.append(speech)
            elif isinstance(some, Exception):
                found.append(some)
            else:
                found.append(_tried(partial(speech.of, list(islice(said, len(some))))))
        return found


def _tried(work: Callable[[], Made]) -> Made | Exception:
    try:
        return work()
    except Exception as cause:  # a speaker is arbitrary code, and the other texts can be said all the same
        return cause


def peak_safe(samples: Samples) -> Samples:
    """Samples [n] within [-1, 1]: those beyond 0.9 are bent, the others stay as they are."""
    over = np.abs(samples) - _THRESHOLD
    if not (over > 0).any():
        return samples
    room = np.float32(1) - _THRESHOLD
    bent = np.sign(samples) * (_THRESHOLD + room * np.tanh(over / room))
    return np.where(over > 0, bent, samples).astype(np.float32)
