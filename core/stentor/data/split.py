"""Sets apart validation and test utterances, by speaker, by text or one by one, the same way every time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Literal

from stentor.data.utterance import Utterance
from stentor.errors import StentorError

By = Literal["auto", "speaker", "text", "utterance"]
REST = "train"
"""The split that keeps what is not set apart."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a split may be called; it becomes the name of a file."""


def parse(words: str) -> dict[str, float]:
    """Read ``valid=0.05,test=0.05``.

    Raises:
        StentorError: when it is not of that form or leaves nothing to train on.
    """
    shares: dict[str, float] = {}
    for part in filter(None, words.split(",")):
        name, _, given = part.partition("=")
        try:
            shares[name.strip()] = float(given)
        except ValueError:
            raise StentorError(
                f"'{part}' is no share; write for example valid=0.05,test=0.05.", path="--split"
            ) from None
    for name, share in shares.items():
        if not NAME.fullmatch(name) or name == REST or not 0 < share < 1:
            raise StentorError(f"'{name}={share:g}' is no share between 0 and 1 of a split other than '{REST}'.",
                               path="--split")  # fmt: skip
    if sum(shares.values()) >= 1:
        raise StentorError(f"the shares leave nothing for '{REST}'.", path="--split")
    return shares


def choose(utterances: Sequence[Utterance], by: By, parts: int) -> By:
    """What ``auto`` means: by speaker where all are known and there are enough for `parts` splits, else by text."""
    if by != "auto":
        return by
    speakers = {utterance.speaker for utterance in utterances}
    return "speaker" if None not in speakers and len(speakers) >= parts else "text"


def assign(utterances: Sequence[Utterance], shares: Mapping[str, float], by: By, seed: int) -> list[str]:
    """The split of every utterance.

    Groups (a speaker's utterances, those of one text, or single ones) stay whole. They are taken in an order that the
    seed decides, and fill each split up to its share of the hours; every split gets at least one group.

    Raises:
        StentorError: when there are fewer groups than splits.
    """
    by = choose(utterances, by, len(shares) + 1)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, utterance in enumerate(utterances):
        groups[_group(utterance, by)].append(index)
    if len(groups) <= len(shares):
        other = "text or utterance" if by == "speaker" else "fewer splits, or more data"
        raise StentorError(f"there are only {len(groups)} different {by}s for {len(shares) + 1} splits; take {other}.",
                           path="--split-by", value=by)  # fmt: skip
    order = sorted(groups, key=lambda name: blake2b(f"{seed}\n{name}".encode(), digest_size=8).digest())
    return _fill(utterances, shares, [groups[name] for name in order])


def _fill(utterances: Sequence[Utterance], shares: Mapping[str, float], groups: list[list[int]]) -> list[str]:
    splits = [REST] * len(utterances)
    total = sum(utterance.duration for utterance in utterances)
    position = 0
    for number, (name, share) in enumerate(shares.items()):
        filled = 0.0
        spare = len(shares) - number  # groups that the later splits and the rest still need
        while position < len(groups) - spare and (not filled or filled < share * total):
            for index in groups[position]:
                splits[index] = name
                filled += utterances[index].duration
            position += 1
    return splits


def _group(utterance: Utterance, by: By) -> str:
    if by == "speaker":
        if utterance.speaker is None:
            raise StentorError(f"the speaker of '{utterance.id}' is not known; take text or utterance.",
                               path="--split-by", value=by)  # fmt: skip
        return utterance.speaker
    if by == "text" and utterance.text is not None:
        return "text " + utterance.text.casefold()
    return "id " + utterance.id
