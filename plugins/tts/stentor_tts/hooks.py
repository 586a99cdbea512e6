"""Names and import strings of what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import stentor

if TYPE_CHECKING:
    from stentor.registry import Registry, Verbs
    from stentor.serve.mounts import Mounts


@stentor.hookimpl
def stentor_kinds(registry: Registry) -> None:
    registry.kind("vocoder", "stentor_tts.interfaces:Vocoder", "log-mel spectrogram to waveform")
    registry.kind("acoustic", "stentor_tts.interfaces:Acoustic", "codes and a reference voice to log-mel spectrogram")
    registry.kind("rewriter", "stentor_tts.engine.interfaces:Rewriter", "texts to further forms of them")
    registry.kind("filter", "stentor_tts.engine.interfaces:Filter", "a synthetic take to a verdict with its reason")


@stentor.hookimpl
def stentor_register(registry: Registry) -> None:
    registry.codec("fsq", "stentor_tts.codec.neural:FSQCodec")
    registry.codec("rvq", "stentor_tts.codec.neural:RVQCodec")
    registry.task("neural-codec", "stentor_tts.codec.task:NeuralCodecTask")
    registry.codec("dual", "stentor_tts.tokenizer.dual:DualCodec")
    registry.codec("mimi", "stentor_tts.tokenizer.mimi:MimiCodec")
    registry.codec("encodec", "stentor_tts.tokenizer.encodec:EncodecCodec")
    registry.codec("dac", "stentor_tts.tokenizer.dac:DacCodec")
    registry.task("dual-tokenizer", "stentor_tts.tokenizer.task:DualTokenizerTask")
    registry.corpus("styles", "stentor_tts.corpora.styles:Styles")
    registry.vocoder("vocos", "stentor_tts.vocoders.neural:Vocos")
    registry.vocoder("hifigan", "stentor_tts.vocoders.hifigan:HiFiGAN")
    registry.vocoder("griffin-lim", "stentor_tts.vocoders.griffin_lim:GriffinLim")
    registry.vocoder("source-filter", "stentor_tts.vocoders.neural:SourceFilter")
    registry.task("vocoder", "stentor_tts.vocoders.task:VocoderTask")
    registry.acoustic("flow-dit", "stentor_tts.flow.dit:FlowDiT")
    registry.acoustic("flow-unet", "stentor_tts.flow.unet:FlowUNet")
    registry.task("speaking-lm", "stentor_tts.lm.task:SpeakingLM")
    registry.task("flow", "stentor_tts.flow.task:FlowTask")
    registry.voice("run", "stentor_tts.speaking.teacher:RunVoice")
    registry.rewriter("alternatives", "stentor_tts.engine.rewriters:Alternatives")
    registry.rewriter("templates", "stentor_tts.engine.rewriters:Templates")
    registry.rewriter("spoken", "stentor_tts.engine.rewriters:SpokenForms")
    registry.rewriter("written", "stentor_tts.engine.rewriters:WrittenForms")
    registry.filter("duration", "stentor_tts.engine.filters:Duration")
    registry.filter("speech", "stentor_tts.engine.filters:Speech")
    registry.filter("agreement", "stentor_tts.engine.filters:Agreement")
    registry.filter("metric", "stentor_tts.engine.filters:MetricBound")
    registry.tokenizer("phonemes", "stentor_tts.text.phonemes:Phonemes")
    _register_scores(registry)


def _register_scores(registry: Registry) -> None:
    registry.reward("intelligibility", "stentor_tts.rewards.intelligibility:IntelligibilityReward")
    registry.reward("speaker-similarity", "stentor_tts.rewards.quality:SpeakerSimilarityReward")
    registry.reward("dnsmos", "stentor_tts.rewards.quality:DnsmosReward")
    registry.reward("duration", "stentor_tts.rewards.quality:DurationReward")
    registry.reward("style-compliance", "stentor_tts.rewards.style:StyleComplianceReward")
    registry.metric("wer-whisper", "stentor_tts.metrics.judged:WhisperWER")
    registry.metric("cer-whisper", "stentor_tts.metrics.judged:WhisperCER")
    registry.metric("wer-moonshine", "stentor_tts.metrics.judged:MoonshineWER")
    registry.metric("cer-moonshine", "stentor_tts.metrics.judged:MoonshineCER")
    registry.metric("speaker-similarity", "stentor_tts.metrics.voices:SpeakerSimilarity")
    registry.metric("nearest-voice", "stentor_tts.metrics.voices:NearestVoice")
    registry.metric("dnsmos", "stentor_tts.metrics.naturalness:DNSMOS")
    registry.metric("rate-control", "stentor_tts.metrics.control:RateControl")
    registry.metric("energy-control", "stentor_tts.metrics.control:EnergyControl")
    registry.metric("pitch-control", "stentor_tts.metrics.control:PitchControl")
    registry.metric("whisper-control", "stentor_tts.metrics.control:WhisperControl")
    registry.metric("rate-span", "stentor_tts.metrics.spans:RateSpan")
    registry.metric("energy-span", "stentor_tts.metrics.spans:EnergySpan")
    registry.metric("rate-leak", "stentor_tts.metrics.spans:RateLeak")
    registry.metric("energy-leak", "stentor_tts.metrics.spans:EnergyLeak")
    registry.metric("duration", "stentor_tts.metrics.resynthesis:Duration")
    registry.metric("mel-distance", "stentor_tts.metrics.resynthesis:MelDistance")
    registry.metric("stft-distance", "stentor_tts.metrics.resynthesis:StftDistance")
    registry.metric("pitch-distance", "stentor_tts.metrics.resynthesis:PitchDistance")
    registry.metric("pesq", "stentor_tts.metrics.resynthesis:PESQ")
    registry.metric("stoi", "stentor_tts.metrics.resynthesis:STOI")


@stentor.hookimpl
def stentor_recipes() -> Path:
    return Path(__file__).parent / "recipes"


@stentor.hookimpl
def stentor_verbs(verbs: Verbs) -> None:
    verbs.add("synthesise", "stentor_tts.cli.synthesise", "texts to a filtered corpus of synthetic speech by teachers")
    verbs.add("speak", "stentor_tts.cli.speak", "say a text, or many, in a voice")


@stentor.hookimpl
def stentor_routes(mounts: Mounts) -> None:
    mounts.add("speech", "stentor_tts.serve.capability:SpeechCapability", "text to speech, as OpenAI's interface")
