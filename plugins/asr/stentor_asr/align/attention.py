"""Alignment by a recogniser that can say where it looks while it writes a given text: Whisper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from stentor.errors import StentorError
from stentor.evaluate.alignment import align as edits
from stentor.interfaces.corpus import Rejected
from stentor.plugins import registry
from stentor_asr.align.aligner import Aligner, Item, rejected, told
from stentor_asr.transcribe.pipeline import Transcript
from stentor_asr.transcribe.recogniser import Word
from stentor_asr.transcribe.windows import Window, cut, is_silent

_Placed = dict[int, list[tuple[int, str]]]
"""Window -> pieces of lines: (line, text)."""


class AttentionAligner(Aligner):
    """Forces the text through the decoder, window by window of at most 30 s.

    What is longer than a window is recognised first, and its text divided among the windows by the words that were
    heard in each.

    Args:
        recogniser: not loaded yet; has ``align(windows, texts)``.
        batch: windows at a time.

    Raises:
        StentorError: when the recogniser cannot align.
    """

    def __init__(self, recogniser: Any, batch: int = 8) -> None:
        if not hasattr(recogniser, "align"):
            raise StentorError("this recogniser cannot align a text that is given; Whisper can, and so can a run with "
                               "a CTC head.", path="--model")  # fmt: skip
        self.recogniser, self.batch = recogniser, batch
        self._plain = registry().build("normaliser", "basic")

    def load(self) -> dict[str, str]:
        found: dict[str, str] = self.recogniser.load_pretrained()
        return found

    def align(
        self, items: Iterable[Item], advance: Callable[[float], None] = lambda _: None
    ) -> Iterator[tuple[Item, Transcript | Rejected]]:
        group: list[Item] = []
        for item in items:
            if item.seconds <= self.recogniser.window_seconds:
                group.append(item)
                if len(group) < self.batch:
                    continue
            yield from self._short(group, advance)
            group = []
            if item.seconds > self.recogniser.window_seconds:
                yield item, self._one(item, advance)
        yield from self._short(group, advance)

    def _short(
        self, group: Sequence[Item], advance: Callable[[float], None]
    ) -> Iterator[tuple[Item, Transcript | Rejected]]:
        """Together where all can be read and fit, else one by one."""
        try:
            windows = [self._read(item) for item in group]
            lines = [[line for line in item.lines if _speaks(line)] for item in group]
            if not all(lines) or not all(len(window) for window in windows):
                raise StentorError("the text has no word that could be said.")
            _check(windows, lines, self.recogniser.sample_rate)
            found = self.recogniser.align(windows, lines) if group else []
        except StentorError as error:
            if len(group) == 1:
                yield group[0], rejected(group[0], error.problems[0].message)
            else:
                for item in group:
                    yield from self._short([item], advance)
            return
        for item, given, words in zip(group, lines, found, strict=True):
            advance(item.seconds)
            yield item, told(item, list(zip(given, words, strict=True)))

    def _read(self, item: Item) -> np.ndarray:
        blocks = list(item.blocks(self.recogniser.window_seconds, self.recogniser.sample_rate))
        return np.concatenate(blocks)[: round(self.recogniser.window_seconds * self.recogniser.sample_rate)]

    def _one(self, item: Item, advance: Callable[[float], None]) -> Transcript | Rejected:
        """An item of several windows."""
        try:
            heard = [" ".join(one) for one in self._heard(item, lambda seconds: advance(seconds / 2))]
            placed = self._placed(item.lines, heard)
            words: defaultdict[int, list[Word]] = defaultdict(list)
            for batch in _batches(self._windows(item), self.batch):
                for index, window, found in self._forced(batch, placed):
                    for (line, _), own in zip(placed[index], found, strict=True):
                        words[line] += [_later(word, window.start) for word in own]
                advance(sum(len(window.samples) for _, window in batch) / self.recogniser.sample_rate / 2)
        except StentorError as error:
            return rejected(item, error.problems[0].message)
        return told(item, [(text, words[line]) for line, text in enumerate(item.lines)])

    def _windows(self, item: Item) -> Iterator[tuple[int, Window]]:
        rate, longest = self.recogniser.sample_rate, self.recogniser.window_seconds
        return enumerate(cut(item.blocks(longest, rate), rate, longest))

    def _heard(self, item: Item, advance: Callable[[float], None]) -> Iterator[list[str]]:
        for batch in _batches(self._windows(item), self.batch):
            loud = [window.samples for _, window in batch if not is_silent(window.samples, self.recogniser.sample_rate)]
            found = iter(self.recogniser.recognise(loud))
            for _, window in batch:
                silent = is_silent(window.samples, self.recogniser.sample_rate)
                yield [] if silent else [segment.text for segment in next(found).segments]
                advance(len(window.samples) / self.recogniser.sample_rate)

    def _forced(
        self, batch: Sequence[tuple[int, Window]], placed: _Placed
    ) -> Iterator[tuple[int, Window, list[tuple[Word, ...]]]]:
        spoken = [(index, window) for index, window in batch if placed.get(index)]
        if not spoken:
            return
        windows = [window.samples for _, window in spoken]
        lines = [[text for _, text in placed[index]] for index, _ in spoken]
        _check(windows, lines, self.recogniser.sample_rate)
        for (index, window), found in zip(spoken, self.recogniser.align(windows, lines), strict=True):
            yield index, window, found

    def _placed(self, lines: Sequence[str], heard: Sequence[str]) -> _Placed:
        """Every known word in the window where its like was heard, or with the word before it."""
        known = [(line, word) for line, text in enumerate(lines) for word in text.split()]
        said = [(index, word) for index, text in enumerate(heard) for word in self._plain(text).split()]
        steps = edits([self._plain(word) or word for _, word in known], [word for _, word in said])
        if not any(step.kind == "equal" for step in steps):
            raise StentorError("no word of the text was heard in the audio.")
        placed: _Placed = {}
        at, outputs, words = said[0][0], iter(said), iter(known)
        for step in steps:
            if step.output is not None:
                at = max(at, next(outputs)[0])
            if step.reference is not None:
                line, word = next(words)
                pieces = placed.setdefault(at, [])
                if pieces and pieces[-1][0] == line:
                    pieces[-1] = (line, f"{pieces[-1][1]} {word}")
                else:
                    pieces.append((line, word))
        return placed


def _check(windows: Sequence[np.ndarray], lines: Sequence[Sequence[str]], rate: int) -> None:
    """A word takes some tens of milliseconds at the least."""
    for window, text in zip(windows, lines, strict=True):
        count, most = sum(len(line.split()) for line in text), int(len(window) / rate * _FASTEST)
        if count > most:
            raise StentorError(f"the text is too long for the audio: {count} words, and there is time for {most}.")


_FASTEST = 12.0  # words per second; the fastest speakers reach about 10


def _speaks(line: str) -> bool:
    return any(letter.isalnum() for letter in line)


def _later(word: Word, seconds: float) -> Word:
    return Word(word.start + seconds, word.end + seconds, word.text, word.confidence)


def _batches(windows: Iterable[tuple[int, Window]], size: int) -> Iterator[list[tuple[int, Window]]]:
    batch: list[tuple[int, Window]] = []
    for one in windows:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
