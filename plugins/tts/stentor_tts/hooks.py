"""Names and import strings of what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import stentor

if TYPE_CHECKING:
    from stentor.registry import Registry, Verbs


@stentor.hookimpl
def stentor_kinds(registry: Registry) -> None:
    registry.kind("vocoder", "stentor_tts.interfaces:Vocoder", "log-mel spectrogram to waveform")
    registry.kind("acoustic", "stentor_tts.interfaces:Acoustic", "codes and a reference voice to log-mel spectrogram")
    registry.kind("rewriter", "stentor_tts.engine.interfaces:Rewriter", "texts to further forms of them")
    registry.kind("filter", "stentor_tts.engine.interfaces:Filter", "a synthetic take to a verdict with its reason")


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
    registry.rewriter("alternatives", "stentor_tts.engine.rewriters:Alternatives")
    registry.rewriter("templates", "stentor_tts.engine.rewriters:Templates")
    registry.rewriter("spoken", "stentor_tts.engine.rewriters:SpokenForms")
    registry.rewriter("written", "stentor_tts.engine.rewriters:WrittenForms")
    registry.filter("duration", "stentor_tts.engine.filters:Duration")
    registry.filter("speech", "stentor_tts.engine.filters:Speech")
    registry.filter("agreement", "stentor_tts.engine.filters:Agreement")
    registry.tokenizer("phonemes", "stentor_tts.text.phonemes:Phonemes")


@stentor.hookimpl
def stentor_recipes() -> Path:
    return Path(__file__).parent / "recipes"


@stentor.hookimpl
def stentor_verbs(verbs: Verbs) -> None:
    verbs.add("synthesise", "stentor_tts.cli.synthesise", "texts to a filtered corpus of synthetic speech by teachers")
    verbs.add("speak", "stentor_tts.cli.speak", "say a text, or many, in a voice")
