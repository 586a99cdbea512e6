"""Task ``text-lm``: pretrain or tune a causal language model on text alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.decode.engine import generate
from stentor.decode.settings import GenerationSettings
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.policy import Policy, Prompts, asked_of, text_of
from stentor.interfaces.task import Loss, Task
from stentor.interfaces.tokenizer import TextTokenizer
from stentor.model.speech_lm import SpeechLM
from stentor.sequence import instruction, spans
from stentor.sequence.grammar import Grammar, only
from stentor.sequence.packing import pack
from stentor.sequence.spans import Span
from stentor.sequence.vocabulary import Vocabulary
from stentor.tasks.ragged import Ragged
from stentor.train.assembly import build_role, build_text

Sections = Mapping[str, Mapping[str, Any]]


class TextLMTask(Task, Policy):
    """Next-token loss on running text, and on the responses to instructions about a given text.

    A row of the manifest has its text, and where it is an instruction, the custom fields ``instruction`` and ``given``;
    its text is then the response. Rows need no audio. What is given is read raggedly in training (`Ragged`), so that
    the model can later be made to hear.

    Args:
        clean: share of batches that are read without raggedness.
        repeats: in ragged reading, a piece lasts 1 to so many positions.
        gaps: share of positions that hold noise alone.
        swaps: share of positions that hold another piece.
        blur: standard deviation of the noise that is added to what is read, in units of the embeddings'.
        tokenizer_only: of the run that ``train.initialise`` names, take the tokenizer and leave the weights.
        longest: tokens of the longest response.
    """

    roles: ClassVar[Mapping[str, str]] = {"backbone": "backbone", "text": "tokenizer"}
    hears: ClassVar[bool] = False

    def __init__(
        self,
        backbone: Backbone,
        text: TextTokenizer,
        *,
        clean: float = 0.3,
        repeats: int = 4,
        gaps: float = 0.08,
        swaps: float = 0.03,
        blur: float = 0.3,
        tokenizer_only: bool = False,
        longest: int = 60,
    ) -> None:
        super().__init__()
        self.text, self.longest, self.clean = text, longest, clean
        self.vocabulary: Vocabulary = instruction.vocabulary(text.size)
        self.model = SpeechLM(backbone)
        self.ragged = Ragged(repeats=repeats, gaps=gaps, swaps=swaps, blur=blur)
        self._fresh = {k: v.clone() for k, v in self.state_dict().items()} if tokenizer_only else None

    @classmethod
    def assemble(
        cls,
        sections: Sections,
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> TextLMTask:
        text: TextTokenizer = build_text(cls, sections, texts, state)
        return cls(build_role(cls, sections, "backbone", instruction.vocabulary(text.size).size), text, **configured)

    @property
    def sample_rate(self) -> int:
        """Of audio that nobody listens to (Hz)."""
        return 16000

    def state(self) -> dict[str, Any]:
        return {"text": dict(self.text.state())}

    def initialised(self, missing: Collection[str]) -> None:
        if self._fresh is not None:
            self.load_state_dict(self._fresh)

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        asked = customs(batch)
        given = [self.text.encode(row.get("given", "")) if asks(row) else [] for row in asked]
        read: Tensor | None
        if not any(given) or torch.rand(()) < self.clean:
            read, sources = None, [spans.text(ids, weight=0.0) for ids in given]
        else:
            read, lengths = self.ragged(self.model.backbone, given, self.text.size)
            sources = [spans.heard(length) for length in lengths]
        rows = zip(asked, sources, batch["texts"], strict=True)
        packed = pack([self._example(*row) for row in rows])
        loss, units = self.model.loss(packed, read)
        return Loss(loss, units, {"next_token": float(loss.detach())})

    def _example(self, custom: Mapping[str, Any], source: Span, text: str) -> list[Span]:
        ids = self.text.encode(text)
        if not asks(custom):
            return instruction.running(self.vocabulary, ids)
        return instruction.example(self.vocabulary, self.text.encode(custom["instruction"]), source, ids)

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        """Responses to what each row asks; running text for a row that asks nothing."""
        return respond(self.backbone, self.text, self.vocabulary, self._prompts(batch), self.longest)

    def _prompts(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """Embeddings [T_i, D] of what each row asks, read without raggedness."""
        prompts = []
        for row in customs(batch):
            source = spans.text(self.text.encode(row.get("given", "")), weight=0.0)
            asked = instruction.prompt(self.vocabulary, self.text.encode(row.get("instruction", "")), source)
            prompts.append(asked if asks(row) else asked[:1])
        return self.model.prompts(pack(prompts))

    @property
    def backbone(self) -> Backbone:
        return self.model.backbone

    def ask(self, batch: Mapping[str, Any]) -> Prompts:
        embedded, end = self._prompts(batch), self.vocabulary.control("end")
        longest = [self.longest] * len(embedded)
        return Prompts(embedded, asked_of(batch), longest, answers(self.vocabulary), (end,))

    def tokens_of(self, response: Mapping[str, Any]) -> list[int]:
        if "tokens" in response:
            return list(response["tokens"])
        return [*self.text.encode(text_of(response)), self.vocabulary.control("end")]

    def responses(self, prompts: Prompts, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
        end = self.vocabulary.control("end")
        return [{"text": self.text.decode([i for i in row if i != end]), "tokens": list(row)} for row in tokens]


def customs(batch: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The further fields of every row; none where a batch was made without."""
    return batch.get("custom") or [{} for _ in batch["texts"]]


def asks(custom: Mapping[str, Any]) -> bool:
    """Whether a row is an instruction rather than running text."""
    return bool(custom.get("instruction"))


def respond(
    backbone: Backbone, text: TextTokenizer, vocabulary: Vocabulary, prompts: Sequence[Tensor], longest: int
) -> list[str]:
    """Greedy responses to prompts [T_i, D], text alone, up to ``end``."""
    end = vocabulary.control("end")
    settings = GenerationSettings(max_new_tokens=longest, stop_ids=(end,))
    made = generate(backbone, prompts, settings, grammar=answers(vocabulary))
    return [text.decode([i for i in row if i != end]) for row in made.tokens]


def answers(vocabulary: Vocabulary) -> Grammar[None]:
    """What a response may be made of: text up to ``end``."""
    return only(vocabulary.size, [*vocabulary.block("text").range, vocabulary.control("end")])
