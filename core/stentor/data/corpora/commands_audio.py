"""The audio of the corpus `commands`: one planned utterance to one checked file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile

from stentor.data.atomic import writing
from stentor.data.augment.noise import Colour, coloured_noise, mix
from stentor.data.resample import resample
from stentor.errors import StentorError
from stentor.interfaces.corpus import Item, Rejected
from stentor.interfaces.voice import Voice
from stentor.plugins import registry

P = TypeVar("P")

RATE = 16000
_LEVEL = 10 ** (-26 / 20)  # RMS of every utterance: -26 dB of full scale
_SHORTEST, _LONGEST = 0.5, 15.0  # seconds


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
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.split}/{self.id}-{digest[:10]}.flac"


@cache
def voice(name: str) -> Voice:
    """The registered voice ``name`` or ``name:variant``, built once per process."""
    engine, _, variant = name.partition(":")
    options: dict[str, Any] = {"variant": variant} if variant else {}
    return registry().build("voice", engine, **options)  # type: ignore[no-any-return]


def check_voices(voices: Sequence[str], unseen: str) -> None:
    """See that there are training voices, and that the held-out one is none of them.

    Raises:
        StentorError: otherwise, naming the option of the corpus.
    """
    if not voices:
        raise StentorError("there must be a training voice at least.", path="corpus.voices", value=list(voices))
    if unseen in voices:
        raise StentorError("the held-out voice is also a training voice.", path="corpus.unseen_voice", value=unseen)


def in_processes(make: Callable[[P], Item | Rejected], plans: Iterable[P], workers: int) -> Iterator[Item | Rejected]:
    """What `make` gives for each of `plans`, in their order, made in so many processes."""
    if workers < 2:
        yield from map(make, plans)
        return
    # Spawned, not forked: the engines hold threads and locks that do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(make, plans, chunksize=8)


def make(plan: Plan, folder: Path) -> Item | Rejected:
    """Speak, check and write `plan` into `folder`, unless that was done before."""
    target = folder / plan.file
    if not target.exists():
        speaker = voice(plan.voice)
        try:
            spoken = speaker.speak(plan.text, speed=plan.speed)
        except (RuntimeError, ValueError) as cause:
            return Rejected(plan.id, f"{plan.voice} failed: {type(cause).__name__}: {cause}")
        if reason := _fault(spoken, speaker.sample_rate):
            return Rejected(plan.id, reason)
        _write(target, _finish(spoken, speaker.sample_rate, plan))
    return Item(plan.id, target, plan.text, plan.voice, "en", plan.split, custom=_describe(plan))


def _fault(audio: np.ndarray, rate: int) -> str | None:
    seconds = len(audio) / rate
    if not np.isfinite(audio).all():
        return "the voice gave samples that are not numbers"
    if not _SHORTEST <= seconds <= _LONGEST:
        return f"{seconds:.2f} s long; expected {_SHORTEST} to {_LONGEST} s"
    if float(np.abs(audio).max()) < 1e-3:
        return "silent"
    if float(np.mean(np.abs(audio) > 0.999)) > 0.001:
        return "clipped: more than 0.1 % of the samples are at full scale"
    return None


def _finish(audio: np.ndarray, rate: int, plan: Plan) -> np.ndarray:
    audio = resample(audio, rate, RATE)
    audio = audio * np.float32(_LEVEL / np.sqrt(np.mean(audio.astype(np.float64) ** 2)))
    if plan.snr is not None:
        rng = np.random.default_rng(plan.seed)
        audio = mix(audio, coloured_noise(len(audio), plan.colour, rng), plan.snr)
    return audio * np.float32(min(1.0, 0.99 / float(np.abs(audio).max())))


def _write(target: Path, audio: np.ndarray) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            soundfile.write(file, (audio * 32767).round().astype(np.int16), RATE, format="FLAC", subtype="PCM_16")
        os.replace(partial, target)


def _describe(plan: Plan) -> dict[str, Any]:
    noise = {"snr": plan.snr, "noise": plan.colour} if plan.snr is not None else {}
    spoken = {"engine": plan.voice.partition(":")[0], "voice": plan.voice, "speed": plan.speed}
    return {"synthetic": True, **spoken, **noise, "licence": voice(plan.voice).licence}
