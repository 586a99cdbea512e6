"""From requests to codes: prompts, grammars and ceilings for the generation engine, and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stentor.decode.engine import Reason, generate
from stentor.decode.settings import GenerationSettings
from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.codec import CodecSpec, Codes
from stentor.sequence.grammar import Grammar, only
from stentor.sequence.packing import pack
from stentor_tts.lm.grammar import Masks, WordByWord
from stentor_tts.lm.layout import Utterance
from stentor_tts.lm.lessons import Lessons
from stentor_tts.lm.request import Prompt, Request
from stentor_tts.lm.sampling import Sampling
from stentor_tts.lm.units import Unit


@dataclass(frozen=True, eq=False)
class Said:
    """What the model says to a request.

    Attributes:
        codes: of the codec, whole groups.
        reason: ``stop`` where it came to its end, ``length`` where it was ended.
        tokens: all that was generated.
    """

    codes: Codes
    reason: Reason
    tokens: list[int]

    @property
    def groups(self) -> bool:
        """Whether there is anything to be heard."""
        return all(len(book) > 0 for book in self.codes)


@dataclass(frozen=True, eq=False)
class Plan:
    """What the engine is asked for one request.

    Attributes:
        prompt: ids int64 [T].
        grammar: which tokens may follow.
        most: how many can.
        seed: of the row.
    """

    prompt: Tensor
    grammar: Grammar[Any]
    most: int
    seed: int


class Speech:
    """Says requests.

    Args:
        lessons: what the model was taught with; finds which codes of a prompt are which word's.
        codec: whose codes they are.
        sampling: how they are drawn.
    """

    def __init__(self, lessons: Lessons, codec: CodecSpec, sampling: Sampling) -> None:
        self.lessons, self.codec, self.sampling = lessons, codec, sampling
        self.layout, self.arrangement = lessons.layout, lessons.arrangement
        vocabulary = self.layout.vocabulary
        self.end = vocabulary.control("end")
        self.codes = frozenset(index for book in self.arrangement.ranges for index in book) | {
            vocabulary.control("pad")
        }
        self.masks = Masks(self.arrangement, codec.group, vocabulary.size, vocabulary.control("word"), self.end)

    def __call__(self, backbone: Backbone, requests: Sequence[Request]) -> list[Said]:
        """Codes of each request.

        Raises:
            StentorError: for a request without a word that the tokenizer can spell.
        """
        plans = [self.plan(request) for request in requests]
        if not plans:
            return []
        made = generate(
            backbone,
            [plan.prompt.to(next(backbone.parameters()).device) for plan in plans],
            self._settings(plans),
            grammar=[plan.grammar for plan in plans],
        )
        return [self.said(tokens, reason) for tokens, reason in zip(made.tokens, made.reasons, strict=True)]

    def plan(self, request: Request) -> Plan:
        """What to ask of the engine."""
        units = self.lessons.spelling.units(request.marked.stretches())
        if not units:
            raise StentorError("the text has no word that can be said.", path="text", value=request.marked.text)
        like, said = self._example(request.prompt)
        spans = self.layout.prompt(request.style, units, said, like)
        grammar = self._grammar(units)
        return Plan(pack([spans]).ids, grammar, grammar.most, request.drawn_by(self.sampling.seed))

    def silence(self) -> Plan:
        """The plan of a request that cannot be said: it may only end."""
        begin = torch.tensor([self.layout.vocabulary.control("begin")])
        return Plan(begin, only(self.layout.vocabulary.size, [self.end]), 1, self.sampling.seed)

    def said(self, tokens: list[int], reason: Reason = "stop") -> Said:
        """What generated tokens say."""
        ids = torch.tensor([token for token in tokens if token in self.codes], dtype=torch.int64)
        return Said(self.arrangement.unpack(ids), reason, tokens)

    def _example(self, prompt: Prompt | None) -> tuple[Tensor | None, Utterance | None]:
        """Codes that only show the voice, or words with the codes that said them, to be continued.

        A model that was shown no example in training is shown none, and none is longer than those were.
        """
        if prompt is None:
            return None, None
        ids = self.arrangement.pack(prompt.codes)
        units = self.lessons.spelling.units([(prompt.text, "")])
        if units and len(ids):
            return None, self.lessons.utterances([units], [ids])[0]
        return (ids[: self.lessons.longest] if self.lessons.shown else None), None

    def _grammar(self, units: Sequence[Unit]) -> WordByWord:
        sampling, codec = self.sampling, self.codec
        if self.layout.order == "text-first":
            return WordByWord(self.masks, [], [sampling.groups(sum(len(unit.ids) + 1 for unit in units), codec)])
        longest = [sampling.groups(len(unit.ids), codec) for unit in units]
        return WordByWord(self.masks, self.layout.texts(units)[1:], longest)

    def _settings(self, plans: Sequence[Plan]) -> GenerationSettings:
        longest = max(plan.most for plan in plans)
        return self.sampling.settings(longest, (self.end,), tuple(plan.seed for plan in plans))
