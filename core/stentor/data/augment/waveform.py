"""Variation of training waveforms under a seeded source of randomness."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stentor.data import audio
from stentor.data.augment.codec import apply_codec
from stentor.data.augment.noise import COLOURS, coloured_noise, mix
from stentor.data.augment.settings import AugmentSettings
from stentor.data.augment.speed import change_speed
from stentor.errors import StentorError


class Augment:
    """Speed, noise and codec, in this order, as `settings` say; called by the loader on single utterances.

    The result is a function of the waveform and of the state of `rng` alone. Noise follows MUSAN's way of use (Snyder
    et al. 2015, arXiv 1510.08484): one recording per utterance, at a drawn signal-to-noise ratio.
    """

    def __init__(self, settings: AugmentSettings) -> None:
        self.settings = settings

    def __call__(self, wave: Tensor, sample_rate: int, rng: np.random.Generator) -> Tensor:
        """Vary `wave` (float [N], at `sample_rate` Hz): float32 [N'], of another length when the speed changes."""
        varied, chosen = wave.numpy(), self.settings
        if chosen.speeds:
            varied = change_speed(varied, float(rng.choice(chosen.speeds)))
        if rng.random() < chosen.noise:
            noise = self._noise(len(varied), sample_rate, rng)
            varied = mix(varied, noise, float(rng.uniform(chosen.snr[0], chosen.snr[1])))
        if rng.random() < chosen.codec:
            varied = apply_codec(varied, sample_rate, chosen.codecs[int(rng.integers(len(chosen.codecs)))])
        return torch.from_numpy(varied)

    def _noise(self, samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
        if not self.settings.noise_folder:
            return coloured_noise(samples, list(COLOURS)[int(rng.integers(len(COLOURS)))], rng)
        path, length = self._recordings[int(rng.integers(len(self._recordings)))]
        start = rng.uniform(0, max(0.0, length - samples / rate))
        return audio.read(path, rate, start, min(length, samples / rate))

    @cached_property
    def _recordings(self) -> list[tuple[Path, float]]:
        folder = Path(self.settings.noise_folder)
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in audio.SUFFIXES)
        if not files:
            raise StentorError("it holds no audio files.", path="data.augment.noise_folder", value=str(folder))
        return [(path, audio.info(path).duration) for path in files]
