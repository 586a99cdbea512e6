"""A speaker for tests: every letter is 10 ms of a tone, in chunks of one word; it notes what it was asked."""

import threading

import numpy as np

from stentor_tts.speaking.speaker import Speaker

RATE = 16000
LETTER = 160


def level(text, amplitude=0.3):
    """What it says of a word: float32 [n]."""
    tones = [np.sin(np.arange(LETTER) * 2 * np.pi * (ord(letter) % 32 + 2) / LETTER) for letter in text]
    return (amplitude * np.concatenate(tones)).astype(np.float32)


class Tones(Speaker):
    """Waits before each word while `free` is not set, as it is not after `pause_after` words; fails on `fuse`."""

    sample_rate, name, abilities = RATE, "tones", frozenset({"voice", "temperature"})

    def __init__(self, amplitude=0.3):
        self.amplitude, self.asked, self.words = amplitude, [], []
        self.free, self.begun = threading.Event(), threading.Event()
        self.free.set()
        self.pause_after = None

    def can_say(self, character):
        return character.isascii()

    def say(self, sentence, wish):
        self.asked.append((sentence, wish))
        for word in sentence.text.split():
            self.begun.set()
            self.free.wait(20)
            if word.startswith("fuse"):
                raise RuntimeError("the fuse is blown")
            self.words.append(word)
            if len(self.words) == self.pause_after:
                self.free.clear()
            yield level(word, self.amplitude * 10 ** (wish.manner.volume / 20))
