"""The task `vocoder`: log-mel spectrograms of speech back to that speech."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor_tts.adversarial.task import WaveformTask
from stentor_tts.interfaces import Vocoder
from stentor_tts.mel import HOP, log_mel


class VocoderTask(WaveformTask):
    """Trains a vocoder on random crops of speech, later against discriminators; says again what it hears.

    Args:
        crop: length of the crops (s).
        judged: length of what the discriminators hear of a crop (s).
        level: how much louder or softer a crop may be than its recording (dB).
        tempo: how much faster or slower, and so higher or lower, a crop may be played (a share).
        noise: share of the crops to which noise is added.
        periods: of period discriminators, in samples.
        windows: of spectral discriminators, in samples.
        channels: of the discriminators' first layers.
        resolutions: windows of the multi-resolution STFT loss, in samples.
        mel_weight: of the log-mel distance in the loss.
        stft_weight: of the multi-resolution STFT loss.
        adversarial_weight: of fooling the discriminators; 0 trains without them.
        matching_weight: of feature matching.
        adversarial_after: share of the budget after which the discriminators play.
    """

    roles: ClassVar[Mapping[str, str]] = {"vocoder": "vocoder"}
    vocoder: Vocoder

    @property
    def unit(self) -> int:
        return HOP

    def generate(self, wanted: Tensor) -> tuple[Tensor, Tensor, dict[str, float]]:
        return self.vocoder.learn(log_mel(wanted), wanted)

    @torch.no_grad()
    def synthesise(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """What the vocoder makes of the spectrograms of the batch's audio."""
        counts = batch["audio_lengths"] // HOP
        made = self.vocoder(log_mel(batch["audio"]), counts)
        return [row[: count * HOP] for row, count in zip(made, counts.tolist(), strict=True)]
