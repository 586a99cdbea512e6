"""Task ``flow``: learn to make log-mel spectrograms of a codec's codes, in the voice of a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from stentor.data import audio as files
from stentor.errors import Problem, StentorError
from stentor.interfaces.codec import Codec, CodecSpec
from stentor.interfaces.task import Loss, Task
from stentor.train.assembly import build_role, class_of_role, configured_of
from stentor_tts.interfaces import Acoustic, Reference, Vocoder
from stentor_tts.mel import HOP, SAMPLE_RATE, log_mel
from stentor_tts.tokenizer.coding import CodesAsFrames, codes_of
from stentor_tts.vocoders.griffin_lim import GriffinLim

Sections = Mapping[str, Mapping[str, Any]]
_FEWEST = 2  # groups of which one can be the reference of the other


class FlowTask(Task):
    """Trains an acoustic model on the codes that a frozen codec gives of recordings, and on their spectrograms.

    It says again what it hears: audio to codes, to a spectrogram, to audio. The voice is that of the row's field
    ``prompt`` (a path, or ``{audio, start, duration}``), or else of the row's own audio, whose codes are then withheld.

    Args:
        seed: of the sampler's noise when it speaks.
    """

    roles: ClassVar[Mapping[str, str]] = {"codec": "codec", "acoustic": "acoustic", "vocoder": "vocoder"}
    optional_roles: ClassVar[frozenset[str]] = frozenset({"vocoder"})
    metrics: ClassVar[tuple[str, ...]] = ()
    capabilities: ClassVar[frozenset[str]] = frozenset({"speaks"})
    hears_cached: ClassVar[bool] = True

    def __init__(self, codec: Codec, acoustic: Acoustic, vocoder: Vocoder | None = None, *, seed: int = 0) -> None:
        super().__init__()
        self.codec, self.acoustic, self.seed = codec, acoustic, seed
        self.vocoder = vocoder if vocoder is not None else GriffinLim()
        for part in (self.codec, self.vocoder):
            part.requires_grad_(False).eval()
        self._coded = [CodesAsFrames(codec)]

    @classmethod
    def assemble(
        cls,
        sections: Sections,
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> FlowTask:
        codec: Codec = build_role(cls, sections, "codec")
        acoustic: Acoustic = build_role(cls, sections, "acoustic", spec_of(cls, sections))
        vocoder = build_role(cls, sections, "vocoder") if "vocoder" in sections else None
        return cls(codec, acoustic, vocoder, **configured)

    @classmethod
    def check(cls, sections: Sections, **configured: Any) -> list[Problem]:
        spec = spec_of(cls, sections)
        if spec.sample_rate != SAMPLE_RATE:
            return [Problem(f"the codec listens at {spec.sample_rate} Hz; its codes and the spectrogram must be of "
                            f"the same audio, at {SAMPLE_RATE} Hz.", path="codec")]  # fmt: skip
        return []

    @property
    def sample_rate(self) -> int:
        return SAMPLE_RATE

    def train(self, mode: bool = True) -> FlowTask:
        """Set training mode of the acoustic model; codec and vocoder stay as they are."""
        super().train(mode)
        self.codec.eval()
        self.vocoder.eval()
        return self

    def cached_encoder(self) -> nn.Module | None:
        """The codec; spectrograms are made of the audio in every step."""
        return self._coded[0]

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        audio, lengths = batch["audio"].float(), batch["audio_lengths"]
        frames, counts = (batch["frames"], batch["frame_lengths"]) if "frames" in batch else self._frames(batch)
        coded = codes_of(self.acoustic.codec, frames, counts.tolist())
        mels = log_mel(audio.masked_fill(torch.arange(audio.shape[1], device=audio.device) >= lengths[:, None], 0.0))
        covered = [mel[: count * self.acoustic.group_frames] for mel, count in zip(mels, counts.tolist(), strict=True)]
        found = zip(coded, covered, batch["speakers"], counts.tolist(), strict=True)
        rows = [row for *row, count in found if count >= _FEWEST]
        if not rows:
            return Loss(next(self.acoustic.parameters()).sum() * 0.0, 1)
        codes, shown, speakers = zip(*rows, strict=True)
        loss, told = self.acoustic.loss(codes, shown, speakers)
        return Loss(loss, sum(len(mel) for mel in shown), told)

    @torch.no_grad()
    def synthesise(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """The batch's audio through codes, spectrogram and vocoder: waveforms float [N] of whole groups."""
        codes = self.codec.encode(batch["audio"], batch["audio_lengths"])
        custom = batch.get("custom") or [{} for _ in codes]
        rows = zip(batch["audio"], batch["audio_lengths"].tolist(), custom, strict=True)
        references = [self._reference(wave[:length], told) for wave, length, told in rows]
        return self.spoken(self.acoustic.generate(codes, references, seed=self.seed))

    @torch.no_grad()
    def spoken(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms float [T_i * HOP] of log-mel frames [T_i, BINS]."""
        lengths = torch.tensor([len(mel) for mel in mels], device=mels[0].device)
        waves = self.vocoder(pad_sequence(list(mels), batch_first=True), lengths)
        return [wave[: count * HOP] for wave, count in zip(waves, lengths.tolist(), strict=True)]

    @torch.no_grad()
    def reference(self, wave: Tensor) -> Reference:
        """A voice by the example of a waveform [N] at `sample_rate`, with its codes."""
        length = torch.tensor([len(wave)], device=wave.device)
        return Reference(log_mel(wave), self.codec.encode(wave[None], length)[0])

    def _frames(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            made: tuple[Tensor, Tensor] = self._coded[0](batch["audio"], batch["audio_lengths"])
        return made

    def _reference(self, wave: Tensor, custom: Mapping[str, Any]) -> Reference:
        told = custom.get("prompt")
        if told is None:
            return Reference(log_mel(wave))
        told = {"audio": told} if isinstance(told, str) else told
        if not isinstance(told, Mapping) or not isinstance(told.get("audio"), str):
            raise StentorError("a prompt is a path, or {audio, start, duration}.", path="prompt", value=told)
        read = files.read(told["audio"], SAMPLE_RATE, float(told.get("start", 0.0)), told.get("duration"))
        return self.reference(torch.from_numpy(read).to(wave))


def spec_of(task: type[Task], sections: Sections) -> CodecSpec:
    """What the codec of a recipe gives, without building it."""
    codec = class_of_role(task, sections, "codec")
    spec: CodecSpec = codec.spec(**configured_of(codec, sections["codec"], path="codec"))
    return spec
