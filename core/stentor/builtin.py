"""What the core itself brings, registered on the same terms as any plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stentor import hookimpl

if TYPE_CHECKING:
    from stentor.registry import Registry, Verbs

_INTERFACES = "stentor.interfaces"
_CORPORA = "stentor.data.corpora"


@hookimpl
def stentor_kinds(registry: Registry) -> None:
    registry.kind("encoder", f"{_INTERFACES}.encoder:Encoder", "waveform batch and lengths to frames [B, T, D]")
    registry.kind("adapter", f"{_INTERFACES}.adapter:Adapter", "frames to the backbone's width, at a lower rate")
    registry.kind("tokenizer", f"{_INTERFACES}.tokenizer:TextTokenizer", "text or audio to ids and back")
    registry.kind("backbone", f"{_INTERFACES}.backbone:Backbone", "input embeddings to hidden states, with a cache")
    registry.kind("decoder", f"{_INTERFACES}.decoder:SearchDecoder", "what the model emits to what the user gets")
    registry.kind("drafter", f"{_INTERFACES}.drafter:Drafter", "proposes tokens that a backbone verifies in one pass")
    registry.kind("reward", f"{_INTERFACES}.reward:Reward", "prompts and responses to scores [B] with named parts")
    registry.kind("codec", f"{_INTERFACES}.codec:Codec", "waveform to discrete codes, and back where it can")
    registry.kind("corpus", f"{_INTERFACES}.corpus:Corpus", "files on disk, or made audio, to checked utterances")
    registry.kind("metric", f"{_INTERFACES}.metric:Metric", "references and outputs to errors over units")
    registry.kind("normaliser", f"{_INTERFACES}.normaliser:Normaliser", "text to the form in which scoring compares it")
    registry.kind("itn", f"{_INTERFACES}.itn:InverseNormaliser", "what was said to what one would write")
    registry.kind("tn", f"{_INTERFACES}.tn:TextNormaliser", "what was written to what one would say")
    registry.kind("task", f"{_INTERFACES}.task:Task", "layout, objective and grammar on top of a model")
    registry.kind("vad", f"{_INTERFACES}.vad:VAD", "waveform to the probability of speech per frame, as it comes")
    registry.kind("voice", f"{_INTERFACES}.voice:Voice", "text to synthetic speech, as a teacher")
    registry.kind("weights", f"{_INTERFACES}.weights:WeightPackage", "an installed package of pretrained weights")


@hookimpl
def stentor_register(registry: Registry) -> None:
    registry.vad("energy", "stentor.vad.energy:Energy")
    registry.vad("webrtc", "stentor.vad.webrtc:WebRTC")
    registry.vad("silero", "stentor.vad.silero:Silero")
    registry.voice("espeak", "stentor.data.voices.espeak:Espeak")
    registry.voice("flite", "stentor.data.voices.flite:Flite")
    registry.voice("hibari", "stentor.data.voices.hibari:HibariVoice")
    registry.voice("piper", "stentor.data.voices.piper:PiperVoice")
    registry.voice("warped", "stentor.data.voices.warped:Warped")
    registry.voice("whispered", "stentor.data.voices.whispered:Whispered")
    registry.corpus("folder", f"{_CORPORA}.folder:Folder")
    registry.corpus("table", f"{_CORPORA}.table:Table")
    registry.corpus("kaldi", f"{_CORPORA}.kaldi:Kaldi")
    registry.corpus("librispeech", f"{_CORPORA}.librispeech:LibriSpeech")
    registry.corpus("ljspeech", f"{_CORPORA}.ljspeech:LJSpeech")
    registry.corpus("common-voice", f"{_CORPORA}.common_voice:CommonVoice")
    registry.corpus("lhotse", f"{_CORPORA}.lhotse:Lhotse")
    registry.corpus("huggingface", f"{_CORPORA}.huggingface:HuggingFace")
    registry.corpus("commands", "stentor.data.corpora.commands:Commands")
    registry.corpus("asterisk", "stentor.data.corpora.debian_asterisk:Asterisk")
    registry.corpus("fillets", "stentor.data.corpora.debian_fillets:Fillets")
    registry.corpus("librivox", "stentor.data.corpora.debian_librivox:Librivox")
    registry.corpus("phrases", "stentor.data.corpora.phrases:SpokenPhrases")
    registry.corpus("lm-text", "stentor.data.corpora.lm_text:LMText")
    registry.task("text-lm", "stentor.tasks.text_lm:TextLMTask")
    registry.metric("wer", "stentor.evaluate.metrics:WordErrorRate")
    registry.metric("response-errors", "stentor.evaluate.metrics:ResponseErrorRate")
    registry.metric("cer", "stentor.evaluate.metrics:CharacterErrorRate")
    registry.normaliser("english", "stentor.evaluate.normalisers:English")
    registry.normaliser("basic", "stentor.evaluate.normalisers:Basic")
    registry.normaliser("spoken", "stentor.evaluate.normalisers:Spoken")
    registry.itn("plain", "stentor.text.inverse:Plain")
    registry.itn("nemo", "stentor.text.inverse:Nemo")
    registry.tn("plain", "stentor.text.spoken:Plain")
    registry.tn("nemo", "stentor.text.spoken:Nemo")
    registry.normaliser("none", "stentor.evaluate.normalisers:Verbatim")
    registry.tokenizer("characters", "stentor.sequence.tokenizers:Characters")
    registry.tokenizer("bytes", "stentor.sequence.tokenizers:Bytes")
    registry.tokenizer("bpe", "stentor.sequence.tokenizers:BytePairs")
    registry.backbone("causal-lm", "stentor.model.causal_lm:CausalLM")
    registry.drafter("ngram", "stentor.decode.drafters.ngrams:NGrams")
    registry.drafter("model", "stentor.decode.drafters.draft_model:DraftModel")
    registry.drafter("branches", "stentor.decode.drafters.branches:Branches")
    registry.adapter("linear", "stentor.model.adapters:Linear")
    registry.adapter("stack", "stentor.model.adapters:Stack")
    registry.adapter("convolution", "stentor.model.adapters:Convolution")


@hookimpl
def stentor_verbs(verbs: Verbs) -> None:
    verbs.add("list", "stentor.cli.list", "what is installed, from which plugin")
    verbs.add("describe", "stentor.cli.describe", "a component's signature and defaults, a kind, or a whole recipe")
    verbs.add("validate", "stentor.cli.validate", "everything that can be wrong with a recipe, without data or weights")
    verbs.add("doctor", "stentor.cli.doctor", "check this environment and say how to mend it")
    verbs.add("complete", "stentor.cli.complete", 'completion in the shell: eval "$(stentor complete)"')
    verbs.add("prepare", "stentor.cli.prepare", "build or import a corpus: check every item, write manifests")
    verbs.add("train", "stentor.cli.train", "train a recipe, or go on with a run that was cut short")
    verbs.add("evaluate", "stentor.cli.evaluate", "score a run, or an embedded recogniser, on named sets")
    verbs.add("export", "stentor.cli.export", "what a run has come to, in a folder to give away")
    verbs.add("serve", "stentor.cli.serve", "answer requests over HTTP with a run, an export or a model")
    verbs.add("report", "stentor.cli.report", "one HTML file about a run: curves, error rates, the worst utterances")
    verbs.add("subspace", "stentor.cli.subspace", "the directions that a run's adapter speaks in, and those left free")
    verbs.add("ablate", "stentor.cli.ablate", "run a grid of choices and compare them in one report")
    verbs.add("check", "stentor.cli.check", "run the contract of a component")
    verbs.add("plugin", "stentor.cli.plugin", "write a new plugin")
