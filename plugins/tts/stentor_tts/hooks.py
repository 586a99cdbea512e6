"""Names and import strings of what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import stentor

if TYPE_CHECKING:
    from stentor.registry import Registry


@stentor.hookimpl
def stentor_kinds(registry: Registry) -> None:
    registry.kind("vocoder", "stentor_tts.interfaces:Vocoder", "log-mel spectrogram to waveform")
    registry.kind("acoustic", "stentor_tts.interfaces:Acoustic", "codes and a reference voice to log-mel spectrogram")


@stentor.hookimpl
def stentor_register(registry: Registry) -> None:
    registry.tokenizer("phonemes", "stentor_tts.text.phonemes:Phonemes")


@stentor.hookimpl
def stentor_recipes() -> Path:
    return Path(__file__).parent / "recipes"
