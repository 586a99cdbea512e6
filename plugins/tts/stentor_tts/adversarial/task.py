"""What the tasks share that train waveform generators on crops of speech, later against discriminators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from stentor.interfaces.task import Loss, Task
from stentor.train.assembly import build_role
from stentor_tts.adversarial.crops import crops, noisy, varied
from stentor_tts.adversarial.objective import WaveformObjective
from stentor_tts.mel import SAMPLE_RATE
from stentor_tts.overlap import Overlap


class WaveformTask(Task):
    """A task of one role that gives waveforms of crops; its subclasses say how and document the keywords.

    Attributes:
        unit: crops are a whole number of so many samples.
    """

    metrics: ClassVar[tuple[str, ...]] = ()
    capabilities = frozenset({"speaks"})

    def __init__(
        self,
        generator: nn.Module,
        *,
        crop: float = 0.64,
        judged: float = 0.32,
        level: float = 12.0,
        tempo: float = 0.35,
        noise: float = 0.4,
        periods: tuple[int, ...] = (3, 7),
        windows: tuple[int, ...] = (512,),
        channels: int = 16,
        resolutions: tuple[int, ...] = (256, 512, 1024, 2048),
        mel_weight: float = 5.0,
        stft_weight: float = 2.0,
        adversarial_weight: float = 1.0,
        matching_weight: float = 2.0,
        adversarial_after: float = 0.5,
    ) -> None:
        super().__init__()
        self.add_module(next(iter(self.roles)), generator)
        self.samples = max(1, round(crop * SAMPLE_RATE / self.unit)) * self.unit
        self.level, self.tempo, self.noise = level, tempo, noise
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

    @property
    @abstractmethod
    def unit(self) -> int: ...

    @abstractmethod
    def generate(self, wanted: Tensor) -> tuple[Tensor, Tensor, dict[str, float]]:
        """Waveforms for the crops `wanted` [B, N], a loss (scalar) besides that of waveforms, and named parts of it."""

    @classmethod
    def assemble(
        cls,
        sections: Mapping[str, Mapping[str, Any]],
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> Self:
        return cls(build_role(cls, sections, next(iter(cls.roles))), **configured)

    @property
    def sample_rate(self) -> int:
        return SAMPLE_RATE

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        wanted = self._crops(batch["audio"], batch["audio_lengths"])
        made, other, parts = self.generate(wanted)
        inner = slice(Overlap.delay, -Overlap.delay)  # where all frames are there
        loss, more = self.objective(made[:, inner], wanted[:, inner], self.spent)
        return Loss(loss + other, len(wanted), more | parts)

    def _crops(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """Random crops while training; otherwise the beginning of every row, so that the loss can be repeated."""
        if self.training:
            found = crops(audio, lengths, self.samples, tempo=self.tempo)
            return varied(noisy(found, self.noise), self.level)
        return crops(audio, lengths.clamp(max=self.samples), self.samples)
