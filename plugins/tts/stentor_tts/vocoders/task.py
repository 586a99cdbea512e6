"""The task `vocoder`: log-mel spectrograms of speech back to that speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.interfaces.task import Loss, Task
from stentor.train.assembly import build_role
from stentor_tts.adversarial.crops import crops, varied
from stentor_tts.adversarial.objective import WaveformObjective
from stentor_tts.interfaces import Vocoder
from stentor_tts.mel import HOP, SAMPLE_RATE, log_mel

_EDGE = 240  # samples whose frames are not all there


class VocoderTask(Task):
    """Trains a vocoder on random crops of speech, later against discriminators.

    Args:
        crop: length of the crops (s).
        judged: length of what the discriminators hear of a crop (s).
        level: how much louder or softer a crop may be than its recording (dB).
        tempo: how much faster or slower, and so higher or lower, a crop may be played (a share).
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
    metrics: ClassVar[tuple[str, ...]] = ()
    capabilities = frozenset({"speaks"})

    def __init__(
        self,
        vocoder: Vocoder,
        *,
        crop: float = 0.64,
        judged: float = 0.32,
        level: float = 12.0,
        tempo: float = 0.35,
        periods: tuple[int, ...] = (3, 7),
        windows: tuple[int, ...] = (512,),
        channels: int = 16,
        resolutions: tuple[int, ...] = (256, 512, 1024, 2048),
        mel_weight: float = 5.0,
        stft_weight: float = 2.0,
        adversarial_weight: float = 1.0,
        matching_weight: float = 2.0,
        adversarial_after: float = 0.3,
    ) -> None:
        super().__init__()
        self.vocoder = vocoder
        self.samples, self.level, self.tempo = round(crop * SAMPLE_RATE / HOP) * HOP, level, tempo
        self.objective = WaveformObjective(
            periods=periods,
            windows=windows,
            channels=channels,
            resolutions=resolutions,
            mel=mel_weight,
            stft=stft_weight,
            adversarial=adversarial_weight,
            matching=matching_weight,
            after=adversarial_after,
            heard=round(judged * SAMPLE_RATE),
        )

    @classmethod
    def assemble(
        cls,
        sections: Mapping[str, Mapping[str, Any]],
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> VocoderTask:
        return cls(build_role(cls, sections, "vocoder"), **configured)

    @property
    def sample_rate(self) -> int:
        return SAMPLE_RATE

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        wanted = self._crops(batch["audio"], batch["audio_lengths"])
        made, other, parts = self.vocoder.learn(log_mel(wanted), wanted)
        loss, more = self.objective(made[:, _EDGE:-_EDGE], wanted[:, _EDGE:-_EDGE], self.spent)
        return Loss(loss + other, len(wanted), more | parts)

    def _crops(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """Random crops while training; otherwise the beginning of every row, so that the loss can be repeated."""
        if self.training:
            return varied(crops(audio, lengths, self.samples, tempo=self.tempo), self.level)
        return crops(audio, lengths.clamp(max=self.samples), self.samples)

    @torch.no_grad()
    def synthesise(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """What the vocoder makes of the spectrograms of the batch's audio: waveforms float [N] per row."""
        lengths = batch["audio_lengths"] // HOP
        made = self.vocoder(log_mel(batch["audio"]), lengths)
        return [row[: count * HOP] for row, count in zip(made, lengths.tolist(), strict=True)]
