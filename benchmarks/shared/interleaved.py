"""A toy that answers in text and audio codes by turns, a word and then its sound: what preferences may tear apart."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from shared import toys
from shared.speech import stentor
from stentor.config import Recipe
from stentor.data.utterance import Utterance
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.policy import Prompts, asked_of
from stentor.interfaces.tokenizer import TextTokenizer
from stentor.plugins import registry
from stentor.sequence import instruction, spans
from stentor.sequence.chunks import Chunks
from stentor.sequence.spans import Span
from stentor.sequence.vocabulary import Vocabulary
from stentor.tasks.text_lm import TextLMTask
from stentor.train import fit
from stentor.train.assembly import build_role, build_text
from stentor_align import rollout, runs
from stentor_align.rollout import SamplingSettings

CODES, PER_WORD = 96, 3
"""Size of the codebook; codes of a word."""
POLICY = {
    "name": "interleaved",
    "task": {"name": "interleaved-toy", "longest": 50},
    "backbone": {"name": "causal-lm", "dim": 64, "layers": 2, "heads": 4},
    "text": {"name": "bpe", "pieces": 160},
}


def vocabulary(text_size: int) -> Vocabulary:
    """Text, audio codes, controls."""
    built = Vocabulary()
    built.add("text", text_size)
    built.add("audio", CODES)
    built.add_controls([*instruction.CONTROLS, "pad"])
    return built


class InterleavedToy(TextLMTask):
    """Answers instructions with chunks of one text id and the codes of its sound (TA3; after arXiv 2506.08967).

    A word's sound is decided by the word, but for its last bit, which varies as a speaker does. A row's text is its
    response; the codes of training are drawn anew every time.
    """

    def __init__(self, backbone: Backbone, text: TextTokenizer, *, longest: int = 60) -> None:
        super().__init__(backbone, text, clean=1.0, longest=longest)
        self.vocabulary = vocabulary(text.size)
        words, audio = self.vocabulary.block("text").range, self.vocabulary.block("audio").range
        pad, end = self.vocabulary.control("pad"), self.vocabulary.control("end")
        shape: dict[str, Any] = {"text": 1, "codes": [PER_WORD], "pad": pad, "end": end}
        self.chunks = Chunks(self.vocabulary.size, words, [audio], **shape)
        self._rng = random.Random(0)

    @classmethod
    def assemble(
        cls,
        sections: Mapping[str, Mapping[str, Any]],
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> InterleavedToy:
        text: TextTokenizer = build_text(cls, sections, texts, state)
        return cls(build_role(cls, sections, "backbone", vocabulary(text.size).size), text, **configured)

    def sound(self, word: int) -> list[int]:
        """Pairs of codes, each the first of two that are one sound, that say a text id."""
        first = self.vocabulary.block("audio").start
        return [first + 2 * ((word * (7, 11, 17)[place] + 5 * place) % (CODES // 2)) for place in range(PER_WORD)]

    def spoken(self, text: str, rng: random.Random) -> list[int]:
        """Ids of a text and its sound, in turns, with ``end``."""
        ids = self.text.encode(text)
        codes = [code + rng.randrange(2) for word in ids for code in self.sound(word)]
        found: list[int] = self.chunks.ids(ids, (torch.tensor(codes, dtype=torch.int64),)).tolist()
        return found

    def _example(self, custom: Mapping[str, Any], source: Span, text: str) -> list[Span]:
        asked = instruction.prompt(self.vocabulary, self.text.encode(custom["instruction"]), source)
        return [*asked, *[replace(spans.text([one]), weight=1.0) for one in self.spoken(text, self._rng)]]

    def ask(self, batch: Mapping[str, Any]) -> Prompts:
        embedded, end = self._prompts(batch), self.vocabulary.control("end")
        return Prompts(embedded, asked_of(batch), [self.longest] * len(embedded), self.chunks.grammar, (end,))

    def responses(self, prompts: Prompts, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
        found = [self.chunks.read(torch.tensor(row, dtype=torch.int64))[0] for row in tokens]
        return [{"text": self.text.decode(ids), "tokens": list(row)} for ids, row in zip(found, tokens, strict=True)]

    def mismatch(self, tokens: Sequence[int]) -> tuple[int, int]:
        """How many of a response's words sound like another, and how many words it has."""
        words, (codes,) = self.chunks.read(torch.tensor(tokens, dtype=torch.int64))
        first = self.vocabulary.block("audio").start
        heard = [first + (code - first) // 2 * 2 for code in codes.tolist()]
        sounds = [heard[PER_WORD * place : PER_WORD * (place + 1)] for place in range(len(words))]
        return sum(sound != self.sound(word) for sound, word in zip(sounds, words, strict=True)), len(words)


def register() -> None:
    """Let recipes of this process name it."""
    registry().add("task", "interleaved-toy", f"{__name__}:InterleavedToy")


def taught(run: Path, data: Path, seed: int, **section: Any) -> Path:
    """A toy that was trained on a manifest, unless it was done before; `section` is of ``train``."""
    if (run / "config.yaml").exists():
        stentor("train", "--resume", str(run))
        return run
    told = {"lr": 3e-3, "tracking": [], "accelerator": "cpu", **section}
    recipe = {**POLICY, "seed": seed, "data": {"train": str(data), "batch_seconds": 200.0}, "train": told}
    with contextlib.redirect_stdout(sys.stderr):
        fit(Recipe.from_dict(recipe), run, progress=False)
    return run


@torch.no_grad()
def responses(
    run: Path, asked: Sequence[Utterance], *, samples: int, seed: int, settings: SamplingSettings = rollout.PLAIN
) -> list[list[dict[str, Any]]]:
    """What a run's policy says to every row."""
    policy: Any = runs.trained(str(run))[0]
    prompts = policy.eval().ask(batch(asked))
    made = rollout.sample(policy, prompts, settings, samples=samples, seed=seed)
    told = policy.responses(prompts, made.owners, made.tokens)
    return [told[start : start + samples] for start in range(0, len(told), samples)]


def batch(asked: Sequence[Utterance]) -> dict[str, Any]:
    """Rows as a loader gives them."""
    return {"ids": [row.id for row in asked], "texts": [row.text for row in asked],
            "custom": [row.custom for row in asked]}  # fmt: skip


def told(name: str, asked: str, text: str, **custom: Any) -> Utterance:
    """A row that asks in text and is answered with a text."""
    seconds = Utterance.reading_seconds(asked, text)
    return Utterance(name, "", seconds, 0, text=text, custom={"instruction": asked, "spoken": asked, **custom})


def preferred(asked: Sequence[Utterance], made: Sequence[Sequence[Mapping[str, Any]]]) -> list[Utterance]:
    """Pairs of a policy's own responses, of which people like one more for its words."""
    found = []
    for row, group in zip(asked, made, strict=True):
        scores = toys.scored([toys.Said(row.id, row.custom, one["text"], ()) for one in group])
        best, worst = scores.index(max(scores)), scores.index(min(scores))
        if scores[best] - scores[worst] > 0.2:
            sides = {"chosen": {"tokens": group[best]["tokens"]}, "rejected": {"tokens": group[worst]["tokens"]}}
            found.append(Utterance(row.id, "", row.duration, 0, text=row.text, custom={**row.custom, **sides}))
    return found
