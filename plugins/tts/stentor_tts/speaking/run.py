"""A trained run as a speaker: codes by its language model, frames by its acoustic model, samples by its vocoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from stentor.data.resample import Samples, resample
from stentor.errors import StentorError
from stentor.interfaces.codec import Codes
from stentor.model.device import choose_device
from stentor_tts.interfaces import Reference
from stentor_tts.lm.request import Prompt, Request, read
from stentor_tts.lm.streams import streams
from stentor_tts.lm.tail import Tail
from stentor_tts.speaking.marking import marked, voice_of
from stentor_tts.speaking.reference import RATE, VoiceSample
from stentor_tts.speaking.speaker import Speaker, Told, Wish
from stentor_tts.speaking.takes import Take, rendered
from stentor_tts.text.characters import latin, plain
from stentor_tts.text.script import Sentence

if TYPE_CHECKING:
    from stentor_tts.lm.sampling import Sampling
    from stentor_tts.lm.task import SpeakingLM

_KEPT = 16
"""Voices whose examples are kept."""


def speaks(folder: Path) -> bool:
    """Whether `folder` is a run, or an export, whose task says texts; nothing is built."""
    from stentor.config import Recipe
    from stentor.train.assembly import class_of

    if not (folder / "config.yaml").is_file():
        return False
    section = Recipe.from_file(folder / "config.yaml").config["task"]
    return "reads" in class_of("task", section, path="task").capabilities


class RunSpeaker(Speaker):
    """Speaks with the task of a run directory, which is of the kind `stentor_tts.lm.task.SpeakingLM`.

    Where nobody asks for a voice it is the first that the run knows by name.

    Args:
        folder: the run, or an export.
        device: where to compute, e.g. ``cpu`` or ``cuda``; ``auto`` takes a GPU where there is one.

    Raises:
        StentorError: when there is no such device.
    """

    abilities = frozenset({"voice", "temperature"})
    together = 16

    def __init__(self, folder: Path, device: str = "auto") -> None:
        self.folder, self.name, self.device = folder, folder.resolve().name, choose_device(device)
        self._task: SpeakingLM | None = None
        self._prompts: dict[str, Prompt] = {}
        self._known: dict[str, bool] = {}

    def load_pretrained(self) -> dict[str, str]:
        from stentor.train import run

        if not speaks(self.folder):
            run.chosen(self.folder)  # tells what is wrong with a folder that is no run
            raise StentorError("the task of this run does not say texts.", path=str(self.folder))
        recipe, task = run.load(self.folder)
        made: Any = task.to(self.device)
        self._task, self.sample_rate, self.inventory = made, made.sample_rate, made.inventory
        _, found = run.chosen(self.folder)
        return {"name": recipe.name or self.name, "source": f"run {self.folder}", "step": str(found.step)}

    @property
    def task(self) -> SpeakingLM:
        """The task, in evaluation mode.

        Raises:
            StentorError: before `load_pretrained`.
        """
        if self._task is None:
            raise StentorError("the run is not loaded; call load_pretrained first.", path=str(self.folder))
        return self._task

    def can_say(self, character: str) -> bool:
        text = self.task.text
        if "sounds" in text.capabilities:
            english = str(getattr(text, "language", "en")).startswith("en")
            return latin(character) if english else plain(character)
        if character not in self._known:
            self._known[character] = 0 not in text.encode(character)
        return self._known[character]

    def check(self, sentence: Sentence, wish: Wish) -> None:
        marked(sentence, wish.manner, self.inventory)

    def say(self, sentence: Sentence, wish: Wish) -> Iterator[Samples]:
        yield from (chunk for _, chunk in self._said([sentence], [wish]))

    def say_all(self, sentences: Sequence[Sentence], wishes: Sequence[Wish], told: Told) -> None:
        waiting = set(range(len(sentences)))
        for row, chunk in self._said(sentences, wishes):
            if row in waiting and not told(row, chunk):
                waiting.remove(row)
            if not waiting:
                return

    def say_whole(self, sentences: Sequence[Sentence], wishes: Sequence[Wish]) -> list[Samples]:
        task = self.task
        requests = [self._request(sentence, wish) for sentence, wish in zip(sentences, wishes, strict=True)]
        said: list[list[Codes]] = [[] for _ in requests]
        for row, codes, _ in streams(task.speech, task.model.backbone, requests, self._sampling(wishes[0])):
            said[row].append(codes)
        pairs = zip(wishes, requests, strict=True)
        takes = [Take(tuple(torch.cat(book) for book in zip(*some, strict=True)), self._reference(*pair), pair[0].seed)
                 for some, pair in zip(said, pairs, strict=True)]  # fmt: skip
        return rendered(task.renderer, takes, self.device)

    def _said(self, sentences: Sequence[Sentence], wishes: Sequence[Wish]) -> Iterator[tuple[int, Samples]]:
        task = self.task
        requests = [self._request(sentence, wish) for sentence, wish in zip(sentences, wishes, strict=True)]
        tails = [self._tail(wish, request) for wish, request in zip(wishes, requests, strict=True)]
        for row, codes, last in streams(task.speech, task.model.backbone, requests, self._sampling(wishes[0])):
            chunk = tails[row].push(codes, last=last).float().cpu().numpy()
            if len(chunk):
                yield row, chunk

    def _sampling(self, wish: Wish) -> Sampling:
        own = self.task.speech.sampling
        return own if wish.temperature is None else replace(own, temperature=wish.temperature)

    def _request(self, sentence: Sentence, wish: Wish) -> Request:
        prompt = self._prompt(wish.voice)
        if prompt is not None and not (prompt.text or self.task.lessons.shown):
            prompt = None  # the language model was never taught by example; the acoustic model hears it all the same
        own = self.inventory.voices[:1] if prompt is None else ()
        named = voice_of(wish.manner) or "".join(own)
        asked = read(marked(sentence, wish.manner, self.inventory), self.inventory, voice=named)
        return replace(asked, prompt=prompt, seed=wish.seed)

    def _tail(self, wish: Wish, request: Request) -> Tail:
        """What turns codes into samples."""
        return self.task.renderer.tail(self._reference(wish, request), self.device, seed=wish.seed)

    def _reference(self, wish: Wish, request: Request) -> Reference | None:
        """Whom the acoustic model hears: the example, even if the language model is not shown it."""
        return self.task.reference(replace(request, prompt=self._prompt(wish.voice)))

    def _prompt(self, sample: VoiceSample | None) -> Prompt | None:
        """The example of a voice, kept for the last few."""
        if sample is None:
            return None
        if sample.digest not in self._prompts:
            while len(self._prompts) >= _KEPT:
                self._prompts.pop(next(iter(self._prompts)))
            own = torch.from_numpy(resample(sample.audio, RATE, self.task.spec.sample_rate))
            heard = self.task.examples.heard(own, torch.from_numpy(sample.audio), text=sample.text, device=self.device)
            self._prompts[sample.digest] = heard
        return self._prompts[sample.digest]
