"""A sitting: who is asked what, what they said, and the manifest of preferences that comes of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor_align.prefer.questions import Question
from stentor_align.prefer.votes import CHOICES, Votes


class Sitting:
    """Questions for any number of tabs, and their votes.

    A pair that is on show in one tab is offered to another one only when no other is left, and to nobody once it has a
    vote. Where two tabs vote on the same pair all the same, the last vote counts; the log has both.

    Args:
        questions: in the order in which they are asked.
        votes: the log.
        output: the manifest, written anew after every vote.
        rater: name of who votes.
    """

    def __init__(self, questions: Sequence[Question], votes: Votes, output: Path, *, rater: str = "") -> None:
        self.questions = {one.id: one for one in questions}
        self.votes, self.output, self.rater = votes, output, rater
        self._shown: dict[str, str] = {}
        self._lock = threading.Lock()
        self._save()

    def next(self, tab: str) -> Question | None:
        """What a tab is to show: what it shows already, else a pair that no other tab has, else any; None: the end."""
        with self._lock:
            left = [name for name in self.questions if name not in self.votes.last]
            elsewhere = {name for other, name in self._shown.items() if other != tab}
            free = [name for name in left if name not in elsewhere]
            mine = self._shown.get(tab)
            name = mine if mine in left else next(iter(free or left), None)
            self._shown.pop(tab, None)
            if name is None:
                return None
            self._shown[tab] = name
            return self.questions[name]

    def again(self, tab: str, pair: str) -> Question:
        """A pair to be shown once more, voted on or not.

        Raises:
            StentorError: when there is no such pair.
        """
        question = self.question(pair)
        with self._lock:
            self._shown[tab] = pair
        return question

    def question(self, pair: str) -> Question:
        """A question by its id.

        Raises:
            StentorError: when there is none.
        """
        found = self.questions.get(pair)
        if found is None:
            raise StentorError("there is no such pair here; reload the page.", path="pair", value=pair, suggestion=None)
        return found

    def vote(self, pair: str, choice: str, *, tab: str = "", ballot: str = "") -> None:
        """Count a vote; on return it is on the disk, and the manifest has it.

        Raises:
            StentorError: for an unknown pair or choice, or a disk that cannot take it.
        """
        self.question(pair)
        if choice not in CHOICES:
            raise StentorError("there is no such vote.", path="choice", value=choice, options=CHOICES)
        with self._lock:
            self.votes.add(pair=pair, choice=choice, rater=self.rater, tab=tab, ballot=ballot)
            self._save()

    def progress(self) -> dict[str, int]:
        """How many pairs there are, how many have a vote, and how many have which."""
        with self._lock:
            counts = Counter(vote.choice for name, vote in self.votes.last.items() if name in self.questions)
        return {"pairs": len(self.questions), "voted": counts.total(), **{name: counts[name] for name in CHOICES}}

    def preferred(self) -> list[Utterance]:
        """A row for every pair whose last vote prefers a side, in the order of the questions."""
        last = self.votes.last
        sides = {name: last[name].choice for name in self.questions if name in last}
        return [self._row(name, side) for name, side in sides.items() if side in ("a", "b")]

    def _row(self, name: str, side: Any) -> Utterance:
        row, vote = self.questions[name].voted(side), self.votes.last[name]
        told = {key: self._placed(row.custom[key]) for key in ("chosen", "rejected")}
        return replace(row, custom={**row.custom, **told, "vote": {"side": side, "rater": vote.rater}})

    def _placed(self, response: Mapping[str, Any]) -> dict[str, Any]:
        """A response whose audio is named relative to the manifest where it lies below it."""
        place, folder = Path(response.get("audio", "")), self.output.parent.resolve()
        inside = "audio" in response and place.is_relative_to(folder)
        return {**response, "audio": str(place.relative_to(folder))} if inside else dict(response)

    def _save(self) -> None:
        rows = self.preferred()
        if rows or self.output.exists():
            manifest.save(self.output, rows)
