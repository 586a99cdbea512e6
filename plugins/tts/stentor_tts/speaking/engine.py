"""A registered voice as a speaker: every stretch in its manner, without silence at its ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from stentor.data.resample import Samples
from stentor.data.voices.named import WHISPER, engine_of, voice
from stentor_tts.sounding import fades, trimmed
from stentor_tts.speaking.speaker import Speaker, Wish
from stentor_tts.text.characters import latin, plain
from stentor_tts.text.script import Manner, Sentence

_SPEEDS = (0.4, 2.5)
_EDGE, _FADE = 0.02, 0.005  # s
_GAP = 0.04  # between stretches, s
_WHISPERED = f"style:{WHISPER}"


class EngineSpeaker(Speaker):
    """Speaks with a voice of ``stentor list voice``, named as corpora do, e.g. ``espeak:en-us+f2``.

    Pitch moves formants too (voice ``warped``); a whisper is made of the voice's own speech (voice ``whispered``). Its
    speech is synthetic, and deterministic.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sample_rate = voice(name).sample_rate
        self._lock = threading.Lock()

    def can_say(self, character: str) -> bool:
        variant = self.name.partition("~")[0].partition(":")[2].removeprefix("variant=")
        english = engine_of(self.name) != "espeak" or "=" in variant or (variant or "en").startswith("en")
        return latin(character) if english else plain(character)

    def say(self, sentence: Sentence, wish: Wish) -> Iterator[Samples]:
        for index, stretch in enumerate(sentence.stretches):
            if index:
                yield np.zeros(round(_GAP * self.sample_rate), np.float32)
            yield self._spoken(stretch.text, stretch.manner.within(wish.manner))

    def load_pretrained(self) -> dict[str, str]:
        return {"name": self.name, "source": f"voice {self.name}", "licence": voice(self.name).licence}

    def _spoken(self, text: str, manner: Manner) -> Samples:
        speed = min(max(manner.rate, _SPEEDS[0]), _SPEEDS[1])
        with self._lock:
            samples = voice(self._named(manner)).speak(text, speed=speed)
        gain = np.float32(10 ** (manner.volume / 20))
        kept = trimmed(np.asarray(samples, np.float32), self.sample_rate, _EDGE)
        return kept * fades(len(kept), self.sample_rate, _FADE) * gain

    def _named(self, manner: Manner) -> str:
        warped = f"~{2 ** (manner.pitch / 12):.2f}" if manner.pitch else ""
        return f"{self.name}{warped}{f'~{WHISPER}' if _WHISPERED in manner.traits else ''}"
