"""Reward ``tool-call``: is what the response says a call that one of the tools would take?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from stentor.extras import require
from stentor.interfaces.reward import Reward, Scores
from stentor_align.rewards.safety import Items

PARTS = ("json", "name", "arguments", "expected")


class ToolCallReward(Reward):
    """1 for a call that is valid, and the expected one where the prompt says which, else 0.

    A call is JSON with ``name`` and ``arguments``, as OpenAI's interface has it. Reads ``text`` of a response; without
    it the score is NaN. Reads ``tools`` of a prompt, a list of ``{name, parameters}`` with a JSON schema for the
    arguments, or of ``{function: {...}}``; a prompt without them takes any name and arguments. Reads ``call`` of a
    prompt, ``{name, arguments}``: the call that is due, or null if none is, which plain text then gets right. Parts are
    whether there is ``json`` of that form, whether ``name`` is known, whether ``arguments`` fit the schema, and whether
    it is the ``expected`` call.

    Args:
        opening: text before the JSON, e.g. ``<tool_call>``; empty: the response is the JSON alone.
        closing: text after it.
    """

    nature = "verifiable"

    def __init__(self, *, opening: str = "", closing: str = "") -> None:
        self.opening, self.closing = opening, closing

    def score(self, prompts: Items, responses: Items) -> Scores:
        rows = [self._row(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        total, *parts = torch.tensor(rows, dtype=torch.float32).reshape(-1, 1 + len(PARTS)).unbind(1)
        return Scores(total, dict(zip(PARTS, parts, strict=True)))

    def _row(self, prompt: Mapping[str, Any], response: Mapping[str, Any]) -> list[float]:
        """The total and every part."""
        text = response.get("text")
        if not isinstance(text, str):
            return [math.nan] * (1 + len(PARTS))
        call = self._call(text)
        if "call" in prompt and prompt["call"] is None:
            return [float(call is None)] * (1 + len(PARTS))
        named, fits = _fits(call, prompt.get("tools"))
        expected = call is not None and prompt.get("call", call) == call
        found = [call is not None, named, fits, expected]
        return [float(all(found)), *map(float, found)]

    def _call(self, text: str) -> dict[str, Any] | None:
        """The call in a text, or None."""
        inside = text.strip()
        if not (inside.startswith(self.opening) and inside.endswith(self.closing)):
            return None
        try:
            found = json.loads(inside.removeprefix(self.opening).removesuffix(self.closing))
        except (ValueError, RecursionError):
            return None
        fine = isinstance(found, dict) and set(found) == {"name", "arguments"} and isinstance(found["arguments"], dict)
        return found if fine and isinstance(found["name"], str) else None


def _fits(call: Mapping[str, Any] | None, tools: Sequence[Mapping[str, Any]] | None) -> tuple[bool, bool]:
    """Whether a call names one of the tools, and whether that one takes its arguments."""
    if call is None or tools is None:
        return call is not None, call is not None
    known = {tool["name"]: tool for tool in (one.get("function", one) for one in tools)}
    if call["name"] not in known:
        return False, False
    schema = known[call["name"]].get("parameters")
    if schema is None:
        return True, True
    checker = require("jsonschema", "tools", distribution="stentor-align")
    return True, bool(checker.Draft202012Validator(schema).is_valid(call["arguments"]))
