"""What is to be said, between the page and the voice: stretches in a manner, breaks, and sentences of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """How a stretch is said, beside how the voice says things by itself.

    Attributes:
        rate: times as fast.
        pitch: higher by so much (semitones).
        volume: louder by so much (dB).
        traits: what has no scale, by the names of an `Inventory`: ``style:whisper``, ``emotion:happy``.
    """

    rate: float = 1.0
    pitch: float = 0.0
    volume: float = 0.0
    traits: tuple[str, ...] = ()

    def within(self, outer: Manner) -> Manner:
        """This manner inside of another: rates multiply, pitch and volume add up, traits come together."""
        return Manner(
            self.rate * outer.rate,
            self.pitch + outer.pitch,
            self.volume + outer.volume,
            tuple(dict.fromkeys((*outer.traits, *self.traits))),
        )


PLAIN = Manner()


@dataclass(frozen=True)
class Stretch:
    """Text in one manner."""

    text: str
    manner: Manner = PLAIN


@dataclass(frozen=True)
class Break:
    """An end of sentence that is written down: silence of `seconds`, or of the usual length (None)."""

    seconds: float | None = None
    paragraph: bool = False


Script = tuple[Stretch | Break, ...]


@dataclass(frozen=True)
class Sentence:
    """What is said in one breath: stretches, and the silence after it (s)."""

    stretches: tuple[Stretch, ...]
    pause: float = 0.0

    @property
    def text(self) -> str:
        """The words alone."""
        return " ".join(" ".join(stretch.text for stretch in self.stretches).split())
