"""How fast text is spoken."""

from __future__ import annotations

import re

from torch import Tensor

from stentor_tts.measures.level import speech_seconds

_VOWELS = re.compile(r"[aeiouy]+")
_MUTE = re.compile(r"(?<=[^aeiouyl])e$|(?<=[aeiouy]l)e$|(?<=[^aeiouydt])ed$|(?<=[^aeiouysxzcgh])es$")


def syllables(text: str) -> int:
    """Syllables of an English text: groups of vowels in every word but mute endings, one a word at least.

    A count by spelling, right for about nine words in ten; its errors are the same for every output of a text.
    """
    return sum(map(_of_word, re.findall(r"[a-z']+", text.lower())))


def _of_word(word: str) -> int:
    letters = word.replace("'", "")
    return max(1, len(_VOWELS.findall(_MUTE.sub("", letters))))


def speaking_rate(wave: Tensor, sample_rate: int, text: str) -> float:
    """Syllables of `text` a second (1/s) of a waveform [N], from the first to the last sound; 0 for silence."""
    seconds = speech_seconds(wave, sample_rate)
    return syllables(text) / seconds if seconds else 0.0
