"""Corpus ``spoken-questions``: synthetic speech with questions that have one right answer, for toys of alignment."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from stentor.data.corpora.commands_audio import Plan, make
from stentor.data.corpora.speaking import in_processes
from stentor.interfaces.corpus import Corpus, Item, Rejected
from stentor_align.corpora.wording import DEAF, Annotator, Demonstrator, Part, Question, questions

_SPEEDS = (0.9, 1.2)
_BURIED = -20.0
"""Signal to noise of speech that nobody can understand (dB)."""


class SpokenQuestions(Corpus):
    """Questions such as "which is larger nine or four", clear or buried in noise, and how one may respond.

    A row's text is a response of somebody who does not respond well (`Demonstrator`): something to begin with, that
    rewards can improve. Its custom fields are the right ``answer`` (that nothing was heard, where it is buried), what
    is ``spoken``, whether it is ``clear``, and a pair of responses, ``chosen`` and ``rejected``. In the split
    ``counter-pairs`` the clear training questions stand again, with the reply that nothing was heard as ``rejected``
    (Step-Audio's counter-pairs against deaf hacking, arXiv 2502.11946). Questions of ``valid`` and ``heldout`` are
    asked in no other split, though the two numbers may be, in other words. Some texts are wrong on purpose: they are
    what a demonstrator says.

    Args:
        clips: of training.
        valid: clips of validation.
        heldout: clips to score on.
        buried: share of clips that are buried in noise.
        voices: ``name`` or ``name:variant`` of registered voices, in turn.
        workers: processes to speak in.
        seed: of everything.
    """

    needs_source = False

    def __init__(
        self,
        source: Path | None,
        workspace: Path,
        *,
        clips: int = 500,
        valid: int = 60,
        heldout: int = 180,
        buried: float = 0.2,
        voices: tuple[str, ...] = ("hibari",),
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        self._workspace, self._voices = Path(workspace), tuple(voices)
        self._sizes: dict[Part, int] = {"train": clips, "valid": valid, "heldout": heldout}
        self._buried, self._workers, self._seed = buried, workers, seed

    def clips(self) -> Iterator[tuple[Plan, Question]]:
        """Every clip, before any is made; fixed by the settings."""
        for split, size in self._sizes.items():
            rng = random.Random(f"{split} {self._seed}")
            for index, question in enumerate(islice(cycle(questions(split, self._seed)), size)):
                snr = _BURIED if rng.random() < self._buried else None
                yield Plan(f"{split}-{index:05d}", split, question.spoken, self._voices[index % len(self._voices)],
                           round(rng.uniform(*_SPEEDS), 2), snr, "pink", index), question  # fmt: skip

    def items(self) -> Iterator[Item | Rejected]:
        plans, asked = zip(*self.clips(), strict=True)
        spoken = in_processes(partial(make, folder=self._workspace), plans, self._workers)
        demonstrator, annotator = Demonstrator(self._seed), Annotator(self._seed)
        for clip, question in zip(spoken, asked, strict=True):
            if isinstance(clip, Rejected):
                yield clip
                continue
            clear = "snr" not in clip.custom
            text, pair = demonstrator.respond(question, clear=clear), annotator.prefer(question, clear=clear)
            yield _row(clip, question, text, pair)
            if clear and clip.split == "train":
                yield _row(replace(clip, id=f"{clip.id}-counter", split="counter-pairs"), question, question.answer,
                           annotator.counter(question))  # fmt: skip


def _row(clip: Item, question: Question, text: str, pair: tuple[str, str]) -> Item:
    clear = "snr" not in clip.custom
    told: dict[str, Any] = {"answer": question.answer if clear else DEAF, "spoken": question.spoken, "clear": clear}
    told |= {"chosen": {"text": pair[0]}, "rejected": {"text": pair[1]}}
    return replace(clip, text=text, custom={**clip.custom, **told})
