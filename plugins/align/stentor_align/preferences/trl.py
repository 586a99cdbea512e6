"""Preferences to and from TRL's conversational format, so that data of one can be used by the other.

A line has ``prompt``, ``chosen`` and ``rejected``, lists of messages ``{role, content}``; where there is no ``prompt``,
the messages that both responses begin with are it. Plain texts stand for one message each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor_align.preferences import fields

Message = dict[str, Any]


def exported(utterance: Utterance) -> Iterator[dict[str, Any]]:
    """A row's pairs, one line for each.

    Raises:
        StentorError: when a response is no text.
    """
    for pair in fields.pairs(utterance.custom):
        texts = [one.get("text") for one in (pair.chosen, pair.rejected)]
        if not all(isinstance(text, str) for text in texts):
            raise StentorError("a response has no text, which this format needs.", path=utterance.id)
        line: dict[str, Any] = {"id": utterance.id, "prompt": _prompt(utterance)}
        for name, one, text in zip(("chosen", "rejected"), (pair.chosen, pair.rejected), texts, strict=True):
            line[name] = [{"role": "assistant", "content": text}]
            if "score" in one:
                line[f"score_{name}"] = one["score"]
        yield line


def _prompt(utterance: Utterance) -> list[Message]:
    custom = utterance.custom
    if "messages" in custom:
        return list(custom["messages"])
    asked = "\n".join(str(custom[key]) for key in ("instruction", "given") if custom.get(key))
    content: Any = asked
    if utterance.audio:
        content = [{"type": "audio", "audio": utterance.audio}, *([{"type": "text", "text": asked}] if asked else [])]
    return [{"role": "user", "content": content}]


def imported(line: Mapping[str, Any], name: str) -> Utterance:
    """A line as a row of text alone; `name` is its id where the line has none.

    Raises:
        StentorError: when it is no preference, or holds anything but text.
    """
    chosen, rejected = _messages(line.get("chosen"), "chosen"), _messages(line.get("rejected"), "rejected")
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
        score = {"score": float(line[f"score_{key}"])} if f"score_{key}" in line else {}
        custom[key] = {"text": message["content"], **score}
    text = chosen[0]["content"]
    seconds = Utterance.reading_seconds(asked[-1], text)
    return Utterance(str(line.get("id", name)), "", seconds, 0, text=text, custom=custom)


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
