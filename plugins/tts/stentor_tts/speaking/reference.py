"""A voice by the example of a recording: read, checked, cut to what is of use, and kept."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from stentor.data import audio
from stentor.data.decoding import DamagedAudio
from stentor.data.resample import Samples
from stentor.errors import StentorError

RATE = 16000
"""Of a reference (Hz)."""
SHORTEST, LONGEST = 0.5, 10.0
"""How much speech is needed, and how much of it is used (s)."""
_FRAME = 160
_SILENT = -55.0  # dB of full scale
_AUDIBLE = 40.0  # dB below the loudest frame
_EDGE = 0.05  # s
_LISTENED = 60.0  # s


@dataclass(frozen=True, eq=False)
class VoiceSample:
    """A voice to speak in.

    Attributes:
        name: the file's, without its ending.
        audio: mono float32 [N] at 16 kHz, without silence at its ends, `SHORTEST` to `LONGEST` seconds.
        text: what is said in it, from ``NAME.txt`` beside the file; empty where there is none, or some was cut off.
        digest: of samples and text; two equal voices have the same.
    """

    name: str
    audio: Samples
    text: str
    digest: str


def voice_sample(path: str | Path) -> VoiceSample:
    """The voice in an audio file of any rate; read once, while the file stays as it is.

    Raises:
        StentorError: when there is no such file, it is not audio, is silent, or holds less than half a second of sound.
    """
    path = Path(path)
    if not path.is_file():
        raise StentorError("there is no such file to take the voice from.", path=str(path))
    return _sample(path, tuple(_state(one) for one in (path, path.with_suffix(".txt"))))


def _state(path: Path) -> tuple[int, int]:
    """What changes when a file does."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=64)
def _sample(path: Path, _states: tuple[tuple[int, int], ...]) -> VoiceSample:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedAudio)  # what can be read of it decides
        heard = audio.read(path, RATE, duration=_LISTENED)
    whole = _sounding(heard, path)
    sound, transcript = _cut(whole), path.with_suffix(".txt")
    complete = len(sound) == len(whole) and len(heard) < _LISTENED * RATE
    text = transcript.read_text("utf-8", errors="replace") if complete and transcript.is_file() else ""
    digest = hashlib.sha256(sound.tobytes() + text.encode()).hexdigest()
    return VoiceSample(path.stem, sound, " ".join(text.split()), digest)


def _sounding(heard: Samples, path: Path) -> Samples:
    """Without the silence at the ends, but for 50 ms."""
    levels = _levels(heard)
    loudest = float(levels.max(initial=-200.0))
    if loudest < _SILENT:
        raise StentorError(f"the recording is silent (its loudest moment is at {max(loudest, -120):.0f} dB); a voice "
                           f"has to speak in it.", path=str(path))  # fmt: skip
    above = np.flatnonzero(levels > max(loudest - _AUDIBLE, _SILENT)) * _FRAME
    edge = round(_EDGE * RATE)
    sound = heard[max(0, above[0] - edge) : above[-1] + _FRAME + edge]
    if above[-1] + _FRAME - above[0] < SHORTEST * RATE:
        seconds = (above[-1] + _FRAME - above[0]) / RATE
        raise StentorError(f"the recording holds {seconds:.2f} s of sound; a voice takes {SHORTEST:g} s at least, and "
                           f"better 3 to {LONGEST:g} s.", path=str(path))  # fmt: skip
    return sound


def _cut(sound: Samples) -> Samples:
    """At most `LONGEST`, up to the quietest moment of the last second of that."""
    if len(sound) <= LONGEST * RATE:
        return sound
    begin = round((LONGEST - 1) * RATE)
    quietest = int(_levels(sound[begin : begin + RATE]).argmin())
    return sound[: begin + quietest * _FRAME]


def _levels(samples: Samples) -> np.ndarray:
    """Level of frames of 10 ms (dB of full scale), [N / 160]."""
    whole = np.pad(samples.astype(np.float64), (0, -len(samples) % _FRAME))
    return np.asarray(10 * np.log10((whole.reshape(-1, _FRAME) ** 2).mean(1) + 1e-20))
