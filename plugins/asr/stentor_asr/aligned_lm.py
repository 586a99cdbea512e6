"""Task ``aligned-lm``: a frozen language model made to hear by an adapter alone (arXiv 2406.13357)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stentor.errors import Problem
from stentor.interfaces.adapter import Adapter
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.encoder import Encoder
from stentor.interfaces.task import Loss, Task
from stentor.interfaces.tokenizer import TextTokenizer
from stentor.model.speech_lm import SpeechLM, flatten
from stentor.plugins import registry
from stentor.sequence import instruction, spans
from stentor.sequence.packing import pack
from stentor.sequence.vocabulary import Vocabulary
from stentor.tasks.text_lm import customs, respond
from stentor.train.assembly import build_role, build_text
from stentor_asr.rates import sparse

Sections = Mapping[str, Mapping[str, Any]]


class AlignedLMTask(Task):
    """Frozen encoder -> adapter -> frozen language model; next-token loss on the response to an instruction.

    The adapter is all that is trained, whatever the recipe freezes: with adapter ``linear``, one layer. The language
    model is that of a ``text-lm`` run, which ``train.initialise`` names, and reads instructions in its own words; what
    is heard stands where it is used to reading. In a trained run it can be exchanged for another with the same
    tokenizer: ``stentor evaluate RUN --swap 'model.backbone.*=OTHER_RUN'``.

    A row of the manifest has its text, the right response, and may have the custom field ``instruction``.

    Args:
        instruction: asked of rows that have none of their own.
        normaliser: brings responses to the form that the language model knows.
        longest: tokens of the longest response.
    """

    roles: ClassVar[Mapping[str, str]] = {
        "encoder": "encoder",
        "adapter": "adapter",
        "backbone": "backbone",
        "text": "tokenizer",
    }

    def __init__(
        self,
        encoder: Encoder,
        adapter: Adapter,
        backbone: Backbone,
        text: TextTokenizer,
        *,
        instruction: str = "transcribe",
        normaliser: str = "basic",
        longest: int = 120,
    ) -> None:
        super().__init__()
        self.encoder, self.text, self.longest, self.instruction = encoder, text, longest, instruction
        self.normalise = registry().build("normaliser", normaliser)
        self.vocabulary: Vocabulary = _vocabulary(text)
        self.model = SpeechLM(backbone, adapter)
        encoder.requires_grad_(False)
        backbone.requires_grad_(False)

    @classmethod
    def assemble(
        cls,
        sections: Sections,
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> AlignedLMTask:
        text: TextTokenizer = build_text(cls, sections, texts, state)
        encoder: Encoder = build_role(cls, sections, "encoder")
        backbone: Backbone = build_role(cls, sections, "backbone", _vocabulary(text).size)
        adapter: Adapter = build_role(cls, sections, "adapter", encoder.dim, backbone.dim)
        return cls(encoder, adapter, backbone, text, **configured)

    @classmethod
    def check(cls, sections: Sections, **configured: Any) -> list[Problem]:
        return sparse(cls, sections)

    @property
    def sample_rate(self) -> int:
        return self.encoder.sample_rate

    def cached_encoder(self) -> nn.Module | None:
        return self.encoder

    def state(self) -> dict[str, Any]:
        return {"text": dict(self.text.state())}

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        heard, lengths = self._hear(batch)
        asked, responses = self._asked(batch), [self.text.encode(self.normalise(text)) for text in batch["texts"]]
        rows = zip(asked, lengths.tolist(), responses, strict=True)
        packed = pack([instruction.example(self.vocabulary, ids, spans.heard(n), said) for ids, n, said in rows])
        loss, units = self.model.loss(packed, flatten(heard, lengths))
        return Loss(loss, units, {"next_token": float(loss.detach())})

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        heard, lengths = self._hear(batch)
        rows = zip(self._asked(batch), lengths.tolist(), strict=True)
        packed = pack([instruction.prompt(self.vocabulary, ids, spans.heard(n)) for ids, n in rows])
        prompts = self.model.prompts(packed, flatten(heard, lengths))
        return respond(self.model.backbone, self.text, self.vocabulary, prompts, self.longest)

    def _asked(self, batch: Mapping[str, Any]) -> list[list[int]]:
        """Ids of every row's instruction."""
        return [self.text.encode(row.get("instruction") or self.instruction) for row in customs(batch)]

    def _hear(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        if "frames" in batch:
            frames, lengths = batch["frames"].float(), batch["frame_lengths"]
        else:
            frames, lengths = self.encoder(batch["audio"], batch["audio_lengths"])
        return self.model.hear(frames, lengths)


def _vocabulary(text: TextTokenizer) -> Vocabulary:
    return instruction.vocabulary(text.size)
