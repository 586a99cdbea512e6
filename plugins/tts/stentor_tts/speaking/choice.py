"""Who a user means to speak: a run or an export, or an engine."""

from __future__ import annotations

from pathlib import Path

from stentor.data.voices.named import engine_of
from stentor.plugins import registry
from stentor_tts.speaking.speaker import Speaker

DEFAULT = "hibari"


def choose(run: Path | None, engine: str = "", *, device: str = "auto") -> Speaker:
    """The speaker, its weights not yet read.

    Args:
        run: folder of a run or of an export whose task speaks; None takes `engine`.
        engine: a voice as corpora name it, e.g. ``espeak:en-us+f2``; empty: `DEFAULT`.
        device: where a run computes.

    Raises:
        StentorError: when there is no such voice.
    """
    if run is not None:
        from stentor_tts.speaking.run import RunSpeaker

        return RunSpeaker(run, device=device)
    from stentor_tts.speaking.engine import EngineSpeaker

    name = engine or DEFAULT
    registry().get("voice", engine_of(name), path="--engine")
    return EngineSpeaker(name)
