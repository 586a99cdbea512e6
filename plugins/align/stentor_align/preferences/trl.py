"""Preferences to and from TRL's conversational format, so that data of one can be used by the other.

A line has ``prompt``, ``chosen`` and ``rejected``, lists of messages ``{role, content}``; where there is no ``prompt``,
the messages that both responses begin with are it. Plain texts stand for one message each.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any

from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_align.preferences import fields
from stentor_align.preferences.selecting import same

Message = dict[str, Any]
SAME = "chosen and rejected say the same."
"""Why a pair is left out that teaches nothing."""


def exported(utterance: Utterance) -> Iterator[dict[str, Any] | Rejected]:
    """A row's pairs, one line for each, or why one is left out: its scores do not say so, or both sides say the same.

    Raises:
        StentorError: when a response is no text, or the row has no pair.
    """
    found = fields.pairs(utterance.custom, margin=-math.inf)
    if not found:
        raise StentorError("no two responses of which one is preferred are in the row.")
    for pair in found:
        texts = [one.get("text") for one in (pair.chosen, pair.rejected)]
        if not all(isinstance(text, str) for text in texts):
            raise StentorError("a response has no text, which this format needs.")
        if same(pair.chosen, pair.rejected) or texts[0] == texts[1]:
            yield Rejected(utterance.id, SAME)
        elif pair.margin <= 0:
            yield Rejected(
                utterance.id, f"scores do not prefer what is chosen: it is {-pair.margin:g} below the other."
            )
        else:
            yield _line(utterance, pair)


def _line(utterance: Utterance, pair: fields.Pair) -> dict[str, Any]:
    line: dict[str, Any] = {"id": utterance.id, "prompt": _prompt(utterance)}
    for name, one in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        line[name] = [{"role": "assistant", "content": one["text"]}]
        if "score" in one:
            line[f"score_{name}"] = one["score"]
    return line


def _prompt(utterance: Utterance) -> list[Message]:
    custom = utterance.custom
    if "messages" in custom:
        return list(custom["messages"])
    asked = "\n".join(str(custom[key]) for key in ("instruction", "given") if custom.get(key))
    content: Any = asked
    if utterance.audio:
        content = [{"type": "audio", "audio": utterance.audio}, *([{"type": "text", "text": asked}] if asked else [])]
    return [{"role": "user", "content": content}]


def imported(line: Any, name: str, taken: Collection[str] = ()) -> Utterance:
    """A line as a row of text alone.

    Args:
        line: what its JSON says.
        name: its id where the line has none.
        taken: ids that it must not have; a number is put behind its own then.

    Raises:
        StentorError: when it is no preference, holds anything but text, or both sides say the same.
    """
    if not isinstance(line, Mapping):
        raise StentorError(f"a preference is an object, not {type(line).__name__}.")
    chosen, rejected = _messages(line.get("chosen"), "chosen"), _messages(line.get("rejected"), "rejected")
    if chosen == rejected:
        raise StentorError(SAME)
    prompt = _messages(line["prompt"], "prompt", "user") if "prompt" in line else _common(chosen, rejected)
    if "prompt" not in line:
        chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    asked = [message["content"] for message in prompt if message["role"] == "user"]
    if not asked or len(chosen) != 1 or len(rejected) != 1:
        raise StentorError("a preference is a prompt with a user's message, and one message for either response.")
    custom: dict[str, Any] = {"instruction": asked[-1]}
    if len(prompt) > 1:
        custom["messages"] = prompt
    for key, (message,) in (("chosen", chosen), ("rejected", rejected)):
        custom[key] = {"text": message["content"], **_score(line, f"score_{key}")}
    text = chosen[0]["content"]
    seconds = Utterance.reading_seconds(asked[-1], text)
    own = str(line.get("id", name))
    free = next(one for one in chain([own], (f"{own}-{number}" for number in count(2))) if one not in taken)
    if re.search("[\ud800-\udfff]", free + json.dumps(custom, ensure_ascii=False)):
        raise StentorError("it has half of a character, which no file can hold.")
    return Utterance(free, "", seconds, 0, text=text, custom=custom)


def _score(line: Mapping[str, Any], name: str) -> dict[str, float]:
    value = line.get(name)
    if value is None:
        return {}
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise StentorError("it must be a finite number.", path=name)
    return {"score": float(value)}


def _messages(value: Any, path: str, role: str = "assistant") -> list[Message]:
    found = [{"role": role, "content": value}] if isinstance(value, str) else value
    fine = isinstance(found, Sequence) and all(
        isinstance(one, Mapping) and isinstance(one.get("role"), str) and isinstance(one.get("content"), str)
        for one in found
    )
    if not fine or not found:
        raise StentorError("it must be a text, or a list of messages with 'role' and a 'content' of text.", path=path)
    return [{"role": one["role"], "content": one["content"]} for one in found]


def _common(one: Sequence[Message], other: Sequence[Message]) -> list[Message]:
    found: list[Message] = []
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        found.append(left)
    return found
