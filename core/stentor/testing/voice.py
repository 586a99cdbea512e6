"""The contract of voices."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar

import numpy as np

from stentor.testing.contract import ComponentContract


class VoiceContract(ComponentContract):
    """Checks for voices.

    Attributes:
        texts: what it is asked to say.
        loudest: highest level allowed (dBFS, root mean square).
        softest: lowest level allowed (dBFS, root mean square).
    """

    kind = "voice"
    texts: ClassVar[tuple[str, str]] = ("turn left at the bridge", "seven boats")
    loudest: ClassVar[float] = -3.0
    softest: ClassVar[float] = -45.0
    _voice: ClassVar[Any]

    @property
    def voice(self) -> Any:
        """One instance for all checks that only listen: loading an engine takes seconds."""
        if "_voice" not in vars(type(self)):
            type(self)._voice = self.build()
        return type(self)._voice

    def probe(self, component: Any) -> Any:
        return component.speak(self.texts[1]).tobytes()

    def test_pickles(self) -> None:
        """A copy through pickle says the same: corpora hand voices to worker processes."""
        copy = pickle.loads(pickle.dumps(self.build()))
        self.demand(self.probe(copy) == self.probe(self.voice), "a pickled copy gives other samples.")

    def test_waveform(self) -> None:
        """Mono float32 [N] in [-1, 1], finite, of a plausible length."""
        voice = self.voice
        audio = voice.speak(self.texts[0])
        self.demand(
            audio.ndim == 1 and audio.dtype == np.float32, f"it gives {audio.dtype} {audio.shape}, not float32 [N]."
        )
        self.demand(bool(np.isfinite(audio).all()), "it gives NaN or infinite samples.")
        seconds = len(audio) / voice.sample_rate
        self.demand(0.2 <= seconds <= 60, f"{self.texts[0]!r} takes {seconds:.2f} s at {voice.sample_rate} Hz.")

    def test_level(self) -> None:
        """It neither clips nor whispers below what a recogniser hears."""
        audio = self.voice.speak(self.texts[0])
        clipped = float((np.abs(audio) >= 0.999).mean())
        self.demand(float(np.abs(audio).max()) <= 1.0, f"it peaks at {float(np.abs(audio).max()):.3g}.")
        self.demand(clipped < 1e-3, f"{100 * clipped:.2f} % of its samples are clipped.")
        level = 20 * np.log10(max(float(np.sqrt((audio.astype(np.float64) ** 2).mean())), 1e-10))
        self.demand(self.softest <= level <= self.loudest, f"its level is {level:.1f} dBFS.")

    def test_deterministic(self) -> None:
        """The same text gives the same samples, from this and from a new instance."""
        voice = self.voice
        first = voice.speak(self.texts[0])
        voice.speak(self.texts[1])
        for who, again in (("it", voice.speak(self.texts[0])), ("a new instance", self.build().speak(self.texts[0]))):
            self.demand(np.array_equal(first, again), f"asked again, {who} gives other samples.")

    def test_speed(self) -> None:
        """Twice the speed takes clearly less time."""
        voice = self.voice
        ratio = len(voice.speak(self.texts[0], speed=2.0)) / len(voice.speak(self.texts[0]))
        self.demand(0.3 <= ratio <= 0.8, f"at speed 2.0 it takes {ratio:.2f} of the time.")

    def test_together(self) -> None:
        """Texts that are said together are what each is alone."""
        speeds = [2.0, 1.0]
        found = self.voice.speak_all(list(self.texts), speeds=speeds)
        self.demand(len(found) == len(self.texts), f"it answers {len(found)} times for {len(self.texts)} texts.")
        for text, speed, one in zip(self.texts, speeds, found, strict=True):
            alone = self.voice.speak(text, speed=speed)
            same = isinstance(one, np.ndarray) and one.shape == alone.shape and np.allclose(one, alone, atol=1e-4)
            self.demand(same, f"beside another, {text!r} does not give the samples that it gives alone.")

    def test_text_matters(self) -> None:
        """Different texts sound different."""
        voice = self.voice
        same = np.array_equal(voice.speak(self.texts[0]), voice.speak(self.texts[1]))
        self.demand(not same, "two texts give the same samples.")

    def test_declared(self) -> None:
        """It names its sample rate (Hz) and its licence."""
        voice = self.voice
        self.demand(isinstance(voice.sample_rate, int) and voice.sample_rate > 0, f"sample rate {voice.sample_rate!r}.")
        self.demand(bool(voice.licence), "it names no licence.")
