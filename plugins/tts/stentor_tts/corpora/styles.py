"""The training corpus of a speaking model: synthetic speech in many voices, at five rates and five levels."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from stentor.data.corpora.commands_text import Grammar, Part, Sentences
from stentor.data.corpora.speaking import check_voices, in_processes
from stentor.data.voices.named import WHISPER
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected
from stentor_tts.corpora.styles_audio import Plan, make, plan, plan_tagged, unit_of
from stentor_tts.corpora.styles_text import ShortTexts, open_grammar, tagged
from stentor_tts.levels import LEVELS, TAGS

# Clear to a recogniser first: more than half of the rows are of the cleanest voice or made of it.
_VOICES = ("hibari~0.72", "hibari~0.78", "hibari~0.84", "hibari~0.9", "hibari~1.08", "hibari~1.16",
           "espeak:en-us", "espeak:en-us+steph", "espeak:en-us+Michael", "espeak:en-us+edward", "espeak:en-us+f2",
           "espeak:en-us+steph~0.85", "espeak:en-us+Michael~1.1")  # fmt: skip
_TAGS = tuple(tag for tag, (scale, _) in TAGS.items() if scale != "pitch")


class Styles(Corpus):
    """Synthetic English speech for synthesis: plain words with how they are said, in words and in tags.

    The text is that of the corpus `commands` (a home, a car, music, a calendar) and, in splits of their own, of a
    grammar with a wide vocabulary. A row's custom fields tell the ``style`` (five levels of rate and energy, whisper),
    the ``spans`` of inline tags with their times, and the ``marked`` text. Levels are kept: every row is as loud as its
    style says. Held-out sentences never occur in training, the held-out voice speaks held-out sentences only. The same
    settings give the same bytes, and a build that was cut off goes on where it stopped.

    Args:
        utterances: in split ``train``.
        short: share of them that is one to three words.
        styled: share of them, short ones included, at a rate or level other than neutral.
        inline: share of them with stretches in tags.
        whisper: share of them that is whispered.
        valid: utterances in split ``valid``: as training, unseen sentences.
        heldout_sentences: in that split: voice `main`, unseen sentences, neutral.
        heldout_styles: in that split: voice `main`, every sentence at all five rates and all five levels.
        heldout_spans: in that split: voice `main`, unseen sentences with tags.
        heldout_whisper: in that split: voice `main` whispering unseen sentences.
        heldout_voice: in that split: unseen voice, unseen sentences, each with another utterance as ``prompt``.
        train_open: in that split: voice `main`, sentences of the wide vocabulary.
        heldout_open: in that split: voice `main`, unseen sentences of the wide vocabulary.
        main: the voice of half of the training rows, as `stentor.data.voices.named` reads it.
        voices: of the other half; one that is listed twice speaks twice as much.
        unseen_voice: the held-out one.
        workers: processes to speak in.
        seed: of everything.
    """

    needs_source = False

    def __init__(
        self,
        source: Path | None,
        workspace: Path,
        *,
        utterances: int = 8000,
        short: float = 0.25,
        styled: float = 0.4,
        inline: float = 0.12,
        whisper: float = 0.05,
        valid: int = 100,
        heldout_sentences: int = 120,
        heldout_styles: int = 125,
        heldout_spans: int = 120,
        heldout_whisper: int = 40,
        heldout_voice: int = 60,
        train_open: int = 0,
        heldout_open: int = 60,
        main: str = "hibari",
        voices: tuple[str, ...] = _VOICES,
        unseen_voice: str = "piper",
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        check_voices((main, *voices), unseen_voice)
        _check_shares(short=short, styled=styled, inline=inline, whisper=whisper)
        self._workspace, self._main, self._voices, self._unseen = Path(workspace), main, tuple(voices), unseen_voice
        self._sizes = {"train": utterances, "valid": valid, "heldout-sentences": heldout_sentences,
                       "heldout-styles": heldout_styles, "heldout-spans": heldout_spans,
                       "heldout-whisper": heldout_whisper, "heldout-voice": heldout_voice,
                       "train-open": train_open, "heldout-open": heldout_open}  # fmt: skip
        self._short, self._styled, self._inline, self._whisper = short, styled, inline, whisper
        self._workers, self._seed = workers, seed

    def total(self) -> int:
        return sum(self._sizes.values())

    def plans(self) -> Iterator[Plan]:
        """Every utterance, before any is made; fixed by the settings."""
        for split in ("train", "valid"):
            yield from self._mixed(split)
        heldout, size = Sentences("heldout", self._seed), self._sizes
        for index, text in enumerate(_drawn(heldout, size["heldout-sentences"])):
            yield plan(_name("heldout-sentences", index), "heldout-sentences", text, self._main)
        yield from _latin(heldout, size["heldout-styles"], self._main)
        yield from _inline(heldout, size["heldout-spans"], self._main, self._seed)
        for index, text in enumerate(_drawn(heldout, size["heldout-whisper"])):
            yield plan(_name("heldout-whisper", index), "heldout-whisper", text, f"{self._main}~{WHISPER}")
        yield from _prompted(heldout, size["heldout-voice"], self._unseen)
        yield from self._open()

    def items(self) -> Iterator[Item | Rejected]:
        yield from in_processes(partial(make, folder=self._workspace), self.plans(), self._workers)

    def _mixed(self, split: Part) -> Iterator[Plan]:
        rng, sentences = random.Random(f"{split} {self._seed}"), Sentences(split, self._seed)
        short = ShortTexts(self._seed)
        for index in range(self._sizes[split]):
            name, voice = _name(split, index), rng.choice((self._main, rng.choice(self._voices or (self._main,))))
            drawn, styled = rng.random(), rng.random() < self._styled
            rate, energy = (rng.choice(LEVELS), rng.choice(LEVELS)) if styled else (0, 0)
            if drawn < self._inline:
                tags = rng.sample(_TAGS, 1 + (rng.random() < 0.3))
                yield plan_tagged(name, split, tagged(sentences.draw(), tags, rng), voice)
                continue
            voice += f"~{WHISPER}" * (drawn > 1 - self._whisper)
            text = short.draw() if split == "train" and rng.random() < self._short_of_rest else sentences.draw()
            yield plan(name, split, text, voice, rate=rate, energy=energy, unit=unit_of(text))

    @property
    def _short_of_rest(self) -> float:
        """The share of short rows among those without tags."""
        return min(1.0, self._short / max(1 - self._inline, 1e-9))

    def _open(self) -> Iterator[Plan]:
        parts: dict[str, Part] = {"train-open": "train", "heldout-open": "heldout"}
        grammar: Grammar = open_grammar()
        for split, part in parts.items():
            for index, text in enumerate(_drawn(Sentences(part, self._seed, grammar), self._sizes[split])):
                yield plan(_name(split, index), split, text, self._main)


def _name(split: str, index: int) -> str:
    return f"{split}-{index:05d}"


def _drawn(sentences: Sentences, count: int) -> Iterator[str]:
    return (sentences.draw() for _ in range(count))


def _latin(sentences: Sentences, count: int, voice: str) -> Iterator[Plan]:
    """Five rows a sentence: at each rate once, and at each level once."""
    texts = list(_drawn(sentences, -(-count // 5)))
    for index in range(count):
        text = texts[index // 5]
        rate, energy = LEVELS[index % 5], LEVELS[(index + index // 5) % 5]
        yield plan(_name("heldout-styles", index), "heldout-styles", text, voice, rate=rate, energy=energy)


def _inline(sentences: Sentences, count: int, voice: str, seed: int) -> Iterator[Plan]:
    """The tags in turn, one a sentence."""
    rng = random.Random(f"heldout-spans {seed}")
    for index, text in enumerate(_drawn(sentences, count)):
        stretches = tagged(text, [_TAGS[index % len(_TAGS)]], rng)
        yield plan_tagged(_name("heldout-spans", index), "heldout-spans", stretches, voice)


def _prompted(sentences: Sentences, count: int, voice: str) -> Iterator[Plan]:
    """Every utterance with the next one of the split as its prompt."""
    plain = [plan(_name("heldout-voice", index), "heldout-voice", text, voice)
             for index, text in enumerate(_drawn(sentences, count))]  # fmt: skip
    for index, one in enumerate(plain):
        yield replace(one, prompt=plain[(index + 1) % len(plain)]) if len(plain) > 1 else one


def _check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise StentorError("a share lies between 0 and 1.", path=f"corpus.{name}", value=share)
    if shares["inline"] + shares["whisper"] > 1:
        raise StentorError("inline and whisper are shares of the same rows: together at most 1.", path="corpus.inline",
                           value=shares["inline"])  # fmt: skip
