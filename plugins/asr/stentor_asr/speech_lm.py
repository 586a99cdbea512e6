"""Task ``speech-lm``: transcribe with a causal language model that hears through an encoder and an adapter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.data.augment.spec import SpecAugment
from stentor.decode.engine import Generation, generate
from stentor.decode.settings import GenerationSettings
from stentor.decode.statistics import DecodingStatistics
from stentor.errors import Problem, StentorError
from stentor.interfaces.adapter import Adapter
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.drafter import Drafter
from stentor.interfaces.encoder import Encoder
from stentor.interfaces.policy import Policy, Prompts, asked_of, text_of
from stentor.interfaces.task import Loss, Task
from stentor.interfaces.tokenizer import TextTokenizer
from stentor.model.speech_lm import SpeechLM, flatten
from stentor.sequence.grammar import Grammar, only
from stentor.sequence.packing import pack
from stentor.sequence.vocabulary import Vocabulary
from stentor.train.assembly import build_role, build_text
from stentor_asr import layout
from stentor_asr.alignment import ctc_path
from stentor_asr.rates import sparse

Sections = Mapping[str, Mapping[str, Any]]


class SpeechLMTask(Task, Policy):
    """Frozen or trained encoder -> adapter -> causal backbone; next-token loss on the transcript.

    A CTC loss on the adapter's output (Graves et al., 2006) may be added: it makes the adapter find the words early,
    and it times the tokens for reports. It takes no part in decoding.

    A drafter, where the recipe names one, is trained beside the backbone (its loss is added) and makes decoding faster;
    the transcripts are those of greedy decoding without it.

    Args:
        ctc_weight: weight of the CTC loss; 0 leaves it out.
        time_masks: stretches of time blanked out of each utterance's frames in training (arXiv 1904.08779).
        time_width: widest such stretch (frames).
        feature_masks: bands of features blanked out.
        feature_width: widest such band (features).
        tokens_per_second: longest transcript to decode, per second of audio.
    """

    roles: ClassVar[Mapping[str, str]] = {
        "encoder": "encoder",
        "adapter": "adapter",
        "backbone": "backbone",
        "text": "tokenizer",
        "drafter": "drafter",
    }
    optional_roles: ClassVar[frozenset[str]] = frozenset({"drafter"})

    def __init__(
        self,
        encoder: Encoder,
        adapter: Adapter,
        backbone: Backbone,
        text: TextTokenizer,
        drafter: Drafter | None = None,
        *,
        ctc_weight: float = 0.3,
        time_masks: int = 2,
        time_width: int = 25,
        feature_masks: int = 2,
        feature_width: int = 40,
        tokens_per_second: float = 12.0,
    ) -> None:
        super().__init__()
        self.encoder, self.text = encoder, text
        self.vocabulary: Vocabulary = layout.vocabulary(text.size)
        self.model = SpeechLM(backbone, adapter)
        self.drafter = drafter
        self._counted = DecodingStatistics()
        self.rate = encoder.frame_rate / adapter.stride
        self.ctc_weight, self.tokens_per_second = ctc_weight, tokens_per_second
        self.augment = SpecAugment(
            time_masks=time_masks,
            time_width=time_width,
            frequency_masks=feature_masks,
            frequency_width=feature_width,
        )
        self.ctc = nn.Linear(backbone.dim, text.size + 1) if ctc_weight else None

    @classmethod
    def assemble(
        cls,
        sections: Sections,
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> SpeechLMTask:
        text: TextTokenizer = build_text(cls, sections, texts, state)
        encoder: Encoder = build_role(cls, sections, "encoder")
        backbone: Backbone = build_role(cls, sections, "backbone", layout.vocabulary(text.size).size)
        adapter: Adapter = build_role(cls, sections, "adapter", encoder.dim, backbone.dim)
        drafter = build_role(cls, sections, "drafter", backbone) if "drafter" in sections else None
        return cls(encoder, adapter, backbone, text, drafter, **configured)

    @classmethod
    def check(cls, sections: Sections, **configured: Any) -> list[Problem]:
        return sparse(cls, sections)

    @property
    def sample_rate(self) -> int:
        return self.encoder.sample_rate

    @property
    def frame_rate(self) -> float:
        """Of `posteriors` (Hz)."""
        return self.rate

    def cached_encoder(self) -> nn.Module | None:
        trained = any(parameter.requires_grad for parameter in self.encoder.parameters())
        return None if trained else self.encoder

    def state(self) -> dict[str, Any]:
        return {"text": dict(self.text.state())}

    def initialised(self, missing: Collection[str]) -> None:
        if self.drafter is None:
            return
        if any(f"drafter.{name}" in missing for name, _ in self.drafter.named_parameters()):
            self.drafter.load_pretrained()

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        heard, lengths = self.hear(batch)
        ids = [self.text.encode(text) for text in batch["texts"]]
        counts = lengths.tolist()
        packed = pack([layout.transcript(self.vocabulary, n, row) for n, row in zip(counts, ids, strict=True)])
        inputs = self.model.embed(packed, flatten(heard, lengths))
        hidden = self.model.run(packed, inputs)
        loss, units = self.model.next_token_loss(packed, hidden)
        parts = {"next_token": float(loss.detach())}
        drafts = None if self.drafter is None else self.drafter.training_loss(packed, inputs, hidden)
        if drafts is not None:
            parts |= drafts.parts
            loss = loss + drafts.value
        if self.ctc is not None:
            ctc = _ctc_loss(self.ctc(heard), lengths, ids)
            parts["ctc"] = float(ctc.detach())
            loss = loss + self.ctc_weight * ctc
        return Loss(loss, units, parts)

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        heard, lengths = self.hear(batch)
        made = self.generate(self.prompts(heard, lengths), lengths)
        return [self.written(row) for row in made.tokens]

    def hear(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """The adapter's embeddings [B, T, dim] of a batch from the loader, and lengths int64 [B]."""
        if "frames" in batch:
            frames, lengths = batch["frames"].float(), batch["frame_lengths"]
        else:
            frames, lengths = self.encoder(batch["audio"], batch["audio_lengths"])
        return self.model.hear(self.augment(frames, lengths), lengths)

    def prompts(self, heard: Tensor, lengths: Tensor) -> list[Tensor]:
        """What is decoded from, [T_b + 2, dim] per row, of what `hear` gave."""
        packed = pack([layout.prompt(self.vocabulary, n) for n in lengths.tolist()])
        return self.model.prompts(packed, flatten(heard, lengths))

    def generate(self, prompts: Sequence[Tensor], lengths: Tensor) -> Generation:
        """Token ids that follow the prompts, ``end`` included where it was reached.

        Args:
            prompts: from `prompts`.
            lengths: int64 [B], embeddings heard per row, which limit the transcripts.
        """
        longest = self._longest(lengths)
        made = generate(
            self.model.backbone,
            prompts,
            GenerationSettings(max_new_tokens=max(longest), stop_ids=(self.vocabulary.control("end"),)),
            grammar=self._grammar(),
            stop=lambda row, tokens: len(tokens) >= longest[row],
            drafter=self.drafter,
            prompt_ids=[layout.prompt_ids(self.vocabulary, len(prompt) - 2) for prompt in prompts],
        )
        self._counted.add(made.statistics)
        return made

    def _longest(self, lengths: Tensor) -> list[int]:
        """Tokens of the longest transcript of each row, of whose embeddings there are `lengths` [B]."""
        return [max(8, round(n / self.rate * self.tokens_per_second)) for n in lengths.tolist()]

    def _grammar(self) -> Grammar[None]:
        """What a transcript may be made of: text up to ``end``."""
        allowed = [*self.vocabulary.block("text").range, self.vocabulary.control("end")]
        return only(self.vocabulary.size, allowed)

    @property
    def backbone(self) -> Backbone:
        return self.model.backbone

    def ask(self, batch: Mapping[str, Any]) -> Prompts:
        heard, lengths = self.hear(batch)
        end = self.vocabulary.control("end")
        return Prompts(self.prompts(heard, lengths), asked_of(batch), self._longest(lengths), self._grammar(), (end,))

    def tokens_of(self, response: Mapping[str, Any]) -> list[int]:
        if "tokens" in response:
            return list(response["tokens"])
        return [*self.text.encode(text_of(response)), self.vocabulary.control("end")]

    def responses(self, prompts: Prompts, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
        return [{"text": self.written(row), "tokens": list(row)} for row in tokens]

    def written(self, ids: Sequence[int]) -> str:
        """The text of generated ids."""
        end = self.vocabulary.control("end")
        return self.text.decode([i for i in ids if i != end])

    def statistics(self) -> dict[str, Any] | None:
        counted, self._counted = self._counted, DecodingStatistics()
        return {"decoding": counted.to_json()} if self.drafter is not None and counted.rows else None

    def align(self, batch: Mapping[str, Any], outputs: Sequence[str]) -> list[list[tuple[str, float, float]]] | None:
        if self.ctc is None:
            return None
        with torch.inference_mode():
            log_probs, lengths = self.posteriors(batch)
        rows = zip(log_probs, lengths.tolist(), outputs, strict=True)
        return [self._times(row[:n], output) for row, n, output in rows]

    def posteriors(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Log-probabilities float32 [B, T, size + 1] of the CTC head, 0 the blank and text ids one higher, and valid
        frames [B].

        Raises:
            StentorError: when it has no CTC head.
        """
        if self.ctc is None:
            raise StentorError("this run has no CTC head; it was trained with 'ctc_weight: 0'.", path="task.ctc_weight")
        heard, lengths = self.hear(batch)
        return self.ctc(heard).float().log_softmax(-1), lengths

    def _times(self, log_probs: Tensor, output: str) -> list[tuple[str, float, float]]:
        ids = self.text.encode(output)
        path = ctc_path(log_probs, [i + 1 for i in ids])
        pairs = zip(ids, path, strict=False)
        return [(self.text.decode([i]), first / self.rate, (last + 1) / self.rate) for i, (first, last) in pairs]


def _ctc_loss(logits: Tensor, lengths: Tensor, ids: Sequence[Sequence[int]]) -> Tensor:
    """CTC loss of logits [B, T, V]; id i of a row is class i + 1, class 0 the blank."""
    log_probs = logits.float().log_softmax(-1).transpose(0, 1)
    targets = torch.tensor([i + 1 for row in ids for i in row], device=logits.device)
    counts = torch.tensor([len(row) for row in ids])
    return functional.ctc_loss(log_probs, targets, lengths, counts, zero_infinity=True)
