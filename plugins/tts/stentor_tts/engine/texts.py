"""Texts in: read, checked, rewritten, and dealt out to voices."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stentor.data import manifest
from stentor.data.quarantine import reason
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor.plugins import registry
from stentor_tts.batches import spared
from stentor_tts.engine.settings import EngineSettings
from stentor_tts.levels import LEVELS

LONGEST = 400
"""Characters that a text may have: more than a teacher says in the longest take."""
_AT_ONCE = 64


@dataclass(frozen=True)
class Job:
    """One take to make: everything that decides its samples, and what it came from.

    Attributes:
        text: what is said.
        source: the text that it was rewritten from.
        voice: who says it.
        rate: level, -2 to 2.
        energy: level, -2 to 2.
        split: ``train`` or ``valid``.
    """

    text: str
    source: str
    voice: str
    rate: int
    energy: int
    split: str

    @property
    def id(self) -> str:
        """Says by a hash what is said and how, so that the same take is made once whatever else is asked for."""
        told = "\n".join((self.text, self.voice, str(self.rate), str(self.energy), self.split))
        return f"{self.split}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def read(sources: Sequence[str]) -> Iterator[str | Rejected]:
    """Texts of files with one a line, and of manifests, in order and each once.

    Raises:
        StentorError: for a file that cannot be read.
    """
    seen: set[bytes] = set()
    for source in sources:
        for raw in _raw(source):
            found = raw if isinstance(raw, Rejected) else _checked(*raw)
            if isinstance(found, Rejected):
                yield found
            elif found and (mark := hashlib.sha256(found.encode()).digest()[:12]) not in seen:
                seen.add(mark)
                yield found


def jobs(texts: Iterable[str | Rejected], settings: EngineSettings) -> Iterator[Job | Rejected]:
    """Every take of every form of every text; what is drawn depends on the text and the seed, not on its neighbours."""
    rewriters = [registry().build("rewriter", **section) for section in settings.rewrite]
    made: set[bytes] = set()
    for source, form in _forms(texts, rewriters):
        if isinstance(form, Rejected):
            yield form
            continue
        for job in _takes(source, form, settings):
            mark = hashlib.sha256(job.id.encode()).digest()[:12]
            if mark not in made:
                made.add(mark)
                yield job


def _forms(texts: Iterable[str | Rejected], rewriters: Sequence[Any]) -> Iterator[tuple[str, str | Rejected]]:
    """(source, form) in order; rewriters get some texts at a time, for those that work in batches."""
    waiting: list[str] = []
    for text in texts:
        if isinstance(text, Rejected):
            yield "", text
            continue
        waiting.append(text)
        if len(waiting) == _AT_ONCE:
            yield from _rewritten(waiting, rewriters)
            waiting = []
    yield from _rewritten(waiting, rewriters)


def _rewritten(texts: Sequence[str], rewriters: Sequence[Any]) -> Iterator[tuple[str, str | Rejected]]:
    pairs = [(text, text) for text in texts]
    for rewriter in rewriters:
        rewritten = zip(pairs, spared(rewriter.rewrite, [form for _, form in pairs]), strict=True)
        pairs = []
        for (source, form), found in rewritten:
            if isinstance(found, Exception):
                yield "", Rejected(f"a form of '{source}'", f"text: {reason(found)} (rewriting '{form}')")
            else:
                pairs += [(source, one) for one in found]
    for source, form in dict.fromkeys(pairs):
        found = _checked(f"a form of '{source}'", form)
        if found:
            yield source, found


def _takes(source: str, text: str, settings: EngineSettings) -> Iterator[Job]:
    rng = random.Random(f"{settings.seed}\n{text}")
    voices = list(settings.voices)
    if settings.takes:
        voices = rng.sample(voices, min(settings.takes, len(voices)))
    split = "valid" if _share(source) < settings.valid else "train"
    for voice in voices:
        styled = rng.random() < settings.styled
        rate, energy = (rng.choice(LEVELS), rng.choice(LEVELS)) if styled else (0, 0)
        yield Job(text, source, voice, rate, energy, split)


def _share(text: str) -> float:
    """A number in [0, 1) that the text decides."""
    return int.from_bytes(hashlib.sha256(f"valid\n{text}".encode()).digest()[:6]) / 2**48


def _raw(source: str) -> Iterator[tuple[str, str] | Rejected]:
    """Where each text stands, and the text."""
    if source.endswith((".jsonl", ".jsonl.gz")):
        for row in manifest.rows(source, check_audio=False):
            if isinstance(row, Rejected):
                yield Rejected(row.where, f"text: {row.reason}")
            else:
                yield (row.id, row.text) if row.text else Rejected(f"{source}: '{row.id}'", "text: none in this row")
        return
    try:
        with Path(source).open(encoding="utf-8", errors="replace") as file:
            yield from ((f"{source}:{number}", line) for number, line in enumerate(file, 1))
    except OSError as cause:
        raise StentorError(f"cannot be read: {cause.strerror or cause}.", path=source) from cause


def _checked(where: str, text: str) -> str | Rejected:
    """The text with single spaces; empty where there is none."""
    text = " ".join(text.split())
    if len(text) > LONGEST:
        return Rejected(where, f"text: too long: {len(text)} characters, at most {LONGEST} fit into a take")
    if "\ufffd" in text or any(not letter.isprintable() for letter in text):
        return Rejected(where, "text: characters that are no text")
    if text and not any(map(str.isalnum, text)):
        return Rejected(where, "text: nothing to say")
    return text
