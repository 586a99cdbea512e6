"""The one error type that a user sees: what is wrong, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN_OPTIONS = 20
"""A message lists at most so many options."""

_UNSET: Any = object()


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what the user gave.

    Attributes:
        message: one sentence: what is wrong and what would be right.
        path: where, e.g. ``encoder.dim`` or ``train.jsonl:17``; empty if it has no place.
        value: the offending value, if there is one.
        options: what would have been accepted, if that is a short list.
        suggestion: the near match among the options, or a command that mends it.
        source: the file and line where it was written, e.g. ``ctc.yaml:12``, or ``command line``; empty if unknown.
    """

    message: str
    path: str = ""
    value: Any = None
    options: tuple[str, ...] = ()
    suggestion: str | None = None
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.path} ({self.source})" if self.path and self.source else self.path or self.source
        text = f"{place}: {self.message}" if place else self.message
        if self.suggestion:
            text += f" Did you mean '{self.suggestion}'?" if self.suggestion in self.options else f" {self.suggestion}"
        return text + _listed(self.options)


def _listed(options: tuple[str, ...]) -> str:
    if not options:
        return ""
    more = f" and {len(options) - SHOWN_OPTIONS} more" if len(options) > SHOWN_OPTIONS else ""
    return f" Options: {', '.join(options[:SHOWN_OPTIONS])}{more}."


class StentorError(Exception):
    """Bad input, reported in plain words; the command line prints it without a traceback.

    Carries one or more `Problem`. The attributes `path`, `value`, `options` and `suggestion` are those of the first.
    """

    def __init__(
        self,
        message: str = "",
        *,
        path: str = "",
        value: Any = None,
        options: Sequence[str] = (),
        suggestion: str | None = _UNSET,
        problems: Iterable[Problem] = (),
    ) -> None:
        if suggestion is _UNSET:
            suggestion = near_match(value, options) if isinstance(value, str) else None
        own = (Problem(message, path, value, tuple(options), suggestion),) if message else ()
        self.problems: tuple[Problem, ...] = own + tuple(problems)
        if not self.problems:
            raise ValueError("a StentorError needs a message or problems")
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def path(self) -> str:
        return self.problems[0].path

    @property
    def value(self) -> Any:
        return self.problems[0].value

    @property
    def options(self) -> tuple[str, ...]:
        return self.problems[0].options

    @property
    def suggestion(self) -> str | None:
        return self.problems[0].suggestion

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.problems)


def _rebuild(cls: type[StentorError], problems: tuple[Problem, ...]) -> StentorError:
    return cls(problems=problems)


def near_match(word: str, options: Iterable[str]) -> str | None:
    """The option most like `word`, or None when nothing is near; case, ``-`` and ``_`` do not count.

    An option ``asr/ctc`` is also near to ``ctc``.
    """
    choices = {_folded(option): option for option in options}
    tails = {folded.rpartition("/")[2]: option for folded, option in choices.items()}
    for table in (choices, tails):
        # far longer words are never near, and comparing them would take long
        found = difflib.get_close_matches(_folded(word[:200]), table, n=1, cutoff=0.6)
        if found:
            return table[found[0]]
    return None


def _folded(word: str) -> str:
    return word.lower().replace("_", "-")
