"""Sentences of several texts said together, each as it is said alone."""

from __future__ import annotations

from collections.abc import Sequence

from stentor.data.resample import Samples
from stentor_tts.batches import spared
from stentor_tts.speaking.speaker import Speaker, Wish
from stentor_tts.text.script import Sentence

Piece = tuple[Sentence, Wish]


def say_together(speaker: Speaker, pieces: Sequence[Piece]) -> list[Samples | Exception]:
    """What `speaker` says of each piece, as many at once as it likes best; where that raises, each is said alone.

    Args:
        speaker: with its weights loaded.
        pieces: sentences and wishes, those of another temperature too.

    Returns:
        For each piece its samples, mono float32 [N], or what it raises alone.
    """

    def said(some: Sequence[Piece]) -> list[Samples]:
        return speaker.say_whole([sentence for sentence, _ in some], [wish for _, wish in some])

    found: dict[int, Samples | Exception] = {}
    for rows in _batches(pieces, speaker.together):
        found.update(zip(rows, spared(said, [pieces[row] for row in rows]), strict=True))
    return [found[row] for row in range(len(pieces))]


def _batches(pieces: Sequence[Piece], most: int) -> list[list[int]]:
    """Rows of one temperature and of like length, as a batch goes on until the longest of it is said."""
    batches: list[list[int]] = []
    for temperature in dict.fromkeys(wish.temperature for _, wish in pieces):
        rows = [row for row, (_, wish) in enumerate(pieces) if wish.temperature == temperature]
        if most > 1:
            rows.sort(key=lambda row: len(pieces[row][0].text))
        batches += [rows[at : at + most] for at in range(0, len(rows), most)]
    return batches
