"""A few seconds of every named voice, kept with the model: what its acoustic model hears of the voice."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stentor.data import audio
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec
from stentor_tts.interfaces import Reference
from stentor_tts.inventory import NEUTRAL, Inventory
from stentor_tts.lm.cloning import Examples
from stentor_tts.lm.request import of_batch
from stentor_tts.mel import BINS, FRAME_RATE, SAMPLE_RATE
from stentor_tts.tokenizer.coding import grouped, ungrouped

SECONDS = 3.0
"""Of a clip, at most: as much as acoustic models are shown in training (s)."""
_TRIED = 5


class Clips(nn.Module):
    """One clip of each voice, from its plainly spoken training rows; part of the model's weights.

    Args:
        voices: their names, in the order of their ids in the vocabulary, so that a run that knows more of them begins
            with the clips of these.
        codec: of the codes that are kept beside the frames.
    """

    mels: Tensor
    codes: Tensor
    lengths: Tensor

    def __init__(self, voices: Sequence[str], codec: CodecSpec) -> None:
        super().__init__()
        self.voices, self.spec = tuple(voices), codec
        groups = math.ceil(SECONDS * codec.sample_rate / codec.group_samples)
        self.register_buffer("mels", torch.zeros(len(voices), round(SECONDS * FRAME_RATE), BINS))
        self.register_buffer("codes", torch.zeros(len(voices), groups, sum(codec.pattern)))
        self.register_buffer("lengths", torch.zeros(len(voices), 2, dtype=torch.int64))

    def choose(self, rows: Sequence[Utterance], examples: Examples, inventory: Inventory) -> None:
        """Hear one clip of every voice: of its plain rows that which is closest to `SECONDS`, or if it cannot be read
        the next one; a voice that has none stays without."""
        said: dict[str, list[Utterance]] = {name: [] for name in self.voices}
        for row in rows:
            if row.speaker in said and row.audio and _plain(row, inventory):
                said[row.speaker].append(row)
        for place, name in enumerate(self.voices):
            near = sorted(said[name], key=lambda row: (abs(row.duration - SECONDS), row.id))
            for row in near[:_TRIED]:
                try:
                    self._keep(place, row, examples)
                except StentorError:
                    continue
                break

    def of(self, voice: str) -> Reference | None:
        """The clip of a voice; None for one that has none."""
        if voice not in self.voices:
            return None
        place = self.voices.index(voice)
        count, groups = self.lengths[place].tolist()
        if not count:
            return None
        return Reference(self.mels[place, :count], ungrouped(self.spec, self.codes[place, :groups].long()))

    def _keep(self, place: int, row: Utterance, examples: Examples) -> None:
        seconds = min(row.duration, SECONDS)
        own, at_mel = (
            torch.from_numpy(audio.read(row.audio, rate, row.start, seconds, row.channel))
            for rate in (self.spec.sample_rate, SAMPLE_RATE)
        )
        heard = examples.heard(own, at_mel, text="", device=self.mels.device)
        assert heard.mel is not None
        mel = heard.mel[: self.mels.shape[1]]
        coded = grouped(self.spec, heard.codes)[: self.codes.shape[1]]
        self.mels[place, : len(mel)], self.codes[place, : len(coded)] = mel, coded
        self.lengths[place] = torch.tensor([len(mel), len(coded)])


def _plain(row: Utterance, inventory: Inventory) -> bool:
    """Whether nothing but its voice is special about how it is said."""
    batch = {"texts": [row.text or ""], "custom": [row.custom], "speakers": [row.speaker]}
    (request,) = of_batch(batch, inventory, lenient=True)
    return request.style.unnamed == NEUTRAL and not any(tag for _, tag in request.marked.stretches())
