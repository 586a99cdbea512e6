"""The audio of the corpus `styles`: stretches spoken at their own rates and levels, joined to one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from stentor.data.corpora.speaking import RATE, digest, fault, write
from stentor.data.resample import resample
from stentor.data.voices.named import engine_of, unwhispered, voice, whispers
from stentor.interfaces.corpus import Item, Rejected
from stentor_tts.batches import spared
from stentor_tts.corpora.styles_text import marked
from stentor_tts.levels import GAINS, RATES, TAGS
from stentor_tts.sounding import fades, speech_level, trimmed

LEVEL = -34.0
"""Level of neutral speech (dB of full scale): with the highest gain, speech peaks below full scale."""
MARGIN = 0.1
"""Silence before and after the speech (s)."""
_GAP = 0.04  # between stretches, s
_FADE, _EDGE = 0.008, 0.01  # s
_SHORTEST, _LONGEST = 0.12, 15.0  # s


@dataclass(frozen=True)
class Stretch:
    """Words said at one rate and level, and the tag that they stand in (empty: none)."""

    text: str
    rate: int
    energy: int
    tag: str = ""


@dataclass(frozen=True)
class Plan:
    """Everything that decides the samples of one utterance.

    Attributes:
        id: of the utterance.
        split: which manifest it goes to.
        stretches: what is said, in order.
        voice: as `stentor.data.voices.named` reads it.
        rate: level of the whole.
        energy: level of the whole.
        unit: ``word``, ``phrase`` or ``sentence``.
        prompt: another utterance of the voice, for cloning.
    """

    id: str
    split: str
    stretches: tuple[Stretch, ...]
    voice: str
    rate: int = 0
    energy: int = 0
    unit: str = "sentence"
    prompt: Plan | None = field(default=None)

    @property
    def text(self) -> str:
        """The words without tags."""
        return " ".join(stretch.text for stretch in self.stretches)

    @property
    def file(self) -> str:
        """Name of its file; says by a hash what is in it, so that a finished file is never taken for another."""
        return f"{self.split}/{self.id}-{digest(replace(self, prompt=None))}.flac"


def unit_of(text: str) -> str:
    """What a text is: ``word``, ``phrase`` (two or three words) or ``sentence``."""
    return {1: "word", 2: "phrase", 3: "phrase"}.get(len(text.split()), "sentence")


def plan(
    name: str, split: str, text: str, voice: str, *, rate: int = 0, energy: int = 0, unit: str = "sentence"
) -> Plan:
    """An utterance without tags."""
    return Plan(name, split, (Stretch(text, rate, energy),), voice, rate, energy, unit)


def plan_tagged(name: str, split: str, stretches: Sequence[tuple[str, str]], voice: str) -> Plan:
    """An utterance of (words, tag), neutral outside its tags."""
    made = []
    for text, tag in stretches:
        level = dict([TAGS[tag]]) if tag in TAGS else {}
        made.append(Stretch(text, level.get("rate", 0), level.get("energy", 0), tag))
    return Plan(name, split, tuple(made), voice)


def make(plan: Plan, folder: Path) -> Item | Rejected:
    """Speak, check and write `plan` and its prompt into `folder`, unless that was done before."""
    target, custom = folder / plan.file, describe(plan)
    if plan.prompt:
        other = make(plan.prompt, folder)
        if isinstance(other, Rejected):
            return Rejected(plan.id, f"its prompt cannot be used: {other.reason}")
        # relative to the manifest's folder, in which the workspace lies
        custom["prompt"] = {"audio": f"{folder.name}/{plan.prompt.file}", "text": plan.prompt.text}
    if custom["spans"] or not target.exists():  # where a span lies is known only from speaking
        try:
            audio, bounds = speak(plan)
        except (RuntimeError, ValueError) as cause:
            return Rejected(plan.id, f"{plan.voice} failed: {type(cause).__name__}: {cause}")
        except BadSpeech as bad:
            return Rejected(plan.id, str(bad))
        _place(custom["spans"], plan, bounds)
        if not target.exists():
            write(target, audio)
    return Item(plan.id, target, plan.text, unwhispered(plan.voice), "en", plan.split, custom=custom)


class BadSpeech(Exception):
    """Why an utterance cannot be used."""


Uttered = tuple[np.ndarray, list[tuple[int, int]]]
"""Samples float32 [N] at 16 kHz, and where each stretch begins and ends in them."""


def speak(plan: Plan) -> Uttered:
    """Say an utterance.

    Raises:
        BadSpeech: when the voice gives what cannot be used.
    """
    speaker = voice(plan.voice)
    return _joined(plan, (speaker.speak(one.text, speed=RATES[one.rate]) for one in plan.stretches))


def speak_all(plans: Sequence[Plan]) -> list[Uttered | Exception]:
    """What `speak` gives of each of several utterances of one voice, which may say them together, or what it raises."""

    def said(some: Sequence[Stretch]) -> list[np.ndarray | Exception]:
        return voice(plans[0].voice).speak_all([one.text for one in some], speeds=[RATES[one.rate] for one in some])

    found = iter(spared(said, [stretch for plan in plans for stretch in plan.stretches]))
    return [_tried(plan, list(islice(found, len(plan.stretches)))) for plan in plans]


def _tried(plan: Plan, said: Sequence[np.ndarray | Exception]) -> Uttered | Exception:
    def known() -> Iterator[np.ndarray]:
        for one in said:
            if isinstance(one, Exception):
                raise one
            yield one

    try:
        return _joined(plan, known())
    except Exception as cause:  # a voice is arbitrary code, and the other utterances can be used all the same
        return cause


def _joined(plan: Plan, said: Iterable[np.ndarray]) -> Uttered:
    """What `speak` gives, of what the voice said of each stretch, float [n] at its own rate."""
    pieces, bounds, place = [np.zeros(round(MARGIN * RATE), np.float32)], [], round(MARGIN * RATE)
    for index, (stretch, samples) in enumerate(zip(plan.stretches, said, strict=True)):
        gap = np.zeros(round(_GAP * RATE) if index else 0, np.float32)
        sounding = _levelled(samples, voice(plan.voice).sample_rate, stretch.energy)
        pieces += [gap, sounding]
        bounds.append((place + len(gap), place + len(gap) + len(sounding)))
        place = bounds[-1][1]
    audio = np.concatenate([*pieces, np.zeros(round(MARGIN * RATE), np.float32)])
    if (peak := float(np.abs(audio).max())) > 1.0:
        raise BadSpeech(f"too loud for its level: it would peak at {20 * np.log10(peak):.1f} dB above full scale")
    return audio, bounds


def _levelled(spoken: np.ndarray, rate: int, energy: int) -> np.ndarray:
    """A stretch float32 [n] at 16 kHz, without silence at its ends, at the level of its energy."""
    if reason := fault(spoken, rate, _SHORTEST, _LONGEST):
        raise BadSpeech(reason)
    audio = trimmed(resample(spoken, rate, RATE), RATE, _EDGE)
    gain = 10 ** ((LEVEL + GAINS[energy] - speech_level(audio, RATE)) / 20)
    return audio * np.float32(gain) * fades(len(audio), RATE, _FADE)


def _place(spans: list[dict[str, Any]], plan: Plan, bounds: Sequence[tuple[int, int]]) -> None:
    """Fill in the times of the tagged stretches."""
    tagged = [place for stretch, place in zip(plan.stretches, bounds, strict=True) if stretch.tag]
    for span, (start, end) in zip(spans, tagged, strict=True):
        span |= {"start": start / RATE, "end": end / RATE}


def describe(plan: Plan) -> dict[str, Any]:
    """The custom fields of its row; times of spans are filled in where it is spoken."""
    spoken = {"engine": engine_of(plan.voice), "voice": plan.voice, "speed": RATES[plan.rate]}
    style = {"rate": plan.rate, "energy": plan.energy, "whisper": whispers(plan.voice)}
    spans = [{"tag": stretch.tag} for stretch in plan.stretches if stretch.tag]
    tagged = {"marked": marked([(one.text, one.tag) for one in plan.stretches])} if spans else {}
    licence = voice(plan.voice).licence
    return {
        "synthetic": True,
        **spoken,
        "style": style,
        "unit": plan.unit,
        **tagged,
        "spans": spans,
        "licence": licence,
    }
