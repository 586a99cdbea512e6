"""What voices that are made of another one have in common."""

from __future__ import annotations

from stentor.data.voices.named import voice
from stentor.interfaces.voice import Voice


class Derived(Voice):
    """A voice made of another one, with its sample rate and its licence.

    Attributes:
        base: the other one, as corpora name it: ``hibari``, ``espeak:en-us+f2``.
    """

    base: str

    @property
    def of(self) -> Voice:
        """The other voice."""
        return voice(self.base)

    @property
    def sample_rate(self) -> int:  # type: ignore[override]
        return self.of.sample_rate

    @property
    def licence(self) -> str:  # type: ignore[override]
        return self.of.licence
