"""Task `keyword-spotting`: which of the words of the training set were said?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.interfaces.adapter import Adapter
from stentor.interfaces.encoder import Encoder
from stentor.interfaces.task import Loss, Task
from stentor.train.assembly import build_role


class KeywordSpotting(Task):
    """One score per word of the training set, the greatest over time (Liu et al. 2019); binary cross entropy.

    Outputs are the words found, in alphabetical order.

    Args:
        encoder: gives the frames.
        adapter: gives embeddings of width `dim`.
        words: what to listen for; empty: every word of the training set.
        dim: width of the embeddings.
        threshold: the probability from which a word counts as said.
    """

    roles: ClassVar[Mapping[str, str]] = {"encoder": "encoder", "adapter": "adapter"}
    metrics: ClassVar[tuple[str, ...]] = ("ser",)

    def __init__(
        self,
        encoder: Encoder,
        adapter: Adapter,
        *,
        words: Sequence[str] = (),
        dim: int = 64,
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.encoder, self.adapter = encoder, adapter
        self.words, self.threshold = sorted(set(words)), threshold
        self.score = nn.Linear(dim, len(self.words))

    @classmethod
    def assemble(
        cls,
        sections: Mapping[str, Mapping[str, Any]],
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> KeywordSpotting:
        known = state["words"] if state is not None else " ".join(texts or ()).lower().split()
        encoder: Encoder = build_role(cls, sections, "encoder")
        adapter: Adapter = build_role(cls, sections, "adapter", encoder.dim, configured.get("dim", 64))
        return cls(encoder, adapter, **{**configured, "words": configured.get("words") or known})

    @property
    def sample_rate(self) -> int:
        return self.encoder.sample_rate

    def state(self) -> dict[str, Any]:
        return {"words": self.words}

    def cached_encoder(self) -> nn.Module | None:
        trained = any(parameter.requires_grad for parameter in self.encoder.parameters())
        return None if trained else self.encoder

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        logits = self._logits(batch)
        said = [set(text.lower().split()) for text in batch["texts"]]
        targets = logits.new_tensor([[float(word in row) for word in self.words] for row in said])
        return Loss(functional.binary_cross_entropy_with_logits(logits, targets), len(said))

    @torch.no_grad()
    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        rows = (self._logits(batch).sigmoid() >= self.threshold).tolist()
        return [" ".join(word for word, there in zip(self.words, row, strict=True) if there) for row in rows]

    def _logits(self, batch: Mapping[str, Any]) -> Tensor:
        if "frames" in batch:
            frames, lengths = batch["frames"].to(self.score.weight.dtype), batch["frame_lengths"]
        else:
            frames, lengths = self.encoder(batch["audio"], batch["audio_lengths"])
        embeddings, lengths = self.adapter(frames, lengths)
        padding = torch.arange(embeddings.shape[1], device=embeddings.device)[None] >= lengths[:, None]
        return self.score(embeddings).masked_fill(padding[..., None], -1e4).amax(1)
