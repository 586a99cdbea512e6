"""From a text as people write it, or SSML, to the sentences that a voice says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_tts import markup
from stentor_tts.inventory import Inventory
from stentor_tts.text import characters, ssml
from stentor_tts.text.characters import Known, Sieve
from stentor_tts.text.script import PLAIN, Break, Manner, Script, Sentence, Stretch
from stentor_tts.text.sentences import PARAGRAPH, sentences
from stentor_tts.text.style import manner, of_tag


class Reading:
    """The sentences of one text, made one after the other; afterwards it knows what could not be said.

    Args:
        script: stretches and breaks.
        normalise: what is written to what is said.
        known: see `Sieve`.
        whole: see below.

    Attributes:
        whole: the manner that the text asks of all of itself, beside what its stretches ask.
    """

    def __init__(
        self, script: Script, normalise: Callable[[str], str], known: Known | None, whole: Manner = PLAIN
    ) -> None:
        self._script, self._normalise, self._sieve, self.whole = script, normalise, Sieve(known), whole

    def __iter__(self) -> Iterator[Sentence]:
        """The sentences.

        Raises:
            StentorError: at the end, when nothing of the text could be said.
        """
        said = False
        for sentence in sentences(self._script):
            spoken = Sentence(tuple(self._spoken(sentence)), sentence.pause)
            said = said or bool(spoken.stretches)
            if spoken.stretches or spoken.pause:
                yield spoken
        if not said:
            raise StentorError(f"nothing of the text can be said. {self.told}".strip(), path="text")

    @property
    def told(self) -> str:
        """One sentence on the characters that were left out; empty when none was."""
        return self._sieve.told()

    def _spoken(self, sentence: Sentence) -> Iterator[Stretch]:
        for stretch in sentence.stretches:
            text = self._sieve(self._normalise(stretch.text))
            if any(map(str.isalnum, text)):
                yield Stretch(text, stretch.manner)


class FrontEnd:
    """Reads texts for a voice.

    Args:
        normaliser: what turns numbers and signs into words, of ``stentor list tn``; empty: nothing does.
        known: whether the voice can say a character; None: see `Sieve`.
        inventory: the tags that it knows.
        longest: characters of one text.

    Raises:
        StentorError: for a normaliser that is not there.
    """

    def __init__(
        self,
        normaliser: str = "plain",
        known: Known | None = None,
        inventory: Inventory = Inventory(),  # noqa: B008 (frozen)
        longest: int = characters.LONGEST,
    ) -> None:
        entry = registry().get("tn", normaliser, path="normaliser") if normaliser else None
        self._normalise: Callable[[str], str] = entry.load()() if entry else str
        self._known, self._inventory, self._longest = known, inventory, longest

    def read(self, text: str) -> Reading:
        """The sentences of `text`; SSML where it begins with ``<speak``.

        Raises:
            StentorError: for text that is empty, huge, holds control characters, wrong tags, or is bad SSML.
        """
        text = characters.checked(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"), self._longest)
        script, whole = (ssml.parse(text), PLAIN) if ssml.is_ssml(text) else self._marked(text)
        return Reading(script, self._normalise, self._known, whole)

    def _marked(self, text: str) -> tuple[Script, Manner]:
        """Stretches under tags, a paragraph of its own each, as tags do not reach over its end; and the style before
        all words, which holds for all paragraphs."""
        if "[" not in text and "]" not in text:
            return (Stretch(text),), PLAIN
        script: list[Stretch | Break] = []
        whole, begun = PLAIN, False
        for paragraph in PARAGRAPH.split(text):
            marked = markup.parse(paragraph, self._inventory, begun=begun)
            whole = whole if begun else manner(marked.style, self._inventory).within(whole)
            begun = begun or bool(marked.words)
            script += [Stretch(f"{words} ", of_tag(tag)) for words, tag in marked.stretches()]
            script.append(Break(None, paragraph=True))
        return tuple(script), whole
