"""Task ``dual-tokenizer``: fits the centroids of the dual codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stentor.errors import StentorError
from stentor.interfaces.task import Loss, Task
from stentor.train.assembly import build_role
from stentor_tts.mel import SAMPLE_RATE
from stentor_tts.tokenizer.dual import DualCodec
from stentor_tts.tokenizer.usage import Usage, spelled


class DualTokenizerTask(Task):
    """Online k-means over what the codec's streams quantise: the first batch sets the centroids (Lloyd), descent on the
    squared distances refines them, and those that hardly a frame chooses move to where frames are far from all.

    Its loss is the sum of the streams' mean squared distances; validation scores no metric. What it predicts are codes
    as text, and `stentor evaluate` writes how the codebooks are used.
    """

    roles: ClassVar[Mapping[str, str]] = {"codec": "codec"}
    metrics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, codec: DualCodec) -> None:
        super().__init__()
        if not isinstance(codec, DualCodec):
            raise StentorError(f"it fits codec 'dual', not a {type(codec).__name__}.", path="codec.name")
        self.codec = codec
        self.usage = Usage(codec.declared)

    @classmethod
    def assemble(
        cls,
        sections: Mapping[str, Mapping[str, Any]],
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> DualTokenizerTask:
        return cls(build_role(cls, sections, "codec"), **configured)

    @property
    def sample_rate(self) -> int:
        return SAMPLE_RATE

    def cached_encoder(self) -> nn.Module:
        return self.codec.features()

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        """Sum over streams of the mean squared distance of frames to centroids.

        Raises:
            StentorError: in more than one process: each would begin with centroids of its own.
        """
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise StentorError("centroids are fitted in one process; it takes minutes.", path="train.devices")
        features, lengths = self._features(batch)
        kept = torch.cat([row[:length] for row, length in zip(features, lengths.tolist(), strict=True)])
        losses = [book.loss(frames) for book, frames in self.codec.frames(kept)]
        parts = {name: float(loss.detach()) for name, loss in zip(self.codec.names, losses, strict=True)}
        return Loss(torch.stack(losses).sum(), len(kept), parts)

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        features, lengths = self._features(batch)
        rows = [self.codec.quantise(row[:length]) for row, length in zip(features, lengths.tolist(), strict=True)]
        self.usage.add(rows)
        return [spelled(self.codec.declared, row) for row in rows]

    def statistics(self) -> dict[str, Any] | None:
        """`Usage.report` of what was predicted since the last call."""
        counted, self.usage = self.usage, Usage(self.codec.declared)
        return {"codes": counted.report()} if int(counted.counts[0].sum()) else None

    def _features(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        if "frames" in batch:
            return batch["frames"], batch["frame_lengths"]
        found: tuple[Tensor, Tensor] = self.codec.features()(batch["audio"], batch["audio_lengths"])
        return found
