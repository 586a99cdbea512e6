"""Task ``speaking-lm``: speak with a causal language model for which audio codes are another language."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stentor.data.utterance import Utterance
from stentor.errors import Problem, StentorError
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.codec import Codec, CodecSpec, Codes
from stentor.interfaces.task import Loss, Task
from stentor.interfaces.tokenizer import TextTokenizer
from stentor.model.speech_lm import SpeechLM
from stentor.sequence.packing import pack
from stentor.sequence.vocabulary import Vocabulary
from stentor.train.assembly import build_role, build_text, class_of_role, configured_of
from stentor_tts.interfaces import Acoustic, Reference, Vocoder
from stentor_tts.inventory import Inventory
from stentor_tts.lm import layout
from stentor_tts.lm.answering import SpeakingPolicy
from stentor_tts.lm.clips import Clips
from stentor_tts.lm.cloning import Examples
from stentor_tts.lm.later import Later
from stentor_tts.lm.layout import Layout, Order, Pattern
from stentor_tts.lm.lessons import Lessons
from stentor_tts.lm.rendering import Renderer
from stentor_tts.lm.request import Prompt, Request, of_batch
from stentor_tts.lm.sampling import Sampling
from stentor_tts.lm.speaking import Said, Speech
from stentor_tts.lm.streams import streams
from stentor_tts.lm.units import Spelling
from stentor_tts.tokenizer.coding import CodesAsFrames, codes_of

Sections = Mapping[str, Mapping[str, Any]]
_INVENTORY = ("voices", "styles", "emotions", "scales", "spans")


class SpeakingLM(SpeakingPolicy, Task):
    """Text and style in, codes out, by next-token prediction alone (arXiv 2502.11946, 2511.03601, 2605.23463).

    Codes come from a codec, which only training has in memory: speaking needs neither it nor its encoder. Where the
    recipe names an acoustic model and a vocoder (by the runs that trained them), or the codec decodes, it speaks aloud.

    A row says its text, or its field ``marked`` with tags in it, in the style of its field ``style``, in the voice of
    its speaker where that is one of `voices`; the acoustic model hears the clip of it that the run keeps. A row with a
    field ``prompt`` (a path, or ``{audio, start, duration, text}``) speaks like that example: it goes on from it where
    its text is told, else is shown it in front. What has neither speaks in the first voice.

    Args:
        order: ``by-word`` reads every word when its turn comes, ``text-first`` reads all before it speaks. By word,
            which codes are whose is learnt by a hidden Markov model beside the language model.
        arrangement: ``grouped`` puts the codes of a group side by side (2:3), ``delayed`` delays each codebook by a
            step more than the one before it (arXiv 2306.05284); that needs codebooks of one rate.
        voices: names of voices that can be asked for, as the corpus calls its speakers.
        styles: manners that can be asked for, e.g. ``whisper``.
        emotions: emotions that can be asked for, one at a time.
        scales: comparative tags with five levels.
        spans: tags that hold for some of the words.
        shown: share of training rows that are shown their voice by an example of their speaker, in place of its name.
        example_seconds: longest such example (s).
        disturbed: share of the codes that the model goes on from which are others in training than were said, so that
            one wrong code of its own does not lead it astray later.
        temperature: of sampling; 0 takes the best code each time.
        top_k: sample among so many best codes; 0: among all.
        top_p: sample among the fewest best codes that together have this probability.
        repetition_window: codes that the repetition guard looks back on; 0: no guard.
        repetition_share: share of them that one code may be before it is drawn anew; held vowels repeat codes rightly.
        slowest: text ids per second that slow speech still says; what takes longer is ended.
        seed: of what is drawn.
    """

    roles: ClassVar[Mapping[str, str]] = {
        "backbone": "backbone",
        "text": "tokenizer",
        "codec": "codec",
        "acoustic": "acoustic",
        "vocoder": "vocoder",
    }
    optional_roles: ClassVar[frozenset[str]] = frozenset({"acoustic", "vocoder"})
    metrics: ClassVar[tuple[str, ...]] = ()
    capabilities: ClassVar[frozenset[str]] = frozenset({"speaks", "reads"})

    def __init__(
        self,
        backbone: Backbone,
        text: TextTokenizer,
        codec: Later[Codec],
        acoustic: Later[Acoustic] | None = None,
        vocoder: Later[Vocoder] | None = None,
        *,
        order: Order = "by-word",
        arrangement: Pattern = "grouped",
        voices: Sequence[str] = (),
        styles: Sequence[str] = ("whisper",),
        emotions: Sequence[str] = (),
        scales: Sequence[str] = ("rate", "energy", "pitch"),
        spans: Sequence[str] = ("fast", "slow", "loud", "soft"),
        shown: float = 0.0,
        example_seconds: float = 3.0,
        disturbed: float = 0.0,
        temperature: float = 0.7,
        top_k: int = 0,
        top_p: float = 0.95,
        repetition_window: int = 20,
        repetition_share: float = 0.2,
        slowest: float = 4.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.text, self.codec, self.spec = text, codec, spec_of(codec.section)
        self.inventory = Inventory(tuple(voices), tuple(styles), tuple(emotions), tuple(scales), tuple(spans))
        self.model = SpeechLM(backbone)
        self.order, self.pattern = order, arrangement
        self._lessons = {"shown": shown, "example_seconds": example_seconds, "noise": disturbed}
        self._sampling = Sampling(temperature, top_k, top_p, repetition_window, repetition_share, slowest, seed)
        self._lay(layout.vocabulary(text.size, self.spec, self.inventory))
        self.examples = Examples(codec, self.spec)
        self.renderer = Renderer(codec, acoustic, vocoder, seed)
        self._waited: list[float] = []

    def _lay(self, vocabulary: Vocabulary) -> None:
        """Teach and speak in the ids of `vocabulary`."""
        self.vocabulary = vocabulary
        self.arrangement = layout.arrangement(vocabulary, self.spec, self.pattern)
        spelling = Spelling(self.text)
        laid = Layout(vocabulary, self.order, spelling.space)
        self.lessons = Lessons(laid, spelling, self.arrangement, self.spec, **self._lessons)
        self.speech = Speech(self.lessons, self.spec, self._sampling)
        self.clips = Clips(layout.voices(vocabulary), self.spec)

    @classmethod
    def assemble(
        cls,
        sections: Sections,
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> SpeakingLM:
        text: TextTokenizer = build_text(cls, sections, texts, state)
        spec = spec_of(sections["codec"])
        declared = {name: tuple(configured[name]) for name in _INVENTORY if name in configured}
        known = None if state is None else state.get("vocabulary")
        vocabulary = layout.vocabulary(text.size, spec, Inventory(**declared), known)
        backbone: Backbone = build_role(cls, sections, "backbone", vocabulary.size)
        parts = [Later[Any]("codec", sections["codec"])]
        for role, wired in (("acoustic", (spec,)), ("vocoder", ())):
            parts.append(Later[Any](role, sections[role], *wired) if role in sections else None)  # type: ignore[arg-type]
        task = cls(backbone, text, *parts, **configured)
        task._lay(vocabulary)
        return task

    @classmethod
    def check(cls, sections: Sections, **configured: Any) -> list[Problem]:
        found = []
        pattern = spec_of(sections["codec"]).pattern
        if configured.get("arrangement") == "delayed" and len(set(pattern)) > 1:
            shape = ":".join(map(str, pattern))
            told = f"codebooks with {shape} codes in a group cannot be delayed against each other; they need one rate."
            found.append(Problem(told, "task.arrangement", "delayed", ("grouped",)))
        if "vocoder" in sections and "acoustic" not in sections:
            found.append(Problem("a vocoder speaks what an acoustic model makes of codes; name one.", "acoustic"))
        return found

    @property
    def sample_rate(self) -> int:
        return self.renderer.sample_rate(self.spec)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.model.parameters()).device

    def cached_encoder(self) -> nn.Module:
        return CodesAsFrames(self.codec.built)

    def state(self) -> dict[str, Any]:
        return {"text": dict(self.text.state()), "vocabulary": self.vocabulary.state()}

    def growing(self) -> list[str]:
        """Embedding and projection: a run that begins with another's weights may know more voices and tags."""
        found = self.model.backbone.named_parameters()
        tables = [f"model.backbone.{name}" for name, value in found if len(value) == self.vocabulary.size]
        return [*tables, *(f"clips.{name}" for name, _ in self.clips.named_buffers())]

    def acquaint(self, rows: Sequence[Utterance]) -> None:
        """Keep a clip of every named voice, if there is an acoustic model to hear it."""
        if self.renderer.acoustic is not None and self.clips.voices:
            self.clips.choose(rows, self.examples, self.inventory)

    def training_state(self) -> dict[str, Any]:
        return {"memory": self.lessons.remembered()}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        self.lessons.remember(state.get("memory", {}))

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        """Next-token loss on codes and on what ends words and utterances; parts: nats of each codebook and the rest."""
        requests = of_batch(batch, self.inventory, lenient=True)
        examples = self.lessons.examples(requests, self.codes(batch), list(batch["speakers"]))
        if not examples:
            raise StentorError(
                f"none of the rows {', '.join(batch['ids'][:3])} ... has both words and sound.", path="data.train"
            )
        packed = self.lessons.disturbed(pack(examples))
        losses, places = self.model.token_losses(packed, self.model(packed))
        return self._loss(losses, packed.targets[places])

    def codes(self, batch: Mapping[str, Any]) -> list[Codes]:
        """The codes of every row of a batch from the loader."""
        if "frames" in batch:
            return codes_of(self.spec, batch["frames"], batch["frame_lengths"].tolist())
        return self.codec.on(batch["audio"].device).encode(batch["audio"].float(), batch["audio_lengths"])

    def say(self, requests: Sequence[Request]) -> list[Said]:
        """Codes that say each request, and why each of them ended; a row does not depend on the others."""
        return self.speech(self.model.backbone, requests)

    @torch.no_grad()
    def synthesise(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """What the rows say, aloud (see the class); a row that says nothing has no samples."""
        requests = of_batch(batch, self.inventory, lenient=False)
        customs = batch.get("custom") or [{} for _ in requests]
        prompts = [self.examples.of_row(custom, self.device) for custom in customs]
        requests = [self._voiced(one, prompt) for one, prompt in zip(requests, prompts, strict=True)]
        if requests and not self.training:
            self._wait_for(requests[0])
        return self.aloud(requests, self.say(requests))

    def _voiced(self, request: Request, prompt: Prompt | None) -> Request:
        """Like the example; where there is none and no voice is asked for, in the first that the run knows by name."""
        own = self.inventory.voices[:1]
        if prompt is None and own and not request.style.voice:
            return replace(request, style=replace(request.style, voice=own[0]))
        return replace(request, prompt=prompt)

    def statistics(self) -> dict[str, Any] | None:
        """``first_packet_seconds``: how long the first row of each batch would have been waited for, streamed alone."""
        waited, self._waited = self._waited, []
        return {"first_packet_seconds": waited} if waited else None

    def _wait_for(self, request: Request) -> None:
        began = time.perf_counter()
        for samples in self.stream(request):
            samples.cpu()
            self._waited.append(time.perf_counter() - began)
            break

    def aloud(self, requests: Sequence[Request], said: Sequence[Said]) -> list[Tensor]:
        """Waveforms float [N] of what `say` gave."""
        kept = [row for row, one in enumerate(said) if one.groups]
        references = [self.reference(requests[row]) for row in kept]
        waves = self.renderer([said[row].codes for row in kept], references, self.device) if kept else []
        found = [torch.zeros(0, device=self.device) for _ in said]
        for row, wave in zip(kept, waves, strict=True):
            found[row] = wave
        return found

    def stream(self, request: Request) -> Iterator[Tensor]:
        """Pieces float [n] of one request's waveform, as soon as they are settled; together what `synthesise` gives."""
        tail = self.renderer.tail(self.reference(request), self.device)
        for _, codes, last in streams(self.speech, self.model.backbone, [request], self.speech.sampling):
            if len(samples := tail.push(codes, last=last)):
                yield samples

    def reference(self, request: Request) -> Reference | None:
        """What the acoustic model hears of the voice: the request's example, else the clip of the voice it names."""
        prompt = request.prompt
        if prompt is None or prompt.mel is None:
            return self.clips.of(request.style.voice)
        return Reference(prompt.mel, prompt.codes)

    def _loss(self, losses: Tensor, targets: Tensor) -> Loss:
        """The mean, and as parts the means over each codebook's targets and over all others (nats)."""
        books = self.arrangement.books(targets).to(losses.device)
        names = [*(f"nats_{book.name}" for book in self.spec.codebooks), "nats_control"]
        chosen = zip(names, (*range(len(self.spec.codebooks)), -1), strict=True)
        found = {name: losses.detach()[books == place] for name, place in chosen}
        parts = {name: float(part.mean()) for name, part in found.items() if len(part)}
        return Loss(losses.mean(), len(losses), parts, {name: len(part) for name, part in found.items()})


def spec_of(section: Mapping[str, Any]) -> CodecSpec:
    """The spec of the codec that a section names, which is not built."""
    codec: type[Codec] = class_of_role(SpeakingLM, {"codec": section}, "codec")
    return codec.spec(**configured_of(codec, section, path="codec"))
