"""Checks manifests against what a recipe needs, before training starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Literal

from stentor.data import audio, manifest
from stentor.data.quarantine import category
from stentor.data.utterance import Utterance
from stentor.errors import Problem, StentorError
from stentor.interfaces.corpus import Rejected

_EXAMPLES = 3


@dataclass(frozen=True)
class Needs:
    """What a recipe asks of its data.

    Attributes:
        text: whether every utterance must have a transcript.
        speaker: whether every utterance must name its speaker.
        sample_rate: of the model (Hz); audio at a lower rate lacks part of the band; 0 asks nothing.
        min_duration: shortest utterance that is used (s).
        max_duration: longest that is used (s); 0 means no limit.
        disjoint: what no two manifests may share.
        audio: how closely files are looked at: not at all, their ``header``, or ``decode`` all of it.
    """

    text: bool = True
    speaker: bool = False
    sample_rate: int = 0
    min_duration: float = 0.0
    max_duration: float = 0.0
    disjoint: tuple[Literal["speaker", "text"], ...] = ()
    audio: Literal["none", "header", "decode"] = "header"


@dataclass
class Finding:
    """One kind of thing that is wrong, how often, and where for example; an `error` stops training."""

    what: str
    error: bool
    count: int = 0
    where: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.where) else ""
        return f"{self.count} x {self.what}, e.g. {', '.join(self.where)}{more}"


@dataclass
class Report:
    """What the manifests hold and what is wrong with them.

    Attributes:
        utterances: manifest name -> how many good rows.
        seconds: manifest name -> how much audio (s).
        findings: what is wrong, errors first.
    """

    utterances: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not any(finding.error for finding in self.findings)

    def raise_errors(self) -> None:
        """Raise one `StentorError` with all errors, if there are any."""
        problems = [Problem(f"{finding}.", "data") for finding in self.findings if finding.error]
        if problems:
            raise StentorError(problems=problems)

    def lines(self) -> list[str]:
        """The report in plain words."""
        counts = [f"{name}: {count} utterances, {self.seconds[name] / 60:.1f} min"
                  for name, count in self.utterances.items()]  # fmt: skip
        return counts + [f"{'error' if one.error else 'warning'}: {one}" for one in self.findings]


def check(manifests: Mapping[str, str | Path], needs: Needs | None = None) -> Report:
    """Check manifests, one for each split.

    A bad row or file is a warning, as training goes on without it; what the recipe cannot do without, or data shared
    between splits that must not share it, is an error.

    Args:
        manifests: split name -> manifest.
        needs: what the recipe asks.
    """
    needs = needs or Needs()
    report, found = Report(), _Findings()
    splits: dict[str, list[Utterance]] = {}
    for name, path in manifests.items():
        try:
            splits[name] = list(_good_rows(name, path, found))
        except StentorError as error:
            found.add(f"{name}: {error.problems[0].message.rstrip('.')}", str(path), error=True)
            continue
        report.utterances[name] = len(splits[name])
        report.seconds[name] = sum(utterance.duration for utterance in splits[name])
        _check_utterances(name, splits[name], needs, found)
    for one, other in combinations(splits, 2):
        for what in needs.disjoint:
            _check_disjoint(what, (one, splits[one]), (other, splits[other]), found)
    report.findings = sorted(found.table.values(), key=lambda finding: not finding.error)
    return report


class _Findings:
    def __init__(self) -> None:
        self.table: dict[str, Finding] = {}

    def add(self, what: str, where: str, error: bool = False) -> None:
        finding = self.table.setdefault(what, Finding(what, error))
        finding.count += 1
        if len(finding.where) < _EXAMPLES:
            finding.where.append(where)


def _good_rows(name: str, path: str | Path, found: _Findings) -> Iterator[Utterance]:
    good = 0
    for row in manifest.rows(path):
        if isinstance(row, Rejected):
            found.add(f"{name}: {category(row.reason)}", row.where)
        else:
            good += 1
            yield row
    if not good:
        found.add(f"{name}: no row of the manifest can be used", str(path), error=True)


def _check_utterances(name: str, utterances: Sequence[Utterance], needs: Needs, found: _Findings) -> None:
    seen: dict[str, str] = {}
    for utterance in utterances:
        for what, error in _lacks(utterance, needs):
            found.add(f"{name}: {what}", utterance.id, error)
        key = utterance.audio if needs.audio == "header" else utterance.id
        if key not in seen:
            seen[key] = _fault_of_audio(utterance, needs)
        if seen[key]:
            found.add(f"{name}: {seen[key]}", utterance.id)


def _lacks(utterance: Utterance, needs: Needs) -> Iterator[tuple[str, bool]]:
    if needs.text and not utterance.text:
        yield "no text, and the recipe needs one", True
    if needs.speaker and not utterance.speaker:
        yield "no speaker, and the recipe needs one", True
    if utterance.duration < needs.min_duration:
        yield f"shorter than {needs.min_duration:g} s, will be left out", False
    if needs.max_duration and utterance.duration > needs.max_duration:
        yield f"longer than {needs.max_duration:g} s, will be left out", False
    if utterance.audio and utterance.sample_rate < needs.sample_rate:
        yield f"sampled at {utterance.sample_rate} Hz, below the model's {needs.sample_rate} Hz", False


def _fault_of_audio(utterance: Utterance, needs: Needs) -> str:
    if needs.audio == "none" or not utterance.audio:
        return ""
    try:
        header = audio.info(utterance.audio)
        scan = None
        if needs.audio == "decode":
            scan = audio.scan(utterance.audio, utterance.start, utterance.duration, utterance.channel)
    except StentorError as error:
        return category(error.problems[0].message)
    if header.sample_rate != utterance.sample_rate or header.channels != utterance.channels:
        return "the file is not the one that the manifest describes: another sample rate or number of channels"
    if header.duration < utterance.end - audio.TOLERANCE or not header.complete or (scan and scan.damaged):
        return "the file breaks off before the utterance ends"
    return ""


def _check_disjoint(
    what: Literal["speaker", "text"],
    one: tuple[str, Sequence[Utterance]],
    other: tuple[str, Sequence[Utterance]],
    found: _Findings,
) -> None:
    there = {_value(utterance, what) for utterance in one[1]} - {None}
    shared = [value for utterance in other[1] if (value := _value(utterance, what)) in there]
    for value in dict.fromkeys(shared):
        found.add(f"{one[0]} and {other[0]} share a {what}", repr(str(value)[:60]), error=True)


def _value(utterance: Utterance, what: Literal["speaker", "text"]) -> str | None:
    if what == "speaker":
        return utterance.speaker
    return utterance.text.casefold() if utterance.text else None
