"""The voices of a server: a folder of recordings, the manners that a run knows by name, and the speaker's own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from stentor.data.audio import SUFFIXES
from stentor.errors import StentorError
from stentor.serve.refusals import Refusal
from stentor_tts.speaking.reference import RATE, VoiceSample, voice_sample
from stentor_tts.speaking.speaker import Speaker

OWN = "default"
"""The speaker's own voice."""
log = logging.getLogger("stentor.serve")


class Voices:
    """Voices by name, read anew when the folder changes.

    Args:
        speaker: who is to speak in them.
        folder: recordings, each called like its voice; None: there are none.

    Raises:
        StentorError: for a folder that is not there, holds no voice, or is of no use to the speaker.
    """

    def __init__(self, speaker: Speaker, folder: Path | None) -> None:
        self._speaker, self._folder, self._told = speaker, folder, set[str]()
        if folder is None:
            return
        if not folder.is_dir():
            raise StentorError("there is no such folder of voices.", path="--voices", value=str(folder))
        if "voice" not in speaker.abilities:
            raise StentorError(f"'{speaker.name}' speaks in its own voice alone; leave --voices out.", path="--voices",
                               value=str(folder))  # fmt: skip
        if not self._samples():
            raise StentorError("the folder holds no recording that a voice could be taken from.", path="--voices",
                               value=str(folder), options=sorted(SUFFIXES))  # fmt: skip

    def names(self) -> list[str]:
        """What clients may ask for."""
        return [OWN, *self._speaker.inventory.voices, *self._samples()]

    def about(self) -> list[dict[str, Any]]:
        """The same with the length of each recording (s), JSON-ready."""
        seconds = {name: round(len(one.audio) / RATE, 2) for name, one in self._samples().items()}
        return [{"id": name, "name": name, "reference_seconds": seconds.get(name)} for name in self.names()]

    def find(self, name: str) -> VoiceSample | str | None:
        """The voice called `name`: a recording, a name that the speaker knows, or None for its own.

        Raises:
            Refusal: when there is none.
        """
        samples = self._samples()
        if name in samples:
            return samples[name]
        if name in self._speaker.inventory.voices:
            return name
        if name in (OWN, self._speaker.name):
            return None
        raise Refusal(f"there is no voice '{name}' here.", path="voice", value=name, options=self.names(),
                      code="voice_not_found")  # fmt: skip

    def _samples(self) -> dict[str, VoiceSample]:
        """The recordings that can be used; why one cannot is logged once."""
        found: dict[str, VoiceSample] = {}
        for path in sorted(self._folder.iterdir()) if self._folder else ():
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            try:
                found.setdefault(path.stem, voice_sample(path))
            except StentorError as error:
                if str(error) not in self._told:
                    self._told.add(str(error))
                    log.warning("voice left out: %s", error)
        return found
