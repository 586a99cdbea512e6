"""The task `neural-codec`: speech through a few codes and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.errors import Problem
from stentor.train.assembly import class_of_role
from stentor_tts.adversarial.task import WaveformTask
from stentor_tts.codec.neural import TrainableCodec
from stentor_tts.tokenizer.usage import Usage


class NeuralCodecTask(WaveformTask):
    """Trains a codec that decodes on random crops of speech, later against discriminators; says again what it hears.

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

    roles: ClassVar[Mapping[str, str]] = {"codec": "codec"}
    codec: TrainableCodec

    @classmethod
    def check(cls, sections: Mapping[str, Mapping[str, Any]], **configured: Any) -> list[Problem]:
        found = class_of_role(cls, sections, "codec")
        if issubclass(found, TrainableCodec):
            return []
        return [Problem("it is not trained by this task.", "codec.name", sections["codec"]["name"])]

    @property
    def unit(self) -> int:
        return self.codec.declared.group_samples

    def generate(self, wanted: Tensor) -> tuple[Tensor, Tensor, dict[str, float]]:
        return self.codec.learn(wanted)

    @torch.no_grad()
    def synthesise(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """The batch's audio through the codec and back: whole groups of it."""
        codes = self.codec.encode(batch["audio"], batch["audio_lengths"])
        self._counted().add(codes)
        made, lengths = self.codec.decode(codes)
        return [row[:length] for row, length in zip(made, lengths.tolist(), strict=True)]

    def statistics(self) -> dict[str, Any] | None:
        """``codebooks``: how the codes of what was synthesised since the last call are spread."""
        counted, self._usage = self._counted(), None
        if not int(counted.counts[0].sum()):
            return None
        books = counted.report()["codebooks"]
        return {"codebooks": [{"name": name, **book} for name, book in books.items()]}

    _usage: Usage | None = None

    def _counted(self) -> Usage:
        if self._usage is None:
            self._usage = Usage(self.codec.declared)
        return self._usage
