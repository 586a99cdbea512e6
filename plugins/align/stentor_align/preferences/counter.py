"""Counter-pairs: what keeps a reward model from liking a reply, or an answer, whatever was heard.

A policy that is praised for admitting that it heard nothing learns to admit it always; Step-Audio adds clear audio with
that reply as the rejected response (arXiv 2502.11946, "deaf hacking"). The other way round, an answer must lose where
there is nothing to hear, or something else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stentor.data import audio
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_align.preferences import fields

Kind = Literal["heard", "silent", "other"]
KINDS: tuple[Kind, ...] = ("heard", "silent", "other")
_RATE = 16000


def counter_pairs(
    rows: Sequence[Utterance],
    deaf: str,
    *,
    kinds: Sequence[Kind] = ("heard",),
    silence: Path | None = None,
    seed: int = 0,
) -> Iterator[Utterance | Rejected]:
    """Counter-pairs to the rows that can be answered: whose ``chosen`` response, or else text, is no deaf reply.

    ``heard``: the row as it is; its answer is chosen, the reply that nothing was heard is rejected. ``silent``: silence
    in the place of its audio; the reply is chosen, the answer, which pretends to have heard, is rejected. ``other``:
    the row as it is; its answer is chosen, that of another row, which answers what was not said, is rejected.

    Args:
        rows: of a manifest, with ``chosen`` in their custom fields or with texts that are right responses.
        deaf: the reply that nothing was heard.
        kinds: which pairs are made of each row.
        silence: where an audio file of silence is written, for ``silent``.
        seed: of which other row's answer is rejected.

    Yields:
        Rows whose ids end in ``-heard``, ``-silent``, ``-other``, or why a row gives none.

    Raises:
        StentorError: when there is no reply, an unknown kind, or nowhere to write silence to.
    """
    _check(deaf, kinds, silence)
    known = {row.id: _answer(row, deaf) for row in rows}
    answers = {name: found for name, found in known.items() if isinstance(found, dict)}
    quiet = _quiet([row for row in rows if row.id in answers], silence) if silence and "silent" in kinds else {}
    rng, different = random.Random(f"counter {seed}"), sorted({_said(one) for one in answers.values()} - {""})
    for row in rows:
        answer = known[row.id]
        if isinstance(answer, str):
            yield Rejected(row.id, answer)
            continue
        for kind in kinds:
            others = [one for one in different if one != _said(answer)]
            if kind == "heard":
                yield _pair(row, kind, answer, {"text": deaf})
            elif kind == "silent":
                yield _pair(replace(row, **quiet), kind, {"text": deaf}, answer)
            elif others:
                yield _pair(row, kind, answer, {"text": rng.choice(others)})
            else:
                yield Rejected(f"{row.id}-{kind}", "there is no other answer")


def _check(deaf: str, kinds: Sequence[str], silence: Path | None) -> None:
    if not deaf.strip():
        raise StentorError("it must be the reply that nothing was heard.", path="--deaf", value=deaf)
    for kind in kinds:
        if kind not in KINDS:
            raise StentorError("there is no such kind of counter-pair.", path="--kinds", value=kind, options=KINDS)
    if len(set(kinds)) < len(kinds):
        raise StentorError("each kind of counter-pair is made once; name none twice.", path="--kinds")
    if "silent" in kinds and silence is None:
        raise StentorError("pairs of kind 'silent' need a place for a file of silence.", path="--kinds")


def _answer(row: Utterance, deaf: str) -> dict[str, Any] | str:
    """How a row should be answered: what is preferred, or its text; or why that cannot be told."""
    told = row.custom.get("chosen", row.text)
    if not told:
        return "nobody says how it should be answered"
    try:
        answer = fields.response(told, "chosen")
    except StentorError as error:
        return str(error)
    if answer.get("text", "").strip() == deaf.strip():
        return "nothing can be heard in it"
    return {key: value for key, value in answer.items() if key in ("text", "tokens", "audio")}


def _said(answer: Mapping[str, Any]) -> str:
    return str(answer.get("text", ""))


def _quiet(rows: Sequence[Utterance], place: Path) -> dict[str, Any]:
    """A file of silence as long as the longest row, and how a row refers to it."""
    frames = max((round(row.duration * _RATE) for row in rows), default=0) + 1
    audio.write(place, np.zeros(frames, dtype=np.float32), _RATE)
    return {"audio": str(place.absolute()), "sample_rate": _RATE, "frames": frames, "channels": 1, "channel": None,
            "start": 0.0}  # fmt: skip


def _pair(row: Utterance, kind: Kind, chosen: Mapping[str, Any], rejected: Mapping[str, Any]) -> Utterance:
    kept = {key: value for key, value in row.custom.items() if key not in ("chosen", "rejected", "ranked")}
    told = {**kept, "counter": kind, "chosen": dict(chosen), "rejected": dict(rejected)}
    return replace(row, id=f"{row.id}-{kind}", custom=told)
