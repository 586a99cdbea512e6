"""Training examples of rows and their codes: who is shown what, and which codes are which word's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stentor.interfaces.codec import CodecSpec, Codes
from stentor.sequence.codes import Arrangement
from stentor.sequence.spans import Span
from stentor_tts.inventory import Style
from stentor_tts.lm.aligner import Aligner, starts
from stentor_tts.lm.layout import Layout, Utterance
from stentor_tts.lm.request import Request
from stentor_tts.lm.units import Spelling, Unit


class Lessons(nn.Module):
    """Makes training examples.

    Args:
        layout: how examples lie on the timeline.
        spelling: of texts.
        arrangement: of codes.
        codec: whose codes they are.
        shown: share of rows that are shown their voice by an example of their speaker from the same batch.
        example_seconds: longest such example (s).
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
    ) -> None:
        super().__init__()
        self.layout, self.spelling, self.arrangement = layout, spelling, arrangement
        self.shown, self.step = shown, codec.group
        self.longest = round(example_seconds * codec.sample_rate / codec.group_samples) * codec.group
        first, last = arrangement.ranges[0].start, max(book.stop for book in arrangement.ranges)
        self.first, self.filler = first, last - first
        self.aligner = Aligner(spelling.tokenizer.size, last - first + 1) if layout.order == "by-word" else None

    def examples(
        self, requests: Sequence[Request], codes: Sequence[Codes], speakers: Sequence[str]
    ) -> list[list[Span]]:
        """One example per row; rows without words or without a whole group of codes are left out."""
        ids = [self.arrangement.pack(row) for row in codes]
        units = [self.spelling.units(request.marked.stretches()) for request in requests]
        kept = [row for row in range(len(ids)) if len(ids[row]) and units[row]]
        said = self.utterances([units[row] for row in kept], [ids[row] for row in kept])
        likes = self._likes([ids[row] for row in kept], [speakers[row] for row in kept])
        rows = zip(kept, said, likes, strict=True)
        return [self.layout.example(_style(requests[row], like), one, like) for row, one, like in rows]

    def utterances(self, units: Sequence[Sequence[Unit]], ids: Sequence[Tensor]) -> list[Utterance]:
        """Words with their codes; by word, each word with its own, to the nearest group."""
        if self.aligner is None:
            return [Utterance(row, codes) for row, codes in zip(units, ids, strict=True)]
        spelt = [self.spelling.joined(row) for row in units]
        places = self.aligner([text for text, _ in spelt], [self._emitted(row) for row in ids]) if spelt else []
        rows = zip(units, ids, spelt, places, strict=True)
        return [Utterance(row, codes, self._edges(place, firsts)) for row, codes, (_, firsts), place in rows]

    def _emitted(self, ids: Tensor) -> Tensor:
        """Arranged ids as what the aligner's symbols emit, from 0 on; what pads is its last."""
        ours = self.arrangement.books(ids) >= 0
        return torch.where(ours, ids - self.first, self.filler)

    def _edges(self, places: Tensor, firsts: Sequence[int]) -> list[int]:
        """Codes before each word: silence at the beginning belongs to the first one."""
        found = starts(places, [place + 1 for place in firsts])
        return [0, *(round(count / self.step) * self.step for count in found[1:])]

    def _likes(self, ids: Sequence[Tensor], speakers: Sequence[str]) -> list[Tensor | None]:
        """Examples of the rows' voices, in training, for some of them."""
        if not (self.training and self.shown):
            return [None for _ in ids]
        found: list[Tensor | None] = []
        for row, speaker in enumerate(speakers):
            others = [other for other, one in enumerate(speakers) if one == speaker and other != row]
            chosen = others and float(torch.rand(())) < self.shown
            found.append(self._stretch(ids[others[int(torch.randint(len(others), ()))]]) if chosen else None)
        return found

    def _stretch(self, ids: Tensor) -> Tensor:
        """Whole groups from somewhere in `ids`, not longer than an example may be."""
        room = max(0, len(ids) - self.longest) // self.step
        begin = int(torch.randint(room + 1, ())) * self.step
        return ids[begin : begin + self.longest]


def _style(request: Request, like: Tensor | None) -> Style:
    """An example takes the place of the voice's name."""
    style = request.style
    return style if like is None else Style("", style.styles, style.emotion, style.levels)
