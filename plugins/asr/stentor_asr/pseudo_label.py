"""Pseudo-labels: what several recognisers agree on becomes the transcript, the rest is dropped with reasons.

Token-level ROVER and the filter by disagreement are those of arXiv 2605.23463.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from stentor.data import audio, manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.decoding import Predictor, decode
from stentor.evaluate.journal import Journal
from stentor.evaluate.settings import EvaluateSettings
from stentor.interfaces.corpus import Rejected
from stentor.interfaces.normaliser import Normaliser
from stentor_asr import rover
from stentor_asr.transcribe.recogniser import Recogniser

Transcripts = Mapping[str, str]
"""Utterance id -> what a system heard; what it failed on is absent."""


@dataclass(frozen=True)
class Agreement:
    """What makes a label.

    Attributes:
        normaliser: what counts as the same word; labels are in its form.
        agree: how many systems have to say the same.
        most: highest disagreement of an utterance that is kept, see `stentor_asr.rover.Vote`.
    """

    normaliser: Normaliser
    agree: int = 2
    most: float = 0.05


def pool(files: Iterable[tuple[Path, Path]]) -> Iterator[Utterance | Rejected]:
    """Whole files as utterances named by their relative paths; where two folders have the same one, by whole paths.

    Args:
        files: (path, relative path) pairs, of `stentor_asr.transcribe.places.found`.
    """
    named = list(files)
    counts = Counter(relative.as_posix() for _, relative in named)
    for path, relative in named:
        name, place = relative.as_posix(), os.path.abspath(path)
        try:
            info = audio.info(path)
        except StentorError as error:
            yield Rejected(str(path), f"it cannot be read: {error.problems[0].message}")
        else:
            yield Utterance(name if counts[name] == 1 else place, place, info.duration, info.sample_rate,
                            frames=info.frames, channels=info.channels)  # fmt: skip


def listen(
    recogniser: Recogniser,
    utterances: Sequence[Utterance],
    journal: Journal,
    settings: EvaluateSettings,
    *,
    fresh: bool,
) -> dict[str, str]:
    """What a recogniser, its weights loaded, hears; a stopped call goes on where it was."""
    blind = [replace(utterance, text="") for utterance in utterances]
    rows = decode(cast(Predictor, recogniser), blind, journal, settings, torch.device("cpu"), fresh=fresh)
    journal.close({"set": journal.result.stem, "utterances": rows})
    return {row["id"]: row["output"] for row in rows if not {"unscored", "failure"} & row.keys()}


def read(path: Path, utterances: Sequence[Utterance]) -> dict[str, str]:
    """Transcripts of `utterances` from a manifest: the rows of the same stretches of audio.

    Raises:
        StentorError: when it cannot be read or has a transcript of none of them.
    """
    told = {_stretch(row): row.text for row in manifest.load(path, check_audio=False) if row.text is not None}
    found = {one.id: told[_stretch(one)] for one in utterances if _stretch(one) in told}
    if not found:
        raise StentorError("it has no transcript of any of these recordings.", path=str(path))
    return found


def labelled(
    utterances: Sequence[Utterance], systems: Mapping[str, Transcripts], agreement: Agreement
) -> Iterator[Utterance | Rejected]:
    """Each utterance with its label, or why it is dropped.

    A label's row tells under ``pseudo_label`` what each system heard, and the disagreement.

    Args:
        utterances: the pool; what text they have is not looked at.
        systems: transcripts by system; of a tie, the earlier system's word wins.
        agreement: what makes a label.
    """
    for utterance in utterances:
        heard = {name: texts[utterance.id] for name, texts in systems.items() if utterance.id in texts}
        if len(heard) < agreement.agree:
            yield Rejected(utterance.id, f"too few systems transcribed it: {len(heard)} of {len(systems)}")
            continue
        found = rover.vote([agreement.normaliser(text).split() for text in heard.values()], agree=agreement.agree)
        if found.disagreement > agreement.most:
            yield Rejected(utterance.id, f"the systems disagree: {found.disagreed} of "
                                         f"{found.disagreed + len(found.words)} words, {_heard(heard)}")  # fmt: skip
        elif not found.words:
            yield Rejected(utterance.id, "no speech")
        else:
            yield _label(utterance, found, heard)


def _label(utterance: Utterance, found: rover.Vote, heard: Mapping[str, str]) -> Utterance:
    told: dict[str, Any] = {
        "transcripts": dict(heard),
        "disagreement": round(found.disagreement, 6),
    }
    return replace(utterance, text=" ".join(found.words), custom={**utterance.custom, "pseudo_label": told})


def _heard(heard: Mapping[str, str]) -> str:
    return "; ".join(f"{name} '{text}'" for name, text in heard.items())


def _stretch(utterance: Utterance) -> tuple[str, float, float]:
    return os.path.realpath(utterance.audio), round(utterance.start, 3), round(utterance.duration, 3)
