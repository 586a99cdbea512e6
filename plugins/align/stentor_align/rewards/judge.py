"""Reward ``judge``: a judge compares a response with a reference, or scores it by a rubric."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from string import Template
from typing import Annotated, Any, Literal

import torch

from stentor.config.reference import ComponentOf
from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor.train.assembly import build
from stentor_align.interfaces import Judge
from stentor_align.rewards.safety import Items
from stentor_align.rewards.thoughts import Tags

PAIR = """You compare two responses to the same request.

Request: $request

Response A: $a

Response B: $b

Which response is better? $criterion
Answer with one word on the last line: A, B or tie."""
RUBRIC = """You score a response to a request.

Request: $request

Reference: $reference

Response: $response

Score each of these from $low to $high, one on each line, as "name: number":
$rubric"""
_VERDICT = re.compile(r"(?:.*\b(?:verdict|answer)\s*:\s*)?[\[(*\"']*\s*(A|B|tie)\s*[\])*\"'.]*", re.IGNORECASE)


class JudgeReward(Reward):
    """A generative reward: what a judge says of a response, read off its words.

    In mode ``pair`` the judge is asked twice, with the response in either place, so that a liking for a place cancels
    out. The score is the mean of the verdicts: 1 where the response wins both times, -1 where it loses both times, 0
    where the verdicts contradict each other (StepAudio 2.5's reward model compares with a reference, too, arXiv
    2605.23463). In mode ``rubric`` it is asked once for a number for every item; the score is their mean from 0 to 1.

    Reads ``text`` of a response, and of a prompt ``reference`` (needed in mode ``pair``) and what `request` names.
    Without these, and where the judge says nothing or prose, the score is NaN. Parts are ``readable``, 1 or 0, and in
    mode ``pair`` the verdicts ``first`` and ``second``, in mode ``rubric`` one for every item.

    Args:
        judge: who is asked.
        mode: ``pair`` or ``rubric``.
        request: how a prompt is told to the judge; ``$key`` stands for a field of the prompt.
        criterion: what better means, a sentence.
        rubric: item -> what it means, for mode ``rubric``.
        low: least number of an item.
        high: greatest number of an item.
        template: the whole question in place of the usual one, with ``$request``, ``$criterion``, and ``$a``, ``$b``,
            or ``$response``, ``$reference``, ``$rubric``, ``$low``, ``$high``.
        reads: ``all`` of a response and a reference, or the ``answer`` behind the thought, where that is legal.
    """

    nature = "generative"
    models = ("judge",)

    def __init__(
        self,
        *,
        judge: Annotated[Mapping[str, Any], ComponentOf("judge")] = {"name": "scripted"},
        mode: Literal["pair", "rubric"] = "pair",
        request: str = "$instruction $given",
        criterion: str = "The better one does what is asked, and nothing else.",
        rubric: Mapping[str, str] = {"helpful": "does what is asked"},
        low: int = 1,
        high: int = 5,
        template: str = "",
        reads: Literal["all", "answer"] = "all",
    ) -> None:
        if low >= high or not rubric:
            raise StentorError("a rubric needs an item, and low must be less than high.", path="reward.rubric")
        self.judge: Judge = build("judge", judge, path="reward.judge")
        self.mode, self.criterion, self.rubric = mode, criterion, dict(rubric)
        self.low, self.high, self.reads = low, high, reads
        self._request = Template(request)
        self._template = Template(template or (PAIR if mode == "pair" else RUBRIC))

    def load_pretrained(self) -> dict[str, str]:
        return self.judge.load_pretrained()

    def to(self, device: torch.device) -> None:
        self.judge.to(device)

    def score(self, prompts: Items, responses: Items) -> Scores:
        return (self._pairs if self.mode == "pair" else self._rubrics)(prompts, responses)

    def _pairs(self, prompts: Items, responses: Items) -> Scores:
        questions: list[str] = []
        asked = []
        for place, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
            ours, theirs = response.get("text"), prompt.get("reference")
            if isinstance(ours, str) and isinstance(theirs, str):
                ours, theirs = self._read(ours), self._read(theirs)
                asked.append(place)
                questions += [self._question(prompt, a=ours, b=theirs), self._question(prompt, a=theirs, b=ours)]
        answers = self.judge.ask(questions)
        rows = torch.full((len(responses), 2), math.nan)
        for place, first, second in zip(asked, answers[::2], answers[1::2], strict=True):
            rows[place] = torch.tensor([verdict(first), -verdict(second)])
        total = rows.mean(1)
        return Scores(total, {"first": rows[:, 0], "second": rows[:, 1], "readable": (~total.isnan()).float()})

    def _rubrics(self, prompts: Items, responses: Items) -> Scores:
        rows = torch.full((len(responses), len(self.rubric)), math.nan)
        pairs = zip(prompts, responses, strict=True)
        asked = {n: self._question(p, response=self._read(r["text"])) for n, (p, r) in enumerate(pairs) if _said(r)}
        for place, answer in zip(asked, self.judge.ask(list(asked.values())), strict=True):
            numbers = marks(answer, list(self.rubric), self.low, self.high)
            rows[place] = (torch.tensor(numbers) - self.low) / (self.high - self.low)
        total = rows.mean(1)
        items = dict(zip(self.rubric, rows.unbind(1), strict=True))
        return Scores(total, {**items, "readable": (~total.isnan()).float()})

    def _read(self, text: str) -> str:
        """What the judge is shown of a text."""
        return answer_of(text) if self.reads == "answer" else text

    def _question(self, prompt: Mapping[str, Any], **fields: str) -> str:
        known = _Blank({key: value for key, value in prompt.items() if isinstance(value, str | int | float)})
        rubric = "\n".join(f"{name}: {meaning}" for name, meaning in self.rubric.items())
        told = {"request": self._request.safe_substitute(known).strip(), "criterion": self.criterion, "rubric": rubric,
                "reference": self._read(known["reference"]), "low": self.low, "high": self.high}  # fmt: skip
        return self._template.safe_substitute(told | fields)


def answer_of(text: str) -> str:
    """What is behind the thought of a response; all of it where its tags are not legal."""
    found = Tags().split(text)
    return text if found is None else found[1]


class _Blank(dict[str, Any]):
    """A mapping in which what is missing is empty."""

    def __missing__(self, key: str) -> str:
        return ""


def _said(response: Mapping[str, Any]) -> bool:
    return isinstance(response.get("text"), str)


def verdict(answer: str | None) -> float:
    """1 for A, -1 for B, 0 for a tie, read off the last line that says anything; NaN for prose and for nothing.

    On that line may stand what led to it, if ``verdict:`` or ``answer:`` tells where that ends.
    """
    lines = [line.strip() for line in (answer or "").splitlines() if line.strip()]
    found = _VERDICT.fullmatch(lines[-1]) if lines else None
    return math.nan if found is None else {"a": 1.0, "b": -1.0, "tie": 0.0}[found.group(1).lower()]


def marks(answer: str | None, items: Sequence[str], low: int, high: int) -> list[float]:
    """The number of every item, NaN for all of them where one is missing, said twice or out of range."""
    found = []
    for item in items:
        told = re.findall(rf"^\W*{re.escape(item)}\W*:\W*(-?\d+(?:\.\d+)?)", answer or "", re.MULTILINE | re.IGNORECASE)
        if len(told) != 1 or not low <= float(told[0]) <= high:
            return [math.nan] * len(items)
        found.append(float(told[0]))
    return found
