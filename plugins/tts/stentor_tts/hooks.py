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
    registry.codec("dual", "stentor_tts.tokenizer.dual:DualCodec")
    registry.task("dual-tokenizer", "stentor_tts.tokenizer.task:DualTokenizerTask")
    registry.corpus("styles", "stentor_tts.corpora.styles:Styles")
    registry.vocoder("vocos", "stentor_tts.vocoders.vocos:Vocos")
    registry.vocoder("hifigan", "stentor_tts.vocoders.hifigan:HiFiGAN")
    registry.vocoder("griffin-lim", "stentor_tts.vocoders.griffin_lim:GriffinLim")
    registry.vocoder("source-filter", "stentor_tts.vocoders.source_filter:SourceFilter")
    registry.task("vocoder", "stentor_tts.vocoders.task:VocoderTask")
    registry.acoustic("flow-dit", "stentor_tts.flow.dit:FlowDiT")
    registry.acoustic("flow-unet", "stentor_tts.flow.unet:FlowUNet")
    registry.task("flow", "stentor_tts.flow.task:FlowTask")
    registry.tokenizer("phonemes", "stentor_tts.text.phonemes:Phonemes")


@stentor.hookimpl
def stentor_recipes() -> Path:
    return Path(__file__).parent / "recipes"
