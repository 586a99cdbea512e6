"""What is asked: two responses to a prompt, as sides A and B, in an order that a seed draws."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from stentor.data import audio
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_align.preferences import fields
from stentor_align.preferences.selecting import same

Side = Literal["a", "b"]
Shown = Literal["auto", "text", "audio", "both"]
RESPONSES = "responses"
"""The custom field of a row whose responses nobody has compared yet."""
_ANSWERS = ("chosen", "rejected", "ranked", RESPONSES)


@dataclass(frozen=True, eq=False)
class Question:
    """Two responses to compare.

    Attributes:
        id: of the pair.
        row: the prompt, without responses.
        sides: the responses as they are shown, A and B.
    """

    id: str
    row: Utterance
    sides: tuple[Mapping[str, Any], Mapping[str, Any]]

    def side(self, name: Side) -> Mapping[str, Any]:
        """The response on a side."""
        return self.sides[0 if name == "a" else 1]

    def voted(self, better: Side) -> Utterance:
        """The row that says which side was better, as `stentor_align.preferences.fields` has it.

        Scores are left out: they are of somebody else, and a pair whose scores say the contrary would not be learnt.
        """
        chosen, rejected = self.sides if better == "a" else self.sides[::-1]
        told = [{key: value for key, value in one.items() if key != "score"} for one in (chosen, rejected)]
        custom = {**self.row.custom, "chosen": told[0], "rejected": told[1]}
        return replace(self.row, id=self.id, custom=custom)


def questions(rows: Sequence[Utterance], folder: Path, seed: int) -> tuple[list[Question], list[Rejected]]:
    """The pairs of rows, in an order and with sides that `seed` draws, and why rows or pairs are left out.

    Args:
        rows: with ``chosen`` and ``rejected``, ``ranked``, or `RESPONSES`, each a response or a list of them.
        folder: what relative paths of audio count from.
        seed: the same one gives the same order and sides.
    """
    found: dict[str, Question] = {}
    dropped: list[Rejected] = []
    for row in rows:
        try:
            asked = _asked(row, folder)
        except StentorError as error:
            dropped.append(Rejected(row.id, str(error)))
            continue
        twice = [one.id for one in asked if one.id in found]
        if twice:
            dropped.append(Rejected(row.id, f"another pair is called '{twice[0]}' already"))
            continue
        found |= {one.id: one for one in asked}
    drawn = [_turned(one, seed) for one in found.values()]
    random.Random(seed).shuffle(drawn)
    return drawn, dropped


def _asked(row: Utterance, folder: Path) -> list[Question]:
    responses = [_placed(one, folder) for one in _responses(row.custom)]
    if len(responses) < 2:
        told = f"a comparison needs two different responses in 'chosen' and 'rejected', 'ranked' or '{RESPONSES}'"
        raise StentorError(f"{told}; here are {len(responses)}.")
    bare = replace(row, custom={key: value for key, value in row.custom.items() if key not in _ANSWERS})
    pairs = list(combinations(responses, 2))
    names = [row.id] if len(pairs) == 1 else [f"{row.id}-{number}" for number in range(len(pairs))]
    return [Question(name, bare, pair) for name, pair in zip(names, pairs, strict=True)]


def _responses(custom: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The different responses of a row that somebody can read or hear."""
    given = custom.get(RESPONSES, custom.get("ranked", [custom[name] for name in _ANSWERS[:2] if name in custom]))
    if not isinstance(given, list | tuple):
        raise StentorError(f"it must be a list of responses, not {type(given).__name__}.", path=RESPONSES)
    told = [fields.response(one, f"{RESPONSES}[{number}]") for number, one in enumerate(given)]
    mute = [number for number, one in enumerate(told) if "text" not in one and "audio" not in one]
    if mute:
        raise StentorError("nobody can read or hear it: it has neither 'text' nor 'audio'.", path=f"[{mute[0]}]")
    different: list[dict[str, Any]] = []
    for one in told:
        if not any(_alike(one, other) for other in different):
            different.append(one)
    return different


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two responses look or sound the same, or have the same words and tokens.

    Tokens of two systems may be the same by chance.
    """
    shown = [response.get("audio", response.get("text")) for response in (one, other)]
    told = "tokens" in one and "tokens" in other and one.get("text") == other.get("text")
    return shown[0] == shown[1] or (told and same(one, other))


def _placed(response: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A response whose audio is there, under its absolute path."""
    if "audio" not in response:
        return response
    place = (folder / response["audio"]).resolve()
    audio.info(place)
    return {**response, "audio": str(place)}


def _turned(question: Question, seed: int) -> Question:
    turn = random.Random(f"{seed} {question.id}").random() < 0.5
    return replace(question, sides=question.sides[::-1]) if turn else question
