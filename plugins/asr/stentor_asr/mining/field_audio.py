"""The audio of corpus `field-commands`: one planned take to one file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stentor.data import audio
from stentor.data.augment.codec import apply_codec
from stentor.data.augment.noise import Colour, coloured_noise, mix
from stentor.data.corpora.speaking import RATE
from stentor.data.resample import resample
from stentor.data.voices.named import voice
from stentor.interfaces.corpus import Item, Rejected

Garbage = Literal["no speech", "clipped", "buried", "babble"]

_LEVEL = 10 ** (-26 / 20)  # RMS of speech: -26 dB of full scale
_HUM = 10 ** (-56 / 20)
_OVERDRIVE = 40.0
_BURIED = -15.0  # dB
_BABBLERS = ("en-us+m1", "en-us+f5", "en-us+m4", "en-us+Alex", "en-us+linda", "en-us+john")


@dataclass(frozen=True)
class Take:
    """Everything that decides the samples of one utterance.

    Attributes:
        id: of the utterance.
        split: which manifest it goes to.
        text: what is said; of garbage, what is said under it.
        voice: ``name:variant`` of a registered voice.
        speed: 1.0 is the voice's own.
        condition: ``easy``, or what makes it hard.
        snr: of the added noise (dB); None: clean.
        colour: of the noise.
        garbage: why nobody could transcribe it; None for what can be.
        seed: of the noise.
    """

    id: str
    split: str
    text: str
    voice: str
    speed: float
    condition: str
    snr: float | None
    colour: Colour
    garbage: Garbage | None
    seed: int

    @property
    def file(self) -> str:
        """Name of its file; says by a hash what is in it, so that a finished file is never taken for another."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.split}/{self.id}-{digest[:10]}.flac"


def make(take: Take, folder: Path) -> Item | Rejected:
    """Speak `take`, spoil it as planned and write it into `folder`, unless that was done before."""
    target = folder / take.file
    if not target.exists():
        try:
            samples = _recorded(take)
        except (RuntimeError, ValueError) as cause:
            return Rejected(take.id, f"{take.voice} failed: {type(cause).__name__}: {cause}")
        audio.write(target, samples, RATE)
    text = None if take.garbage else take.text
    speaker = take.voice.partition(":")[2]
    return Item(take.id, target, text, speaker, "en", take.split, custom=_describe(take))


def _recorded(take: Take) -> np.ndarray:
    rng = np.random.default_rng(take.seed)
    samples = _spoken(take.voice, take.text, take.speed)
    if take.garbage:
        samples = _spoiled(samples, take, rng)
    else:
        if take.snr is not None:
            samples = mix(samples, coloured_noise(len(samples), take.colour, rng), take.snr)
        if take.condition == "telephone":
            samples = apply_codec(samples, RATE, "telephone")
    return samples * np.float32(min(1.0, 0.99 / max(float(np.abs(samples).max()), 1e-9)))


def _spoken(name: str, text: str, speed: float) -> np.ndarray:
    speaker = voice(name)
    samples = resample(speaker.speak(text, speed=speed), speaker.sample_rate, RATE)
    return samples * np.float32(_LEVEL / np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def _spoiled(samples: np.ndarray, take: Take, rng: np.random.Generator) -> np.ndarray:
    if take.garbage == "no speech":
        return coloured_noise(len(samples), "brown", rng) * np.float32(_HUM)
    if take.garbage == "clipped":
        return np.clip(samples * np.float32(_OVERDRIVE), -1.0, 1.0)
    if take.garbage == "buried":
        return mix(samples, coloured_noise(len(samples), take.colour, rng), _BURIED)
    return _babble(samples, take)


def _babble(samples: np.ndarray, take: Take) -> np.ndarray:
    """Six others say the same words in other orders, each as loud as the speaker."""
    words = take.text.split()
    crowd = samples.copy()
    for index, name in enumerate(_BABBLERS):
        turned = words[index % len(words) :] + words[: index % len(words)]
        crowd += np.resize(_spoken(f"espeak:{name}", " ".join(turned), 0.9 + 0.05 * index), len(crowd))
    return crowd * np.float32(_LEVEL / np.sqrt(np.mean(crowd.astype(np.float64) ** 2)))


def _describe(take: Take) -> dict[str, Any]:
    noise = {"snr": take.snr, "noise": take.colour} if take.snr is not None and not take.garbage else {}
    spoilt = {"garbage": take.garbage} if take.garbage else {}
    spoken = {"engine": "espeak", "voice": take.voice, "speed": take.speed, "condition": take.condition}
    return {"synthetic": True, **spoken, **noise, **spoilt, "licence": voice(take.voice).licence}
