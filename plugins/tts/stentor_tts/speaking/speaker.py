"""What speaks single sentences: a trained run, or an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stentor.data.audio import SUFFIXES
from stentor.data.resample import Samples
from stentor.errors import StentorError
from stentor_tts.inventory import Inventory
from stentor_tts.speaking.reference import VoiceSample, voice_sample
from stentor_tts.text.script import PLAIN, Manner, Sentence

Told = Callable[[int, Samples], bool]


@dataclass(frozen=True)
class Wish:
    """How everything is to be said.

    Attributes:
        voice: whom to sound like; None: the speaker's own voice.
        manner: of the whole, on top of what single stretches ask.
        seed: of everything that is drawn; the same seed gives the same audio.
        temperature: of drawing; None: the speaker's own, 0: nothing is drawn.
    """

    voice: VoiceSample | None = None
    manner: Manner = PLAIN
    seed: int = 0
    temperature: float | None = None


class Speaker(ABC):
    """Says sentences, one at a time or several together.

    Attributes:
        sample_rate: of what it gives (Hz).
        abilities: what of a `Wish` it can do: ``voice``, ``temperature``.
        name: what it is called.
        inventory: the tags and styles that it knows.
        together: how many sentences `say_whole` says best at once; 1: it gains nothing from saying several.
    """

    inventory: Inventory = Inventory()
    together: int = 1
    sample_rate: int
    abilities: frozenset[str] = frozenset()
    name: str

    @abstractmethod
    def say(self, sentence: Sentence, wish: Wish) -> Iterator[Samples]:
        """Chunks of mono float32 [n], as soon as each is there; the silence after the sentence is not its part."""

    def say_all(self, sentences: Sequence[Sentence], wishes: Sequence[Wish], told: Told) -> None:
        """Say several, together where that saves time: what each gives is what it gives alone.

        Args:
            sentences: one for each row.
            wishes: of each row; all of one temperature.
            told: gets the number of a row and its next chunk; where it says False, nobody waits for the rest.
        """
        for row, (sentence, wish) in enumerate(zip(sentences, wishes, strict=True)):
            for chunk in self.say(sentence, wish):
                if not told(row, chunk):
                    break

    def say_whole(self, sentences: Sequence[Sentence], wishes: Sequence[Wish]) -> list[Samples]:
        """What `say_all` gives of each, mono float32 [N], where nobody waits for the first of it.

        Args:
            sentences: one for each row.
            wishes: of each row; all of one temperature.
        """
        chunks: list[list[Samples]] = [[np.zeros(0, np.float32)] for _ in sentences]

        def keep(row: int, chunk: Samples) -> bool:
            chunks[row].append(chunk)
            return True

        self.say_all(sentences, wishes, keep)
        return [np.concatenate(some) for some in chunks]

    def can_say(self, character: str) -> bool:
        """Whether it knows a character."""
        return character.isalnum() or character.isascii()

    def load_pretrained(self) -> dict[str, str]:
        """Read weights; tells where they are from."""
        return {}

    def check(self, sentence: Sentence, wish: Wish) -> None:
        """Refuse a sentence that it cannot say as it is asked to; quick, and in any thread.

        Raises:
            StentorError: telling what it cannot do.
        """
        return

    def find(self, voice: str | Path) -> VoiceSample | str:
        """The voice that is called so: a name that it knows, or a recording.

        Raises:
            StentorError: when there is neither, the recording is of no use, or it takes none.
        """
        known = self.inventory.voices
        if voice in known:
            return str(voice)
        if "voice" not in self.abilities:
            raise self._own_voice(str(voice))
        if not Path(voice).is_file() and Path(voice).suffix.lower() not in SUFFIXES:
            raise StentorError(f"there is no voice '{voice}', and no such recording.", path="voice", value=str(voice),
                               options=known)  # fmt: skip
        return voice_sample(voice)

    def _own_voice(self, asked: str) -> StentorError:
        told = f"'{self.name}' speaks in its own voice and takes no other; a trained run takes a recording (--run RUN)."
        return StentorError(told, path="voice", value=asked)

    def refuse(self, wish: Wish) -> None:
        """Refuse what it cannot do.

        Raises:
            StentorError: naming the option.
        """
        if wish.voice is not None and "voice" not in self.abilities:
            raise self._own_voice(wish.voice.name)
        if wish.temperature is not None and "temperature" not in self.abilities:
            raise StentorError(f"'{self.name}' draws nothing and takes no temperature.", path="temperature",
                               value=wish.temperature)  # fmt: skip
