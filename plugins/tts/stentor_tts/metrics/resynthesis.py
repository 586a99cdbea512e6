"""How near what was said again is to what was heard: the output against the row's own audio."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from stentor.extras import require
from stentor.interfaces.metric import AudioMetric, Counts, Spoken
from stentor_tts.measures.pitch import pitch
from stentor_tts.measures.spectral import mel_distance, stft_distance
from stentor_tts.mel import SAMPLE_RATE

_APART = 0.25  # s


class Duration(AudioMetric):
    """How far lengths of outputs are from those of the rows' own audio: differences over lengths, in per cent."""

    needs = frozenset({"reference"})

    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        lengths = [_read(row)[1] if row.reference else None for row in rows]
        return [
            (0.0, 0.0) if wave is None else (abs(row.seconds - len(wave) / SAMPLE_RATE), len(wave) / SAMPLE_RATE)
            for row, wave in zip(rows, lengths, strict=True)
        ]


class Resynthesis(AudioMetric):
    """Compares frame by frame what lies at the same time; rows whose lengths differ by more than 0.25 s do not count.

    The value is the mean over rows.
    """

    needs = frozenset({"reference"})
    unit: ClassVar[str] = ""

    @abstractmethod
    def compare(self, said: Tensor, wanted: Tensor) -> float:
        """The measure for two waveforms of equal length [N] at 16 kHz; NaN where it cannot tell."""

    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        return [self._one(row) if row.reference else (0.0, 0.0) for row in rows]

    def _one(self, row: Spoken) -> Counts:
        said, wanted = _read(row)
        if abs(len(said) - len(wanted)) > _APART * SAMPLE_RATE:
            return (0.0, 0.0)
        size = min(len(said), len(wanted))
        value = self.compare(said[:size], wanted[:size])
        return (value, 1.0) if math.isfinite(value) else (0.0, 0.0)


def _read(row: Spoken) -> tuple[Tensor, Tensor]:
    assert row.reference is not None
    return torch.from_numpy(row.output.read(SAMPLE_RATE)), torch.from_numpy(row.reference.read(SAMPLE_RATE))


class MelDistance(Resynthesis):
    """Mean absolute difference of log-mel spectrograms (80 bins, 100 frames/s) to the row's own audio (dB)."""

    unit = "dB"

    def compare(self, said: Tensor, wanted: Tensor) -> float:
        return mel_distance(said, wanted)


class StftDistance(Resynthesis):
    """Multi-resolution STFT distance to the row's own audio.

    Spectral convergence and log magnitudes at windows of 240, 600 and 1200 samples (Yamamoto, Song and Kim 2020,
    arXiv:1910.11480).
    """

    def compare(self, said: Tensor, wanted: Tensor) -> float:
        return stft_distance(said, wanted)


class PitchDistance(Resynthesis):
    """Mean absolute difference of pitch to the row's own audio, over frames that are voiced in both (semitones)."""

    unit = "semitones"

    def compare(self, said: Tensor, wanted: Tensor) -> float:
        first, second = pitch(said, SAMPLE_RATE), pitch(wanted, SAMPLE_RATE)
        both = first.voiced & second.voiced
        apart = 12 * torch.log2(first.hertz[both] / second.hertz[both])
        return float(apart.abs().mean()) if len(apart) else math.nan


class PESQ(Resynthesis):
    """Wide-band PESQ (ITU-T P.862.2) against the row's own audio, up to 4.64.

    By the package pesq (extra ``pesq``).
    """

    lower_is_better, unit = False, "MOS"

    def load_pretrained(self) -> dict[str, str]:
        require("pesq", "pesq", distribution="stentor-tts")
        return {}

    def compare(self, said: Tensor, wanted: Tensor) -> float:
        pesq = require("pesq", "pesq", distribution="stentor-tts")
        if not (said.any() and wanted.any()):
            return math.nan
        try:
            return float(pesq.pesq(SAMPLE_RATE, wanted.numpy(), said.numpy(), "wb"))
        except (pesq.PesqError, ValueError):  # it finds no utterance, or too short a one
            return math.nan


class STOI(Resynthesis):
    """Short-time objective intelligibility against the row's own audio, up to 1 (Taal et al. 2011).

    By the package pystoi (extra ``judges``).
    """

    lower_is_better = False

    def load_pretrained(self) -> dict[str, str]:
        require("pystoi", "judges", distribution="stentor-tts")
        return {}

    def compare(self, said: Tensor, wanted: Tensor) -> float:
        import warnings

        pystoi = require("pystoi", "judges", distribution="stentor-tts")
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # it gives 1e-5 with a warning where there is too little
            try:
                return float(pystoi.stoi(wanted.numpy(), said.numpy(), SAMPLE_RATE))
            except (RuntimeWarning, ValueError):
                return math.nan
