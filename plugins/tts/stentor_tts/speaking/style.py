"""A style in words, such as "slow, whisper", as a manner."""

from __future__ import annotations

from stentor.errors import StentorError
from stentor_tts.text.script import PLAIN, Manner

STYLES = {
    "very slow": Manner(rate=0.7),
    "slow": Manner(rate=0.85),
    "fast": Manner(rate=1.2),
    "very fast": Manner(rate=1.45),
    "very soft": Manner(volume=-12.0),
    "soft": Manner(volume=-6.0),
    "loud": Manner(volume=6.0),
    "very loud": Manner(volume=12.0),
    "very low": Manner(pitch=-4.0),
    "low": Manner(pitch=-2.0),
    "high": Manner(pitch=2.0),
    "very high": Manner(pitch=4.0),
    "whisper": Manner(whisper=True),
    "neutral": PLAIN,
}
"""Five levels each of rate, energy and pitch, and whisper."""


def manner(style: str) -> Manner:
    """The manner of a style: words of `STYLES` with commas between them; empty: the voice's own.

    Raises:
        StentorError: for a word that is none of them.
    """
    found = PLAIN
    for word in (" ".join(part.split()).lower() for part in style.split(",")):
        if word and word not in STYLES:
            raise StentorError(f"there is no style '{word}'.", path="style", value=word, options=list(STYLES))
        found = STYLES[word].within(found) if word else found
    return found
