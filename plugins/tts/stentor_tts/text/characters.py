"""Which characters can be said: what cannot be is left out, counted, and told once."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

from stentor.errors import StentorError

Known = Callable[[str], bool]
"""Whether a voice can say one character."""
LONGEST = 1_000_000
"""Characters of one text."""
_SHOWN = 8
_GAP = re.compile(r"\s+([,.!?;:])")
_WRITTEN_SPACE = "\t\n\r\f\v"
_PLAIN = str.maketrans({
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{EM DASH}": ", ",
    "\N{EN DASH}": ", ",
    "\N{HORIZONTAL ELLIPSIS}": ".",
})  # fmt: skip


def checked(text: str, longest: int = LONGEST) -> str:
    """The text, if it can be read at all.

    Raises:
        StentorError: for empty, huge or undecodable text, and for control characters.
    """
    if len(text) > longest:
        raise StentorError(f"the text has {len(text):,} characters; up to {longest:,} are spoken at once.", path="text")
    for place, character in enumerate(text):
        kind = unicodedata.category(character)
        if kind == "Cc" and character not in _WRITTEN_SPACE:
            told = f"the text holds a control character (U+{ord(character):04X}, at place {place + 1}); take it out."
            raise StentorError(told, path="text")
        if kind == "Cs":
            raise StentorError(
                f"the text is not valid Unicode (at place {place + 1}); it has to be UTF-8.", path="text"
            )
    if not any(map(str.isalnum, text)):
        raise StentorError("there is nothing to say: the text has no letter and no digit.", path="text")
    return text


class Sieve:
    """Leaves out of texts what a voice cannot say.

    Args:
        known: whether it can say a character; None: every letter and digit, and plain punctuation.

    Attributes:
        dropped: how often each character was left out.
    """

    def __init__(self, known: Known | None = None) -> None:
        self._known = known or plain
        self.dropped: Counter[str] = Counter()

    def __call__(self, text: str) -> str:
        """`text` in plain typography, one line, without what cannot be said; of an unknown é an e stays."""
        set_plainly = unicodedata.normalize("NFC", text).translate(_PLAIN)
        return _GAP.sub(r"\1", " ".join("".join(map(self._sayable, set_plainly)).split()))

    def _sayable(self, character: str) -> str:
        kind = unicodedata.category(character)
        if character.isspace() or kind in ("Cf", "Cc"):
            return "" if kind == "Cf" else " "
        if self._known(character):
            return character
        folded = "".join(one for one in unicodedata.normalize("NFKD", character) if unicodedata.category(one) != "Mn")
        if folded != character and folded and all(map(self._known, folded)):
            return folded
        if kind[0] not in "PZM":  # marks and punctuation say nothing by themselves
            self.dropped[character] += 1
        return " "

    def told(self) -> str:
        """One sentence on what was left out; empty when nothing was."""
        if not self.dropped:
            return ""
        shown = ", ".join(f"'{one}' ({count})" for one, count in self.dropped.most_common(_SHOWN))
        more = f" and {len(self.dropped) - _SHOWN} more" if len(self.dropped) > _SHOWN else ""
        total = sum(self.dropped.values())
        were = "characters cannot be said and were" if total > 1 else "character cannot be said and was"
        return f"{total} {were} left out: {shown}{more}."


def plain(character: str) -> bool:
    """Letters and digits of any script, and punctuation of ASCII."""
    return character.isalnum() or (character.isascii() and unicodedata.category(character).startswith("P"))


def latin(character: str) -> bool:
    """What a voice for English can say: Latin letters, digits, punctuation."""
    return plain(character) and (character.isascii() or unicodedata.name(character, "").startswith("LATIN"))
