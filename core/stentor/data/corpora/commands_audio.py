"""The audio of the corpus `commands`: one planned utterance to one checked file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stentor.data.augment.noise import Colour, coloured_noise, mix
from stentor.data.corpora.speaking import RATE, digest, fault, write
from stentor.data.resample import resample
from stentor.data.voices.named import engine_of, voice
from stentor.interfaces.corpus import Item, Rejected

_LEVEL = 10 ** (-26 / 20)  # RMS of every utterance: -26 dB of full scale


@dataclass(frozen=True)
class Plan:
    """Everything that decides the samples of one utterance.

    Attributes:
        id: of the utterance.
        split: which manifest it goes to.
        text: what is said.
        voice: ``name`` or ``name:variant`` of a registered voice.
        speed: 1.0 is the voice's own.
        snr: of the added noise (dB); None: clean.
        colour: of the noise.
        seed: of the noise.
    """

    id: str
    split: str
    text: str
    voice: str
    speed: float
    snr: float | None
    colour: Colour
    seed: int

    @property
    def file(self) -> str:
        """Name of its file; says by a hash what is in it, so that a finished file is never taken for another."""
        return f"{self.split}/{self.id}-{digest(self)}.flac"


def make(plan: Plan, folder: Path) -> Item | Rejected:
    """Speak, check and write `plan` into `folder`, unless that was done before."""
    target = folder / plan.file
    if not target.exists():
        speaker = voice(plan.voice)
        try:
            spoken = speaker.speak(plan.text, speed=plan.speed)
        except (RuntimeError, ValueError) as cause:
            return Rejected(plan.id, f"{plan.voice} failed: {type(cause).__name__}: {cause}")
        if reason := fault(spoken, speaker.sample_rate):
            return Rejected(plan.id, reason)
        write(target, _finish(spoken, speaker.sample_rate, plan))
    return Item(plan.id, target, plan.text, plan.voice, "en", plan.split, custom=_describe(plan))


def _finish(audio: np.ndarray, rate: int, plan: Plan) -> np.ndarray:
    audio = resample(audio, rate, RATE)
    audio = audio * np.float32(_LEVEL / np.sqrt(np.mean(audio.astype(np.float64) ** 2)))
    if plan.snr is not None:
        rng = np.random.default_rng(plan.seed)
        audio = mix(audio, coloured_noise(len(audio), plan.colour, rng), plan.snr)
    return audio * np.float32(min(1.0, 0.99 / float(np.abs(audio).max())))


def _describe(plan: Plan) -> dict[str, Any]:
    noise = {"snr": plan.snr, "noise": plan.colour} if plan.snr is not None else {}
    spoken = {"engine": engine_of(plan.voice), "voice": plan.voice, "speed": plan.speed}
    return {"synthetic": True, **spoken, **noise, "licence": voice(plan.voice).licence}
