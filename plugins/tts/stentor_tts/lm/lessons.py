"""Training examples of rows and their codes: who is shown what, and which codes are which word's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from stentor.interfaces.codec import CodecSpec, Codes
from stentor.sequence.codes import Arrangement
from stentor.sequence.packing import Packed
from stentor.sequence.spans import Span
from stentor_tts.inventory import NEUTRAL, Style
from stentor_tts.lm.aligner import Aligner, starts
from stentor_tts.lm.layout import Layout, Utterance
from stentor_tts.lm.request import Request
from stentor_tts.lm.units import Spelling, Unit

_CONTINUED = 0.5
"""Share of the rows that can go on from an example, of those that are shown one."""


class Lessons(nn.Module):
    """Makes training examples.

    Some rows are shown their voice by what its speaker said before, in place of its name: as an example in front, or by
    going on from it. Examples are said plainly, so that how a row is to be said is known from its tags alone.

    Args:
        layout: how examples lie on the timeline.
        spelling: of texts.
        arrangement: of codes.
        codec: whose codes they are.
        shown: share of rows that are shown their voice.
        example_seconds: longest example in front (s).
        noise: share of codes that are read as others in training.

    Attributes:
        memory: what each speaker has last said plainly, in training.
    """

    def __init__(
        self,
        layout: Layout,
        spelling: Spelling,
        arrangement: Arrangement,
        codec: CodecSpec,
        *,
        shown: float,
        example_seconds: float,
        noise: float,
    ) -> None:
        super().__init__()
        self.layout, self.spelling, self.arrangement = layout, spelling, arrangement
        self.shown, self.noise, self.step = shown, noise, codec.group
        self.longest = round(example_seconds * codec.sample_rate / codec.group_samples) * codec.group
        first, last = arrangement.ranges[0].start, max(book.stop for book in arrangement.ranges)
        self.first, self.filler = first, last - first
        self.aligner = Aligner(spelling.tokenizer.size, last - first + 1) if layout.order == "by-word" else None
        self.memory: dict[str, Utterance] = {}

    def examples(
        self, requests: Sequence[Request], codes: Sequence[Codes], speakers: Sequence[str]
    ) -> list[list[Span]]:
        """One example per row; rows without words or without a whole group of codes are left out."""
        ids = [self.arrangement.pack(row).cpu() for row in codes]
        units = [self.spelling.units(request.marked.stretches()) for request in requests]
        kept = [row for row in range(len(ids)) if len(ids[row]) and units[row]]
        said = self.utterances([units[row] for row in kept], [ids[row] for row in kept])
        return [self._example(requests[row].style, one, speakers[row]) for row, one in zip(kept, said, strict=True)]

    def _example(self, style: Style, said: Utterance, speaker: str) -> list[Span]:
        plain = style.unnamed == NEUTRAL and not any(unit.tag for unit in said.units)
        before = self.memory.get(speaker) if self.training and speaker else None
        if self.training and speaker and plain:
            self.memory[speaker] = said
        if before is None or float(torch.rand(())) >= self.shown:
            return self.layout.example(style, said)
        if plain and float(torch.rand(())) < _CONTINUED:
            return self.layout.example(style.unnamed, before + said)
        return self.layout.example(style.unnamed, said, self._stretch(before.codes))

    def disturbed(self, packed: Packed) -> Packed:
        """In training, some of the codes that are read changed for others of the same codebook in the batch."""
        if not (self.training and self.noise):
            return packed
        ids, books = packed.ids.clone(), self.arrangement.books(packed.ids)
        chosen = torch.rand(ids.shape) < self.noise
        for place in range(len(self.arrangement.ranges)):
            own, changed = ids[books == place], (books == place) & chosen
            if len(own):
                ids[changed] = own[torch.randint(len(own), (int(changed.sum()),))]
        return replace(packed, ids=ids)

    def utterances(self, units: Sequence[Sequence[Unit]], ids: Sequence[Tensor]) -> list[Utterance]:
        """Words with their codes; by word, each word with its own, to the nearest group."""
        if self.aligner is None:
            return [Utterance(row, codes) for row, codes in zip(units, ids, strict=True)]
        spelt = [self.spelling.joined(row) for row in units]
        places = self.aligner([text for text, _ in spelt], [self._emitted(row) for row in ids]) if spelt else []
        rows = zip(units, ids, spelt, places, strict=True)
        return [Utterance(row, codes, self._edges(place, firsts)) for row, codes, (_, firsts), place in rows]

    def remembered(self) -> dict[str, Any]:
        """The memory as plain data and tensors."""
        return {
            speaker: {"units": [[list(unit.ids), unit.tag] for unit in one.units], "codes": one.codes,
                      "starts": list(one.starts)}
            for speaker, one in self.memory.items()
        }  # fmt: skip

    def remember(self, told: Mapping[str, Any]) -> None:
        """Take back what `remembered` gave."""
        self.memory = {
            speaker: Utterance([Unit(tuple(ids), tag) for ids, tag in one["units"]], one["codes"], one["starts"])
            for speaker, one in told.items()
        }

    def _emitted(self, ids: Tensor) -> Tensor:
        """Arranged ids as what the aligner's symbols emit, from 0 on; what pads is its last."""
        ours = self.arrangement.books(ids) >= 0
        return torch.where(ours, ids - self.first, self.filler)

    def _edges(self, places: Tensor, firsts: Sequence[int]) -> list[int]:
        """Codes before each word: silence at the beginning belongs to the first one."""
        found = starts(places, [place + 1 for place in firsts])
        return [0, *(round(count / self.step) * self.step for count in found[1:])]

    def _stretch(self, ids: Tensor) -> Tensor:
        """Whole groups from somewhere in `ids`, not longer than an example may be."""
        room = max(0, len(ids) - self.longest) // self.step
        begin = int(torch.randint(room + 1, ())) * self.step
        return ids[begin : begin + self.longest]
